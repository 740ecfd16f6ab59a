"""Times to compare: side by side in one run, as medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Of repeated calls: the median, and the tenth and ninetieth percentile, in seconds."""

    median_s: float
    spread: tuple[float, float]


def interleave(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Time `calls` in turns, `rounds` times each after one call that does not count.

    What slows the machine down for a while then slows all of them down.
    """
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        call()
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - start)
    return {
        name: Timing(float(np.median(own)), (float(np.quantile(own, 0.1)), float(np.quantile(own, 0.9))))
        for name, own in seconds.items()
    }
