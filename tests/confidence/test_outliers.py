"""The area against scikit-learn's, its interval against repeated draws."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from resnext.confidence.outliers import Separation


@pytest.mark.parametrize("decimals", [8, 1])
def test_the_area_is_that_of_scikit_learn(decimals: int) -> None:
    """With ties, too."""
    random = np.random.default_rng(0)
    own, others = (
        random.normal(mean, 1, n).round(decimals).astype(np.float32) for mean, n in ((1, 70), (0, 90))
    )
    expected = roc_auc_score([1] * 70 + [0] * 90, np.concatenate([own, others]))
    assert Separation.of(own, others).auroc == pytest.approx(expected, abs=1e-9)


def test_the_interval_holds_the_true_area() -> None:
    from scipy.stats import norm

    true, held, random = float(norm.cdf(1 / np.sqrt(2))), [], np.random.default_rng(1)
    for _ in range(400):
        own, others = random.normal(1, 1, 80), random.normal(0, 1, 120)
        low, high = Separation.of(own.astype(np.float32), others.astype(np.float32)).interval
        held.append(low <= true <= high)
    assert 0.92 <= np.mean(held) <= 0.98


def test_a_better_score_is_told_from_chance() -> None:
    random = np.random.default_rng(2)
    own, others = random.normal(1, 1, 500), random.normal(0, 1, 500)
    plain = Separation.of(own.astype(np.float32), others.astype(np.float32))
    again = Separation.of((2 * own).astype(np.float32), (2 * others).astype(np.float32))
    noisy = Separation.of(
        (own + random.normal(0, 1, 500)).astype(np.float32),
        (others + random.normal(0, 1, 500)).astype(np.float32),
    )
    assert plain.is_better_than(noisy)
    assert not noisy.is_better_than(plain)
    assert not plain.is_better_than(again)
    assert not again.is_better_than(plain)


def test_all_told_apart_is_not_certain() -> None:
    own, others = np.ones(100, np.float32), np.zeros(30, np.float32)
    low, high = Separation.of(own, others).interval
    assert (low, high) == (pytest.approx(0.9), 1.0)
    assert Separation.of(others, own).interval == (0.0, pytest.approx(0.1))
