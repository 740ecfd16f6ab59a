"""Times to compare: side by side in one run, as medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Timing:
    """Seconds of repeated calls, one for each round."""

    seconds: tuple[float, ...]

    @property
    def median_s(self) -> float:
        return float(np.median(self.seconds))

    @property
    def spread(self) -> tuple[float, float]:
        """The tenth and the ninetieth percentile, in seconds."""
        return _spread(np.array(self.seconds))

    def ratio_to(self, other: Timing) -> Ratio:
        """This over `other`, round by round: both must come from one `interleave`."""
        return Ratio(tuple(a / b for a, b in zip(self.seconds, other.seconds, strict=True)))


@dataclass(frozen=True)
class Ratio:
    """Of two calls, one for each round: what slowed a whole round down is not in it."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return float(np.median(self.values))

    @property
    def spread(self) -> tuple[float, float]:
        """The tenth and the ninetieth percentile."""
        return _spread(np.array(self.values))


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[float, float]:
    return float(np.quantile(values, 0.1)), float(np.quantile(values, 0.9))


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
    return {name: Timing(tuple(own)) for name, own in seconds.items()}
