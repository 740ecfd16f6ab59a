"""Timing of calls side by side, as medians over rounds, and of the most that a machine can do."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

#: Values that are copied to measure a machine's bandwidth: more than its caches hold.
COPIED_VALUES = 1 << 26
#: Side of the matrices that are multiplied to measure its rate, on a CPU and on a GPU.
MATRIX_SIDE = {"cpu": 1536, "gpu": 8192}


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
        """This time over that of `other`, round by round; both must come from one call of `interleave`."""
        return Ratio(tuple(a / b for a, b in zip(self.seconds, other.seconds, strict=True)))


@dataclass(frozen=True)
class Ratio:
    """The ratio of two calls' times, one for each round, so that a slow round slows both."""

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
    least_s: float = 0.0,
) -> dict[str, Timing]:
    """Time `calls` in turns, after one call of each that does not count.

    Whatever slows the machine down for a while slows all of them down. Each round starts one call further
    on, so that no call always follows the same other.

    Args:
        calls: What is timed, by name.
        rounds: How often each is timed.
        finish: Waits until the work that a call has started on a GPU is done.
        progress: Receives the numbers of finished and of all rounds after each round.
        least_s: A call that takes less seconds is repeated in its turn until it takes as long: a single one
            of a tenth of a millisecond says more of what interrupted it.

    Returns:
        The times of one call of each, by name.

    >>> sorted(interleave({"sum": lambda: sum(range(9)), "max": lambda: max(1, 2)}, rounds=3))
    ['max', 'sum']
    """
    finish = finish or (lambda: None)
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for call in calls.values():
        call()
    finish()
    repeats = {name: repeats_for(call, least_s) if least_s else 1 for name, call in calls.items()}
    for number in range(rounds):
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            call, times = calls[name], repeats[name]
            finish()
            start = time.perf_counter()
            for _ in range(times):
                call()
            finish()
            seconds[name].append((time.perf_counter() - start) / times)
        if progress is not None:
            progress(number + 1, rounds)
    return {name: Timing(tuple(own)) for name, own in seconds.items()}


def repeats_for(call: Callable[[], object], least_s: float) -> int:
    """How often `call`, which was called before, has to be repeated to take `least_s` seconds; at least 1."""
    start = time.perf_counter()
    call()
    return max(1, math.ceil(least_s / (time.perf_counter() - start)))


def limit_calls(
    device: torch.device, precisions: Sequence[str]
) -> dict[str, tuple[Callable[[], object], float]]:
    """Calls that use a machine as fully as possible, each with the amount of work that it does.

    Args:
        device: Where they run.
        precisions: Names of dtypes, such as `float32` and `bfloat16`.

    Returns:
        `bytes_per_s` copies, and counts the bytes read and written; `<precision>_flops_per_s` multiplies
        square matrices, and counts the operations.
    """
    source = torch.zeros(COPIED_VALUES, device=device)
    target = torch.empty_like(source)
    calls: dict[str, tuple[Callable[[], object], float]] = {
        "bytes_per_s": (partial(target.copy_, source), 2.0 * source.nbytes)
    }
    side = MATRIX_SIDE["cpu" if device.type == "cpu" else "gpu"]
    for precision in precisions:
        a, b = (torch.randn(side, side, device=device, dtype=getattr(torch, precision)) for _ in range(2))
        calls[f"{precision}_flops_per_s"] = partial(torch.mm, a, b), 2.0 * side**3
    return calls
