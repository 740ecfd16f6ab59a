"""The temperature of the softmax that makes probabilities honest, fitted on held-out images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resnext.metrics import Outcomes, Reliability, reliability

#: Least and largest temperature that is fitted.
COLDEST, HOTTEST = 0.05, 20.0
#: Parts of the images in cross-fitting, and the seed by which images are dealt to them.
FOLDS, SEED = 5, 0
#: Least probability, whose logarithm is finite in float32.
_LEAST = float(np.finfo(np.float32).tiny)


def soften_probabilities(probabilities: NDArray[np.float32], temperature: float) -> NDArray[np.float32]:
    """Probabilities (N, classes) of temperature 1, as they are at another.

    >>> even = soften_probabilities(np.array([[0.8, 0.2]], np.float32), 2.0)
    >>> [round(float(p), 3) for p in even[0]]
    [0.667, 0.333]
    """
    return np.exp(_log_softmax(_logs(probabilities) / temperature)).astype(np.float32)


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """The temperature at which the labels are likeliest, from `COLDEST` to `HOTTEST`.

    Labels are softened as Platt (1999) does, by the share that one wrong label more would have. Without that,
    a network that is right about all of a few images would be called certain.

    Args:
        probabilities: float32 (N, classes) at temperature 1, of images that were not trained on.
        labels: True classes, int64 (N,).

    >>> certain = np.tile(np.array([[0.99, 0.01]], np.float32), (100, 1))
    >>> round(fit_temperature(certain, (np.arange(100) % 4 == 0).astype(np.int64)), 1)
    4.3
    """
    from scipy.optimize import minimize_scalar

    logs, rows = _logs(probabilities), np.arange(len(labels))
    wrong = 1 / (len(labels) + 2)
    others = max(1, logs.shape[1] - 1)

    def loss(log_temperature: float) -> float:
        made = _log_softmax(logs / np.exp(log_temperature))
        own = made[rows, labels]
        return -float(((1 - wrong) * own + wrong / others * (made.sum(1) - own)).mean())

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded")
    return float(np.exp(found.x))


@dataclass(frozen=True)
class TemperatureFit:
    """A temperature, and what it does to images that it was not fitted on.

    Attributes:
        temperature: Fitted on all images.
        before: How well confidence matches accuracy at temperature 1.
        after: The same at fitted temperatures: that of each image is fitted on four fifths of the others.
    """

    temperature: float
    before: Reliability
    after: Reliability


def cross_fit(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> TemperatureFit:
    """Fit the temperature, and judge it on images that it was not fitted on.

    Args:
        probabilities: float32 (N, classes) at temperature 1, N at least 1.
        labels: True classes, int64 (N,).
    """
    after = probabilities
    if len(labels) >= FOLDS:
        after = np.empty_like(probabilities)
        dealt = np.random.default_rng(SEED).permutation(len(labels)) % FOLDS
        for fold in range(FOLDS):
            held = dealt == fold
            temperature = fit_temperature(probabilities[~held], labels[~held])
            after[held] = soften_probabilities(probabilities[held], temperature)
    before, cross_fitted = (reliability(Outcomes.of(one, labels)) for one in (probabilities, after))
    return TemperatureFit(fit_temperature(probabilities, labels), before, cross_fitted)


def _logs(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.log(np.clip(probabilities.astype(np.float64), _LEAST, None))


def _log_softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.special import log_softmax

    made: NDArray[np.float64] = log_softmax(logits, axis=1)
    return made
