"""Intervals and tests for several runs, or for predictions on the same images."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

#: `runs_to_resolve` gives up above this number of runs.
MAX_RUNS = 10_000
#: A rate whose interval is wider than this says too little: there are too few images to tell.
MAX_WIDTH = 0.5
#: Fewer runs than this, resampled from themselves, understate how much runs vary.
MIN_RUNS_TO_RESAMPLE = 10


@dataclass(frozen=True)
class Interval:
    """`mean` and standard `deviation` of `n` values, and the mean's interval by Student's t.

    A single value has the deviation nan and an infinite interval.
    """

    mean: float
    deviation: float
    n: int
    low: float
    high: float
    confidence: float


def interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """The confidence interval of the mean of `values`, of which there is at least one.

    >>> ours = interval([22.4, 21.9, 23.0])
    >>> f"{ours.low:.2f} to {ours.high:.2f}"
    '21.07 to 23.80'
    """
    from scipy.special import stdtrit  # scipy.stats takes a second and a half to import

    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Interval(mean, math.nan, 1, -math.inf, math.inf, confidence)
    deviation = float(np.std(values, ddof=1))
    reach = float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)
    return Interval(mean, deviation, n, mean - reach, mean + reach, confidence)


def p_value(distance: float, deviation: float, n: int) -> float | None:
    """Probability, by Student's t, of a mean at least as far from a point as `distance` if the point is true.

    An interval of confidence 1 - p just touches the point. None where the deviation is unknown.

    >>> round(p_value(1.0, 1.0, 5), 3)
    0.089
    """
    from scipy.special import stdtr

    if n < 2 or not deviation >= 0:
        return None
    if deviation == 0:
        return 0.0 if distance else 1.0
    return float(2 * stdtr(n - 1, -abs(distance) * math.sqrt(n) / deviation))


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for being so many, in their order (Holm 1979).

    Those that are below a level after it are wrong, any one of them, with at most that probability.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted: dict[int, float] = {}
    largest = 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return [adjusted[i] for i in range(len(p_values))]


def wilson(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Lower and upper end of Wilson's score interval of a probability, of which `successes` in `n` were seen.

    It stays within 0 and 1, and does not shrink to a point where all or none succeed. Of nothing seen
    (`n` = 0) it is all from 0 to 1.

    >>> [round(end, 3) for end in wilson(9, 10)]
    [0.596, 0.982]
    """
    from scipy.special import ndtri

    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, float(ndtri((1 + confidence) / 2)) ** 2
    middle = share + z2 / (2 * n)
    reach = math.sqrt(z2 * (share * (1 - share) + z2 / (4 * n)) / n)
    low, high = ((middle + sign * reach) / (1 + z2 / n) for sign in (-1, 1))
    return low if successes else 0.0, high if successes < n else 1.0


