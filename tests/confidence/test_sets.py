"""Sets keep their promise for new images, whatever the network is worth."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from resnext.confidence import coverage_range, fit_sets, images_needed, in_sets
from resnext.contract import PredictionSets
from resnext.errors import UsageError


def guesses(count: int, sure: float, seed: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities of ten classes that say something about the labels, but not honestly."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 10, count)
    logits = random.normal(0, 1, (count, 10))
    logits[np.arange(count), labels] += 1.5
    made = np.exp(sure * logits)
    return (made / made.sum(1, keepdims=True)).astype(np.float32), labels


@pytest.mark.parametrize("sure", [0.3, 1.0, 4.0])
@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_new_images_are_covered_as_promised(sure: float, coverage: float) -> None:
    covered = []
    for seed in range(40):
        sets = fit_sets(*guesses(300, sure, 2 * seed), coverage)
        probabilities, labels = guesses(2000, sure, 2 * seed + 1)
        covered.append(in_sets(probabilities, sets)[np.arange(2000), labels].mean())
    assert np.mean(covered) == pytest.approx(coverage, abs=0.01)
    low, high = coverage_range(300, coverage)
    outside = np.mean([not low - 0.01 < one < high + 0.01 for one in covered])
    assert outside <= 0.15


def test_they_are_no_larger_than_the_likeliest_k_of_equal_coverage() -> None:
    sets = fit_sets(*guesses(3000, 1.0, 0), 0.9)
    probabilities, labels = guesses(5000, 1.0, 1)
    size = in_sets(probabilities, sets).sum(1).mean()
    own = probabilities[np.arange(5000), labels]
    ranks = (probabilities > own[:, None]).sum(1)
    k = next(k for k in range(1, 11) if (ranks < k).mean() >= 0.9)
    assert size < k


def test_every_set_has_the_likeliest_class() -> None:
    probabilities, _ = guesses(100, 1.0, 0)
    held = in_sets(probabilities, PredictionSets(0.5, 0.99))
    assert held[np.arange(100), probabilities.argmax(1)].all()


@pytest.mark.parametrize(("coverage", "needed"), [(0.5, 1), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_how_many_images_a_promise_needs(coverage: float, needed: int) -> None:
    assert images_needed(coverage) == needed
    fit_sets(*guesses(needed, 1.0, 0), coverage)
    if needed > 1:
        with pytest.raises(UsageError, match=f"needs at least {needed} images, there are {needed - 1}"):
            fit_sets(*guesses(needed - 1, 1.0, 0), coverage)


@pytest.mark.parametrize("coverage", [0.0, 1.0, 90.0])
def test_what_is_no_share_is_refused(coverage: float) -> None:
    with pytest.raises(UsageError, match="must be between 0 and 1"):
        fit_sets(*guesses(100, 1.0, 0), coverage)
