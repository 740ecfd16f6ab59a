"""When the answer is "none of these": scores of familiarity, and their thresholds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resnext.contract import THRESHOLDS, Rejection
from resnext.errors import UsageError


def can_reject(false_alarms: float, images: int) -> bool:
    """Whether a threshold can be fitted on so many images that rejects this share of them: one, at least.

    >>> can_reject(0.01, 98), can_reject(0.01, 99), can_reject(0.0, 5)
    (False, True, True)
    """
    return false_alarms == 0 or math.floor((images + 1) * false_alarms + 1e-9) > 0


def check_false_alarms(false_alarms: float, images: int | None = None) -> None:
    """Raise `UsageError` unless it is a share, of which a threshold can be fitted on so many images."""
    if not 0 <= false_alarms < 1:
        raise UsageError(f"--false-alarms {false_alarms:g}: must be from 0 to less than 1, such as 0.05")
    if images is not None and not can_reject(false_alarms, images):
        raise UsageError(too_few_to_reject(false_alarms, images))


def too_few_to_reject(false_alarms: float, images: int) -> str:
    """Why nothing is called "none of these".

    >>> too_few_to_reject(0.01, 50)
    '--false-alarms 0.01: needs at least 99 images, there are 50; give more, or --false-alarms 0.02'
    """
    needed = math.ceil(1 / false_alarms - 1 - 1e-9)
    least = math.ceil(1000 / (images + 1)) / 1000
    return (
        f"--false-alarms {false_alarms:g}: needs at least {needed:,} images, there are {images:,}; give "
        f"more, or --false-alarms {least:g}"
    )


def fit_threshold(rejection: Rejection, familiarity: NDArray[np.float32], false_alarms: float) -> Rejection:
    """The threshold that rejects at most a share of images of the classes.

    Args:
        rejection: What `familiarity` is; its threshold is not used.
        familiarity: float32 (N,) of images of the classes that were not trained on; of new ones as many as
            promised are rejected in the mean.
        false_alarms: That share, from 0 to 1.

    Raises:
        UsageError: `false_alarms` is no share, or N is too small for it.

    >>> seen = np.linspace(0.01, 1, 100, dtype=np.float32)
    >>> fit_threshold(Rejection("probability", 0.0), seen, 0.05).threshold
    0.05...
    """
    check_false_alarms(false_alarms, len(familiarity))
    rejected = math.floor((len(familiarity) + 1) * false_alarms + 1e-9)
    least, most = THRESHOLDS[rejection.score]
    threshold = least if rejected == 0 else float(np.sort(familiarity)[rejected - 1])
    return replace(rejection, threshold=min(max(threshold, least), most), false_alarms=false_alarms)


def is_rejected(familiarity: NDArray[np.float32], rejection: Rejection | None) -> NDArray[np.bool_]:
    """(N,) whether the answer is "none of these".

    >>> is_rejected(np.array([0.2, 0.9], np.float32), Rejection("probability", 0.5, 0.05)).tolist()
    [True, False]
    """
    if rejection is None:
        return np.zeros(len(familiarity), np.bool_)
    below: NDArray[np.bool_] = familiarity < np.float32(rejection.threshold)
    return below
