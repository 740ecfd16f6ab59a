"""How far a classifier can be believed: honest probabilities, sets of classes, "none of these"."""

from resnext.confidence.calibrating import COVERAGE, FALSE_ALARMS, calibrate, refit
from resnext.confidence.outliers import Separation
from resnext.confidence.rejection import fit_threshold, is_rejected
from resnext.confidence.sets import SetSizes, coverage_range, fit_sets, images_needed, in_sets
from resnext.confidence.temperature import (
    TemperatureFit,
    cross_fit,
    fit_temperature,
    soften_probabilities,
)

__all__ = [
    "COVERAGE",
    "FALSE_ALARMS",
    "Separation",
    "SetSizes",
    "TemperatureFit",
    "calibrate",
    "coverage_range",
    "cross_fit",
    "fit_sets",
    "fit_temperature",
    "fit_threshold",
    "images_needed",
    "in_sets",
    "is_rejected",
    "refit",
    "soften_probabilities",
]
