"""Temperatures that are known, and networks that are certain."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import softmax

from resnext.confidence import cross_fit, fit_temperature, soften_probabilities
from resnext.confidence.temperature import COLDEST, HOTTEST


def drawn(
    temperature: float, count: int, classes: int = 5, seed: int = 0
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities of a network that is honest at `temperature`, and labels drawn by them."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 4, (count, classes))
    honest = softmax(logits / temperature, axis=1)
    labels = (random.random((count, 1)) > honest.cumsum(1)).sum(1)
    return softmax(logits, axis=1).astype(np.float32), labels.clip(0, classes - 1)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_behind_the_labels_is_found(temperature: float) -> None:
    found = fit_temperature(*drawn(temperature, 20_000))
    assert found == pytest.approx(temperature, rel=0.05)


def test_softening_is_the_softmax_of_divided_logits() -> None:
    logits = np.random.default_rng(0).normal(0, 5, (50, 7))
    made = soften_probabilities(softmax(logits, axis=1).astype(np.float32), 2.5)
    np.testing.assert_allclose(made, softmax(logits / 2.5, axis=1), atol=1e-6)


def test_no_answer_changes() -> None:
    probabilities, _ = drawn(1.0, 500)
    for temperature in (COLDEST, 0.7, HOTTEST):
        softened = soften_probabilities(probabilities, temperature)
        assert (softened.argmax(1) == probabilities.argmax(1)).all()


def test_a_network_that_is_right_about_few_images_is_not_called_certain() -> None:
    """Without softened labels the temperature would be the coldest, and every answer 100 %."""
    labels = np.arange(20) % 4
    probabilities = np.full((20, 4), 0.1 / 3, np.float32)
    probabilities[np.arange(20), labels] = 0.9
    sure = soften_probabilities(probabilities, fit_temperature(probabilities, labels)).max()
    assert 0.9 < sure < 0.98


def test_cross_fitting_halves_the_error_of_a_dishonest_network() -> None:
    fit = cross_fit(*drawn(3.0, 4000))
    assert fit.before.ece > 0.1
    assert fit.after.ece < fit.before.ece / 2
    assert not fit.after.is_resolved  # no more than chance explains


def test_certain_and_wrong_is_finite() -> None:
    probabilities = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]], np.float32)
    assert COLDEST <= fit_temperature(probabilities, np.array([0, 1, 1])) <= HOTTEST
