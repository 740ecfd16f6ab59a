"""What every trained network is given: a temperature, and a threshold of "none of these"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resnext.confidence.rejection import fit_threshold
from resnext.confidence.sets import fit_sets
from resnext.confidence.temperature import fit_temperature, soften_probabilities
from resnext.contract import Calibration, Rejection

#: Share of the images of the classes that may be called "none of these", and of those whose set holds their
#: class, where nobody says.
FALSE_ALARMS, COVERAGE = 0.01, 0.9


def refit(
    calibration: Calibration | None,
    probabilities: NDArray[np.float32],
    familiarity: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> Calibration:
    """What a calibration promises, kept by a model that answers a little otherwise, as one in int8 does.

    Args:
        calibration: The promises; a temperature alone if None.
        probabilities: float32 (N, classes) at temperature 1, of images that were not trained on.
        familiarity: float32 (N,), by the score of its rejection; not used where that is the probability.
        labels: True classes, int64 (N,).
    """
    temperature = fit_temperature(probabilities, labels)
    honest = soften_probabilities(probabilities, temperature)
    if calibration is None:
        return Calibration(temperature)
    rejection, sets = calibration.rejection, calibration.sets
    if rejection is not None:
        values = honest.max(1) if rejection.score == "probability" else familiarity
        share = FALSE_ALARMS if rejection.false_alarms is None else rejection.false_alarms
        rejection = fit_threshold(rejection, values, share)
    if sets is not None:
        sets = fit_sets(honest, labels, sets.coverage)
    return Calibration(temperature, rejection, sets)


def calibrate(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], false_alarms: float = FALSE_ALARMS
) -> Calibration:
    """A temperature, and a least probability below which the answer is "none of these".

    Args:
        probabilities: float32 (N, classes) at temperature 1, of images that were not trained on.
        labels: True classes, int64 (N,).
        false_alarms: Share of images of the classes that may be rejected. Where N is so small that one image
            is more than that, nothing is.

    >>> rows = np.tile(np.array([[0.9, 0.1]], np.float32), (100, 1))
    >>> made = calibrate(rows, (np.arange(100) % 10 == 0).astype(np.int64))
    >>> round(made.temperature, 1)
    1.0
    """
    temperature = fit_temperature(probabilities, labels)
    familiarity = soften_probabilities(probabilities, temperature).max(1)
    return Calibration(temperature, fit_threshold(Rejection("probability", 0.0), familiarity, false_alarms))
