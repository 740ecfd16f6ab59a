"""What numbers from several runs, or answers on the same pictures, do and do not show."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Runs beyond which nobody would go on.
MOST_RUNS = 10_000
#: Fewer runs than this, drawn again from themselves, say less of how they vary than they seem to.
ENOUGH_RUNS = 10


@dataclass(frozen=True)
class Interval:
    """`mean` and standard `deviation` of `n` values, and the mean's interval by Student's t.

    Of a single value the deviation is nan and the interval is everything.
    """

    mean: float
    deviation: float
    n: int
    low: float
    high: float
    confidence: float


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The interval of the mean of `values`, at least one."""
    from scipy.special import stdtrit  # scipy.stats takes a second and a half to import

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Interval(mean, math.nan, 1, -math.inf, math.inf, confidence)
    deviation = float(np.std(values, ddof=1))
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)
    return Interval(mean, deviation, n, mean - reach, mean + reach, confidence)


def runs_to_resolve(
    distance: float, deviation: float, confidence: float = 0.95, power: float = 0.8
) -> int | None:
    """How many values of this `deviation` it takes for the interval of their mean to leave out a point at
    `distance` from the true mean, with the probability `power`.

    None where `MOST_RUNS` would not do, or nothing is known of their deviation.
    """
    from scipy.special import stdtrit

    if not deviation >= 0 or distance <= 0:
        return None
    n = np.arange(2, MOST_RUNS + 1)
    reach = stdtrit(n - 1, (1 + confidence) / 2) + stdtrit(n - 1, power)
    enough = reach * deviation / np.sqrt(n) < distance
    return int(n[enough.argmax()]) if enough.any() else None


@dataclass(frozen=True)
class PairedTest:
    """Of two classifiers on the same pictures: how many only the second gets right, how many only the
    first, and the probability `p` of a difference at least as large by chance (McNemar's exact test)."""

    better: int
    worse: int
    p: float


def paired_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """Is the second better? (N,) each: whether picture i is classified rightly."""
    from scipy.stats import binomtest

    better, worse = int((second & ~first).sum()), int((first & ~second).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0
    return PairedTest(better, worse, p)


@dataclass(frozen=True)
class Bootstrap:
    """By how much more of the pictures, in points, the second is right, and where that lies with 95 %."""

    difference: float
    low: float
    high: float


def bootstrap_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], draws: int = 2000, seed: int = 0
) -> Bootstrap:
    """The difference on pictures drawn again from these: (R, N) each, R runs paired by row.

    Pictures are drawn alike for all runs, whose answers to one picture go together. Runs are drawn again too
    from `ENOUGH_RUNS` on; with fewer, what is left out is how other runs would have come out.
    """
    differences = second.astype(np.float64) - first.astype(np.float64)
    runs, pictures = differences.shape
    random = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        own = differences[random.integers(runs, size=runs)] if runs >= ENOUGH_RUNS else differences
        drawn[i] = own.mean(axis=0)[random.integers(pictures, size=pictures)].mean()
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Bootstrap(100 * float(differences.mean()), 100 * float(low), 100 * float(high))
