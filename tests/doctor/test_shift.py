"""A split that is drawn otherwise is told, one that is drawn like train is not."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp

from resnext.data.stored_images import ImageArrays
from resnext.doctor import ExaminedSet
from resnext.doctor.shift import LEVEL, compare_splits, find_shifts


def make(train: int, test: int) -> ExaminedSet:
    def blank(count: int) -> ImageArrays:
        return ImageArrays(np.zeros((count, 4, 4), np.uint8), np.arange(count) % 2, ("a", "b"))

    return ExaminedSet("x", {"train": blank(train), "test": blank(test)})


def test_the_test_is_scipys_and_finds_a_moved_mean_only() -> None:
    random = np.random.default_rng(0)
    values = random.normal(0, 1, 1400)
    moved = values + np.r_[np.zeros(1000), np.full(400, 0.5)]
    examined, readable = make(1000, 400), np.ones(1400, np.bool_)
    same, other = compare_splits(examined, readable, {"same": values, "moved": moved})
    expected = ks_2samp(moved[1000:], moved[:1000], method="asymp")
    assert (other.distance, other.p) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert (same.is_shift, other.is_shift) == (False, True)
    [finding] = find_shifts([same, other])
    assert finding.detail.startswith("test differs from train in moved")


def test_splits_that_are_drawn_alike_are_rarely_called_otherwise() -> None:
    examined, readable = make(150, 150), np.ones(300, np.bool_)
    random = np.random.default_rng(1)
    found = 0
    for _ in range(200):
        values = {str(i): random.normal(0, 1, 300) for i in range(3)}
        found += any(test.is_shift for test in compare_splits(examined, readable, values))
    assert found <= 200 * LEVEL + 4


def test_few_images_and_little_difference_are_no_finding() -> None:
    random = np.random.default_rng(2)
    few = make(30, 10)
    assert compare_splits(few, np.ones(40, np.bool_), {"x": random.normal(0, 1, 40)}) == []
    many = make(60_000, 60_000)
    values = random.normal(0, 1, 120_000) + np.r_[np.zeros(60_000), np.full(60_000, 0.1)]
    [test] = compare_splits(many, np.ones(120_000, np.bool_), {"x": values})
    assert test.p < 1e-6
    assert not test.is_shift
