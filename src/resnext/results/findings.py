"""`Findings`: what the result lines of one experiment show, as plain values that tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resnext.results.statistics import Interval

Verdict = Literal["holds", "reversed", "not resolved", "not run"]


@dataclass(frozen=True)
class Arm:
    """One network of an experiment: its cost where it was run, the published figures (`paper`) and ours, by
    metric.

    `curve` is the mean over the runs of each epoch: epoch, train_top1_error, val_top1_error.
    """

    name: str
    model: str
    params: int | None
    macs: int | None
    paper: dict[str, float]
    ours: dict[str, Interval]
    curve: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Finding:
    """A claim, what was published and what came out: `ours` in `unit`, None where nothing was run.

    `values` are those of the seeds; `needed` are the runs that would resolve it, as far as one can tell.
    """

    claim: str
    metric: str
    unit: str
    paper: float | None
    values: tuple[float, ...]
    ours: Interval | None
    verdict: Verdict
    needed: int | None = None


@dataclass(frozen=True)
class Findings:
    """One experiment at one scale; `metrics` are the names of its figures for people, `drawings` the plots
    that show them. `planned` runs were fixed before the first; intervals are corrected for `looks`, the times
    that another number was planned."""

    experiment: str
    claim: str
    source: str
    scale: str
    setting: str
    planned: int
    looks: int
    metrics: dict[str, str]
    drawings: tuple[str, ...]
    arms: tuple[Arm, ...]
    findings: tuple[Finding, ...]
    devices: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_run(self) -> bool:
        """Has anything of it been run?"""
        return any(arm.ours for arm in self.arms)

    @property
    def command(self) -> str:
        """What to type for it."""
        return f"resnext experiments run {self.experiment} --scale {self.scale}"


@dataclass(frozen=True)
class Statement:
    """A sentence of the review and what is `known` of it, by its source.

    It is answered by the first claim of an `experiment`, by counting `models`, or is history.
    """

    said: str
    known: str
    experiment: str | None = None
    models: tuple[str, ...] = ()
