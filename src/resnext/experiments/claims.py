"""Claims about arms that share their seeds, and the rules by which a claim holds."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from resnext.experiments.findings import ERROR, METRICS, STEP_RATIO, Finding, Verdict
from resnext.statistics import Interval, interval, p_value, runs_to_resolve

#: Confidence of intervals after the first look.
FIRST_CONFIDENCE = 0.95


@dataclass(frozen=True)
class Claim(ABC):
    """A sentence about the `metric` of some arms, decided by an effect in `unit`.

    `published` is the effect that was published, for claims whose arms have no published metrics.
    """

    text: str
    metric: str
    unit: str
    published: float | None
    #: Probability that the recommended number of runs puts one end of the interval where it should be.
    power: ClassVar[float] = 0.8

    @property
    @abstractmethod
    def arms(self) -> tuple[str, ...]:
        """Names of the arms."""

    @property
    def weights_of_arms(self) -> Mapping[str, float] | None:
        """The effect as a sum over arms of weight times metric; None if it is no such sum."""
        return None

    @abstractmethod
    def effect(self, metrics: Mapping[str, float]) -> float:
        """The effect that decides, from the metric of each arm: of one seed, or as published."""

    @abstractmethod
    def verdict(self, ours: Interval) -> Verdict:
        """The verdict by the interval of the effect."""

    @abstractmethod
    def distance(self, ours: Interval) -> float:
        """Distance from the mean to the point where the verdict changes."""

    def interval(self, values: Sequence[float], confidence: float) -> Interval:
        """The interval of the mean effect over seeds."""
        return interval(values, confidence)

    def evaluate(
        self,
        published: Mapping[str, float],
        seeds: Sequence[Mapping[str, float]],
        planned: int = 1,
        confidence: float = FIRST_CONFIDENCE,
        confidence_next: float | None = None,
        lost: int = 0,
    ) -> Finding:
        """The finding that the runs give.

        Args:
            published: Published metric of each arm, as far as there is one.
            seeds: For each seed that all arms have, the metric of each arm.
            planned: Number of seeds; with fewer there is no verdict.
            confidence: Of the interval.
            confidence_next: Of the interval after another look; the default is `confidence`.
            lost: Number of planned seeds that a diverged network leaves out.
        """
        effect = self.effect(published) if set(self.arms) <= set(published) else self.published
        values = tuple(self.effect(seed) for seed in seeds)
        ours = self.interval(values, confidence) if values else None
        verdict = self._verdict(ours, planned, lost)
        needed = None
        if ours is not None and verdict == "not resolved":
            needed = runs_to_resolve(
                self.distance(ours), ours.deviation, confidence_next or confidence, self.power
            )
        p = None if ours is None else p_value(self.distance(ours), ours.deviation, ours.n)
        if p is not None:  # a look costs what it widens the interval by
            p = min(1.0, p * (1 - FIRST_CONFIDENCE) / (1 - confidence))
        return Finding(self.text, self.metric, self.unit, effect, values, ours, verdict, needed, p)

    def _verdict(self, ours: Interval | None, planned: int, lost: int) -> Verdict:
        had = 0 if ours is None else ours.n
        if ours is not None and had >= planned:
            return self.verdict(ours)
        if lost and had + lost >= planned:
            return "diverged"
        return "not finished" if had else "not run"


@dataclass(frozen=True)
class Contrast(Claim):
    """A linear contrast is above 0: the sum over arms of weight times metric."""

    weights: Mapping[str, float]

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(self.weights)

    @property
    def weights_of_arms(self) -> Mapping[str, float]:
        return self.weights

    def effect(self, metrics: Mapping[str, float]) -> float:
        return sum(weight * metrics[arm] for arm, weight in self.weights.items())

    def verdict(self, ours: Interval) -> Verdict:
        return "holds" if ours.low > 0 else "reversed" if ours.high < 0 else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(ours.mean)


@dataclass(frozen=True)
class NonInferior(Claim):
    """The metric of `arm` exceeds that of `than` by less than `margin` (non-inferiority).

    It holds only if the upper end of the interval is below the margin.
    """

    arm: str
    than: str
    margin: float

    @property
    def arms(self) -> tuple[str, ...]:
        return self.arm, self.than

    @property
    def weights_of_arms(self) -> Mapping[str, float]:
        return {self.arm: 1.0, self.than: -1.0}

    def effect(self, metrics: Mapping[str, float]) -> float:
        return metrics[self.arm] - metrics[self.than]

    def verdict(self, ours: Interval) -> Verdict:
        if ours.high < self.margin:
            return "holds"
        return "reversed" if ours.low > self.margin else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(self.margin - ours.mean)


@dataclass(frozen=True)
class Equivalent(NonInferior):
    """The errors of two arms differ by less than `margin` either way (equivalence).

    It holds only if the whole interval lies within the margin.
    """

    power = 0.9  # if the two are equal, either end may fall outside

    def verdict(self, ours: Interval) -> Verdict:
        if -self.margin < ours.low and ours.high < self.margin:
            return "holds"
        return "reversed" if ours.low > self.margin or ours.high < -self.margin else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(self.margin - abs(ours.mean))


@dataclass(frozen=True)
class TimeRatio(Claim):
    """The metric of `arm` over that of `than` is above 1."""

    arm: str
    than: str

    @property
    def arms(self) -> tuple[str, ...]:
        return self.arm, self.than

    def effect(self, metrics: Mapping[str, float]) -> float:
        return metrics[self.arm] / metrics[self.than]

    def interval(self, values: Sequence[float], confidence: float) -> Interval:
        """The interval of the geometric mean: ratios are averaged as logarithms.

        The deviation is that of the logarithms, which is nearly the relative deviation of the ratios.
        """
        logs = interval([math.log(value) for value in values], confidence)
        low, high = math.exp(logs.low), (math.exp(logs.high) if logs.high < 700 else math.inf)
        return Interval(math.exp(logs.mean), logs.deviation, logs.n, low, high, confidence)

    def verdict(self, ours: Interval) -> Verdict:
        return "holds" if ours.low > 1 else "reversed" if ours.high < 1 else "not resolved"

    def distance(self, ours: Interval) -> float:
        return abs(math.log(ours.mean))


def lower(arm: str, than: str, metric: str = ERROR, text: str = "") -> Contrast:
    """`arm` has a lower metric than another arm; `text` replaces the default sentence."""
    default = f"{arm} has a lower {METRICS[metric].removesuffix(', %')} than {than}"
    return Contrast(text or default, metric, "points", None, {than: 1.0, arm: -1.0})


def decreases(text: str, along: Mapping[str, float]) -> Contrast:
    """The error falls as the arms' values in `along` grow: the slope of a least-squares line, negated."""
    mean = sum(along.values()) / len(along)
    squares = sum((x - mean) ** 2 for x in along.values())
    weights = {arm: -(x - mean) / squares for arm, x in along.items()}
    return Contrast(text, ERROR, "points each", None, weights)


