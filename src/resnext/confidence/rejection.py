"""When the answer is "none of these": scores of familiarity, and their thresholds."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resnext.contract import THRESHOLDS, Rejection
from resnext.errors import UsageError


def fit_threshold(rejection: Rejection, familiarity: NDArray[np.float32], false_alarms: float) -> Rejection:
    """The threshold that rejects at most a share of images of the classes.

    Args:
        rejection: What `familiarity` is; its threshold is not used.
        familiarity: float32 (N,) of images of the classes that were not trained on; of new ones as many as
            promised are rejected in the mean.
        false_alarms: That share, from 0 to 1.

    Returns:
        The rejection. Where N is so small that one image is more than the share, nothing is rejected.

    Raises:
        UsageError: `false_alarms` is no share.

    >>> seen = np.linspace(0.01, 1, 100, dtype=np.float32)
    >>> fit_threshold(Rejection("probability", 0.0), seen, 0.05).threshold
    0.05...
    """
    if not 0 <= false_alarms < 1:
        raise UsageError(f"--false-alarms {false_alarms:g}: must be from 0 to less than 1, such as 0.05")
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
