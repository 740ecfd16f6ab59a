"""What can be claimed of arms that share their seeds, and when such a claim holds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from resnext.results import ERROR, METRICS, STEP_RATIO, Finding, Interval, Verdict, interval, runs_to_resolve


@dataclass(frozen=True)
class Claim(ABC):
    """A sentence about the `metric` of arms, whose figure is told in `unit`; `published` is the figure of
    somebody else's networks, where that of the arms is not known."""

    text: str
    metric: str
    unit: str
    published: float | None
    #: Probability that one end of the interval shows what it should, with as many runs as would tell.
    power: ClassVar[float] = 0.8

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """Names of the arms that it is about."""

    @abstractmethod
    def figure(self, of: Mapping[str, float]) -> float:
        """The figure that decides, from each arm's metric: for one seed, or as published."""

    @abstractmethod
    def verdict(self, ours: Interval) -> Verdict:
        """What the interval of the figure says."""

    @abstractmethod
    def distance(self, ours: Interval) -> float:
        """How far the mean is from where the verdict changes."""

    def interval(self, values: Sequence[float], confidence: float) -> Interval:
        """Of the mean of the figure over seeds."""
        return interval(values, confidence)

    def find(
        self,
        paper: Mapping[str, float],
        seeds: Sequence[Mapping[str, float]],
        planned: int = 1,
        confidence: float = 0.95,
        confidence_next: float | None = None,
        lost: int = 0,
    ) -> Finding:
        """Judge by each seed's metrics of the arms, once there are as many as `planned`, or never where some
        are `lost` because a network diverged.

        `paper` has the published metrics. `confidence_next` would be that of another look.
        """
        published = self.figure(paper) if set(self.arms) <= set(paper) else self.published
        values = tuple(self.figure(seed) for seed in seeds)
        unfinished: Verdict = "diverged" if lost and len(values) + lost >= planned else "not finished"
        if not values:
            verdict: Verdict = "not run" if unfinished == "not finished" else unfinished
            return Finding(self.text, self.metric, self.unit, published, (), None, verdict)
        ours = self.interval(values, confidence)
        verdict = self.verdict(ours) if len(values) >= planned else unfinished
        needed = None
        if verdict == "not resolved":
            needed = runs_to_resolve(
                self.distance(ours), ours.deviation, confidence_next or confidence, self.power
            )
        return Finding(self.text, self.metric, self.unit, published, values, ours, verdict, needed)


@dataclass(frozen=True)
class Contrast(Claim):
    """A linear contrast, the sum of the arms' metrics each by its weight, is above 0."""

    weights: Mapping[str, float]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def figure(self, of: Mapping[str, float]) -> float:
        return sum(weight * of[arm] for arm, weight in self.weights.items())

    def verdict(self, ours: Interval) -> Verdict:
        return "holds" if ours.low > 0 else "reversed" if ours.high < 0 else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(ours.mean)


def lower(arm: str, than: str, metric: str = ERROR, text: str = "") -> Contrast:
    """The metric of `arm` is lower than that of another; `text` says so in other words."""
    usual = f"{arm} has a lower {METRICS[metric].removesuffix(', %')} than {than}"
    return Contrast(text or usual, metric, "points", None, {than: 1.0, arm: -1.0})


def falls(text: str, along: Mapping[str, float], metric: str = ERROR) -> Contrast:
    """The metric falls, on a line by least squares, as the arms' values in `along` grow by 1 (linear
    trend)."""
    mean = sum(along.values()) / len(along)
    squares = sum((x - mean) ** 2 for x in along.values())
    weights = {arm: -(x - mean) / squares for arm, x in along.items()}
    return Contrast(text, metric, "points each", None, weights)


def doublings(settings: Iterable[str]) -> dict[str, float]:
    """Of arms whose last word is like `32x4d`, how often their cardinality was doubled."""
    return {name: math.log2(int(name.split()[-1].split("x")[0])) for name in settings}


def hurts_more(text: str, one: tuple[str, str], other: tuple[str, str], metric: str = ERROR) -> Contrast:
    """From its first arm to its second, the metric grows more in `one` than in `other` (interaction)."""
    weights = {one[1]: 1.0, one[0]: -1.0, other[1]: -1.0, other[0]: 1.0}
    return Contrast(text, metric, "points", None, weights)


@dataclass(frozen=True)
class NoHigher(Claim):
    """The metric of `arm` is by less than `margin` higher than that of `than`: it holds only where the upper
    end of the interval is."""

    arm: str
    than: str
    margin: float

    @property
    def arms(self) -> tuple[str, ...]:
        return self.arm, self.than

    def figure(self, of: Mapping[str, float]) -> float:
        return of[self.arm] - of[self.than]

    def verdict(self, ours: Interval) -> Verdict:
        if ours.high < self.margin:
            return "holds"
        return "reversed" if ours.low > self.margin else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(self.margin - ours.mean)


@dataclass(frozen=True)
class Alike(NoHigher):
    """The metrics of two arms differ by less than `margin` either way: it holds only where the whole interval
    does."""

    power = 0.9  # where the two are equal, either end may fall outside

    def verdict(self, ours: Interval) -> Verdict:
        if -self.margin < ours.low and ours.high < self.margin:
            return "holds"
        return "reversed" if ours.low > self.margin or ours.high < -self.margin else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(self.margin - abs(ours.mean))


@dataclass(frozen=True)
class Times(Claim):
    """The metric of `what` is more than that of `than`, as a ratio."""

    what: str
    than: str

    @property
    def arms(self) -> tuple[str, ...]:
        return self.what, self.than

    def figure(self, of: Mapping[str, float]) -> float:
        return of[self.what] / of[self.than]

    def interval(self, values: Sequence[float], confidence: float) -> Interval:
        """Of the geometric mean: ratios are averaged as logarithms. The deviation is that of the ratios,
        as a share."""
        logs = interval([math.log(value) for value in values], confidence)
        low, high = math.exp(logs.low), (math.exp(logs.high) if logs.high < 700 else math.inf)
        return Interval(math.exp(logs.mean), logs.deviation, logs.n, low, high, confidence)

    def verdict(self, ours: Interval) -> Verdict:
        return "holds" if ours.low > 1 else "reversed" if ours.high < 1 else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(math.log(ours.mean))


def no_higher(text: str, arm: str, than: str, margin: float, metric: str = ERROR) -> NoHigher:
    """The metric of `arm` is at most by `margin` higher than that of another (non-inferiority)."""
    return NoHigher(text, metric, "points", None, arm, than, margin)


def alike(text: str, arm: str, than: str, margin: float, metric: str = ERROR) -> Alike:
    """The metrics of two arms differ by less than `margin` (equivalence)."""
    return Alike(text, metric, "points", None, arm, than, margin)


def longer(text: str, what: str, than: str, published: float | None = None) -> Times:
    """A step of `what` takes longer than one of `than`."""
    return Times(text, STEP_RATIO, "times", published, what, than)
