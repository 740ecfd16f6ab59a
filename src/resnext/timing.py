"""Times to compare: side by side in one run, as medians; and what the machine can do at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

#: Values that are copied to find a machine's bandwidth: more than its caches hold.
COPIED = 1 << 26
#: Sides of the matrices that are multiplied to find its rate.
PRODUCT = {False: 1536, True: 8192}


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


def interleave(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    finish: Callable[[], object] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Timing]:
    """Time `calls` in turns, `rounds` times each after one call that does not count.

    What slows the machine down for a while then slows all of them down; each round begins one further on, so
    that none has a place of its own. `finish` waits for the end of what a
    call has started, on a GPU; `progress` is told the turns done and all.
    """
    finish = finish or (lambda: None)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for call in calls.values():
        call()
    for number in range(rounds):
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            finish()
            start = time.perf_counter()
            calls[name]()
            finish()
            seconds[name].append(time.perf_counter() - start)
        if progress is not None:
            progress(number + 1, rounds)
    return {name: Timing(tuple(own)) for name, own in seconds.items()}


def limit_calls(
    device: torch.device, precisions: Sequence[str]
) -> dict[str, tuple[Callable[[], object], float]]:
    """Calls that use a machine as fully as it goes, and how much each does: `bytes_per_s` copies, reading
    and writing; `<precision>_flops_per_s` multiplies square matrices of `float32` or `bfloat16`."""
    source = torch.zeros(COPIED, device=device)
    target = torch.empty_like(source)
    calls: dict[str, tuple[Callable[[], object], float]] = {
        "bytes_per_s": (partial(target.copy_, source), 2.0 * source.nbytes)
    }
    side = PRODUCT[device.type != "cpu"]
    for precision in precisions:
        a, b = (torch.randn(side, side, device=device, dtype=getattr(torch, precision)) for _ in range(2))
        calls[f"{precision}_flops_per_s"] = partial(torch.mm, a, b), 2.0 * side**3
    return calls
