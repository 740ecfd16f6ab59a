"""What every trained network is given: a temperature, and a threshold of "none of these"."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from resnext.confidence.rejection import can_reject, check_false_alarms, fit_threshold
from resnext.confidence.sets import check_coverage, fit_sets
from resnext.confidence.temperature import fit_temperature, soften_probabilities
from resnext.contract import THRESHOLDS, Calibration, Rejection
from resnext.errors import UsageError

#: Share of the images of the classes that may be called "none of these", and of those whose set holds their
#: class, where nobody says.
FALSE_ALARMS, COVERAGE = 0.01, 0.9


def check_refit(calibration: Calibration | None, images: int) -> None:
    """Raise `UsageError` unless so many images are enough to keep what a calibration promises."""
    if calibration is None:
        return
    try:
        if calibration.sets is not None:
            check_coverage(calibration.sets.coverage, images)
        if (one := calibration.rejection) is not None and _rejects(one):
            check_false_alarms(_share(one), images)
    except UsageError as error:
        raise UsageError(
            f"the {images:,} images that judge are too few for what the model promises ({error}); calibrate "
            "it with less, then quantize it"
        ) from None


def _rejects(rejection: Rejection) -> bool:
    """Whether anything can be below its threshold; not in runs of earlier versions whose val was small."""
    return rejection.threshold > THRESHOLDS[rejection.score][0]


def _share(rejection: Rejection) -> float:
    return FALSE_ALARMS if rejection.false_alarms is None else rejection.false_alarms


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

    Raises:
        UsageError: There are too few images, see `check_refit`.
    """
    temperature = fit_temperature(probabilities, labels)
    honest = soften_probabilities(probabilities, temperature)
    if calibration is None:
        return Calibration(temperature)
    rejection, sets = calibration.rejection, calibration.sets
    if rejection is not None and _rejects(rejection):
        values = honest.max(1) if rejection.score == "probability" else familiarity
        rejection = fit_threshold(rejection, values, _share(rejection))
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
            is more than that, there is no threshold.

    >>> rows = np.tile(np.array([[0.9, 0.1]], np.float32), (100, 1))
    >>> made = calibrate(rows, (np.arange(100) % 10 == 0).astype(np.int64))
    >>> round(made.temperature, 1)
    1.0
    """
    temperature = fit_temperature(probabilities, labels)
    if not can_reject(false_alarms, len(labels)):
        return Calibration(temperature)
    familiarity = soften_probabilities(probabilities, temperature).max(1)
    return Calibration(temperature, fit_threshold(Rejection("probability", 0.0), familiarity, false_alarms))