@dataclass(frozen=True)
class Rate:
    """How often something came out right: `successes` of `n`, both counted.

    >>> rate = Rate(9, 10)
    >>> rate.share, rate.is_resolved, Rate(1, 2).is_resolved
    (0.9, True, False)
    """

    successes: int
    n: int

    @property
    def share(self) -> float:
        """From 0 to 1; 0 of nothing."""
        return self.successes / self.n if self.n else 0.0

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval by Wilson."""
        return wilson(self.successes, self.n)

    @property
    def is_resolved(self) -> bool:
        """Whether the interval is at most `MAX_WIDTH` wide; otherwise there are too few images to tell."""
        low, high = self.interval
        return high - low <= MAX_WIDTH

    @property
    def interval_text(self) -> str:
        """The interval for people, in percent."""
        low, high = self.interval
        told = "" if self.is_resolved else "too few images to tell: "
        return f"{told}{100 * low:.1f} to {100 * high:.1f} %"


def runs_to_resolve(
    distance: float, deviation: float, confidence: float = 0.95, power: float = 0.8
) -> int | None:
    """The smallest number of values whose mean's interval excludes a point at `distance` from the true mean.

    Args:
        distance: From the true mean to the point, in the unit of the values.
        deviation: Standard deviation of the values.
        confidence: Of the interval.
        power: Probability that the interval excludes the point.

    Returns:
        The number; None above `MAX_RUNS`, or where the deviation is unknown.

    >>> runs_to_resolve(distance=1.0, deviation=1.0)
    10
    """
    from scipy.special import stdtrit

    n = np.arange(2, MAX_RUNS + 1)
    reach = stdtrit(n - 1, (1 + confidence) / 2) + stdtrit(n - 1, power)
    enough = reach * deviation / np.sqrt(n) < distance
    return int(n[enough.argmax()]) if enough.any() else None


@dataclass(frozen=True)
class PairedTest:
    """McNemar's exact test of two classifiers on the same images.

    `better` images only the second classifies correctly, `worse` images only the first. `p` is the
    probability of a difference at least as large between two equally good classifiers.
    """

    better: int
    worse: int
    p: float


def paired_test(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> PairedTest:
    """McNemar's test of the second classifier against the first.

    Args:
        first: (N,) whether the first classifies image i correctly.
        second: (N,) the same for the second.
    """
    from scipy.stats import binomtest

    better, worse = int((second & ~first).sum()), int((first & ~second).sum())
    p = float(binomtest(better, better + worse).pvalue) if better != worse else 1.0
    return PairedTest(better, worse, p)


@dataclass(frozen=True)
class Bootstrap:
    """How many more of the images the second classifies correctly, in points, with its 95 % interval."""

    difference: float
    low: float
    high: float


def crossed_bootstrap(
    differences: NDArray[np.float64], confidence: float = 0.95, draws: int = 2000, seed: int = 0
) -> tuple[float, float]:
    """Lower and upper end of an interval of a mean over runs and images, for other runs and other images.

    Runs and images are resampled independently of each other in each draw (the pigeonhole bootstrap of Owen
    2007, whose variance is never too small for many of both). Few runs, resampled from themselves, vary less
    than new ones by n - 1 in n; their part is widened by that.

    Args:
        differences: (R, N), one for each run and image.
        confidence: Of the interval.
        draws: Number of resamples.
        seed: Of the draws.
    """
    runs, images = differences.shape
    random = np.random.default_rng(seed)
    mean = differences.mean()
    of_runs = differences.mean(axis=1)
    drawn = np.empty(draws)
    for i in range(draws):
        chosen = random.integers(runs, size=runs)
        own = of_runs[chosen].mean() - mean
        counts = np.bincount(random.integers(images, size=images), minlength=images)
        of_images = (counts * differences[chosen].mean(axis=0)).sum() / images
        drawn[i] = of_images + own * (math.sqrt(runs / max(runs - 1, 1)) - 1)
    low, high = np.quantile(drawn, ((1 - confidence) / 2, (1 + confidence) / 2))
    return float(low), float(high)


def pooled_deviation(groups: Iterable[Sequence[float]]) -> tuple[float, int]:
    """The standard deviation that groups of values share, and its degrees of freedom.

    >>> pooled_deviation([[1.0, 3.0], [2.0, 2.0]])
    (1.0, 2)
    """
    own = [np.asarray(values) for values in groups if len(values)]
    freedom = sum(len(values) - 1 for values in own)
    squares = sum(float(((values - values.mean()) ** 2).sum()) for values in own)
    return (math.sqrt(squares / freedom), freedom) if freedom else (math.nan, 0)


def bootstrap_difference(
    first: NDArray[np.bool_], second: NDArray[np.bool_], draws: int = 2000, seed: int = 0
) -> Bootstrap:
    """The difference in accuracy, with an interval by resampling the images.

    Each draw takes the same images for all runs, because the runs' predictions on one image belong together.
    From `MIN_RUNS_TO_RESAMPLE` runs on, the runs are resampled too; with fewer, the interval says nothing
    about other runs.

    Args:
        first: (R, N) whether run r of the first recipe classifies image i correctly.
        second: (R, N) the same for the second recipe; row r is paired with row r of `first`.
        draws: Number of resamples.
        seed: Of the draws.
    """
    differences = second.astype(np.float64) - first.astype(np.float64)
    runs, images = differences.shape
    random = np.random.default_rng(seed)
    drawn = np.empty(draws)
    for i in range(draws):
        own = differences[random.integers(runs, size=runs)] if runs >= MIN_RUNS_TO_RESAMPLE else differences
        drawn[i] = own.mean(axis=0)[random.integers(images, size=images)].mean()
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Bootstrap(100 * float(differences.mean()), 100 * float(low), 100 * float(high))