def doublings(settings: Iterable[str]) -> dict[str, float]:
    """How often the cardinality of each arm is doubled, for names that end in a word like `32x4d`.

    >>> doublings(["1x64d", "101 layers 32x4d"])
    {'1x64d': 0.0, '101 layers 32x4d': 5.0}
    """
    return {name: math.log2(int(name.split()[-1].split("x")[0])) for name in settings}


def interaction(text: str, one: tuple[str, str], other: tuple[str, str]) -> Contrast:
    """From its first arm to its second, the error grows more in `one` than in `other`."""
    weights = {one[1]: 1.0, one[0]: -1.0, other[1]: -1.0, other[0]: 1.0}
    return Contrast(text, ERROR, "points", None, weights)


def non_inferior(text: str, arm: str, than: str, margin: float) -> NonInferior:
    """The error of `arm` is at most `margin` points higher than that of `than`."""
    return NonInferior(text, ERROR, "points", None, arm, than, margin)


def equivalent(text: str, arm: str, than: str, margin: float) -> Equivalent:
    """The errors of two arms differ by less than `margin` points."""
    return Equivalent(text, ERROR, "points", None, arm, than, margin)


def slower(text: str, arm: str, than: str, published: float | None = None) -> TimeRatio:
    """A training step of `arm` takes longer than one of `than`."""
    return TimeRatio(text, STEP_RATIO, "times", published, arm, than)
