"""How far a classifier can be believed: honest probabilities, sets of classes, "none of these"."""

from resnext.confidence.calibrating import COVERAGE, FALSE_ALARMS, calibrate, check_refit, refit
from resnext.confidence.outliers import Separation
from resnext.confidence.rejection import (
    can_reject,
    check_false_alarms,
    fit_threshold,
    is_rejected,
    too_few_to_reject,
)
from resnext.confidence.sets import SetSizes, check_coverage, coverage_range, fit_sets, images_needed, in_sets
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
    "can_reject",
    "check_coverage",
    "check_false_alarms",
    "check_refit",
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
    "too_few_to_reject",
]
