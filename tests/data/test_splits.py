"""Images held out in equal shares of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.data.splits import holdout_of_each_class, stratified_holdout


@given(st.lists(st.integers(1, 60), min_size=1, max_size=8), st.data())
def test_a_holdout_is_exact_and_stratified(counts: list[int], data: st.DataObject) -> None:
    labels = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    count = data.draw(st.integers(0, len(labels)))
    rest, held_out = stratified_holdout(labels, count, seed=data.draw(st.integers(0, 3)))
    assert len(held_out) == count
    assert sorted([*rest, *held_out]) == list(range(len(labels)))
    shares = np.array(counts) * count / len(labels)
    assert np.abs(np.bincount(labels[held_out], minlength=len(counts)) - shares).max() <= 1


@pytest.mark.parametrize("sizes", [(50, 5), (5, 100, 100, 100), (5, 60, 60, 60, 60, 60)])
def test_small_classes_hold_one_image_out(sizes: tuple[int, ...]) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    rest, held_out = holdout_of_each_class(labels, len(labels) // 10, seed=0, at_least=3)
    assert np.bincount(labels[held_out], minlength=len(sizes)).min() >= 1
    assert sorted([*rest, *held_out]) == list(range(len(labels)))


def test_a_holdout_that_has_every_class_stays_as_it_was() -> None:
    labels = np.repeat([0, 1, 2], [40, 60, 50])
    for one, other in zip(
        holdout_of_each_class(labels, 15, 0, at_least=3), stratified_holdout(labels, 15, 0), strict=True
    ):
        assert one.tolist() == other.tolist()
