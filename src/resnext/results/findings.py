"""`Findings`: what the result lines of one experiment show, as plain values that tables are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resnext.results.statistics import Interval

#: Figures of a run by what lines call them, and what people do.
METRICS = {
    "top1_error": "error, %",
    "train_top1_error": "training error, %",
    "shown_top1_error": "error among the tested classes, %",
    "step_s": "seconds a step",
    "step_ratio": "time of a step over the first arm's",
}
ERROR, TRAINING_ERROR, SHOWN_ERROR, STEP_S, STEP_RATIO = METRICS
Verdict = Literal["holds", "reversed", "not resolved", "not finished", "not run", "diverged"]


@dataclass(frozen=True)
class Arm:
    """One network of an experiment: its cost where it was run, the published figures of its counterpart
    (`paper`) and ours, by metric.

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

    `values` are those of the seeds; where they are fewer than planned the verdict is "not finished", or
    "diverged" where it will stay so because some networks did. `needed` are the runs that would probably
    resolve it, if they were planned now.
    """

    claim: str
    metric: str
    unit: str
    paper: float | None
    values: tuple[float, ...]
    ours: Interval | None
    verdict: Verdict
    needed: int | None = None

    @property
    def figure(self) -> str:
        """The figure that decided, with its interval; the verdict where there is none."""
        if self.ours is None:
            return self.verdict
        mean, low, high = (self._in_unit(v) for v in (self.ours.mean, self.ours.low, self.ours.high))
        spread = f" ({low} to {high})" * (self.ours.n > 1)
        return f"{mean} {self.unit}{spread}, n = {self.ours.n}"

    @property
    def published(self) -> str:
        """What was published, in `unit`; empty where nothing was."""
        return "" if self.paper is None else self._in_unit(self.paper)

    def _in_unit(self, value: float) -> str:
        return f"{value:.2f}" if self.unit == "times" else f"{value:+.2f}"


@dataclass(frozen=True)
class Findings:
    """One experiment at one scale, which can show what `note` says; `drawings` are the plots of it, `sets`
    what was trained on, each with its fingerprint. `as_published`: the networks are those of the paper.

    `planned` runs were fixed before the first; intervals have the `confidence` that is left after `looks`,
    the times that a number was planned, or the whole anew. `diverged` are the runs that came to nothing.
    """

    experiment: str
    claim: str
    source: str
    scale: str
    setting: str
    note: str
    planned: int
    looks: int
    confidence: float
    drawings: tuple[str, ...]
    arms: tuple[Arm, ...]
    findings: tuple[Finding, ...]
    diverged: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    seconds: float = 0.0
    sets: tuple[str, ...] = ()
    as_published: bool = False

    @property
    def is_run(self) -> bool:
        """Has anything been found out, be it that networks diverge?"""
        return bool(self.diverged) or any(finding.ours is not None for finding in self.findings)

    @property
    def metrics(self) -> tuple[str, ...]:
        """What the claims are about; beside ratios of times the times."""
        metrics = list(dict.fromkeys(finding.metric for finding in self.findings))
        return (*metrics, STEP_S) if STEP_RATIO in metrics else tuple(metrics)

    @property
    def command(self) -> str:
        """What to type for it."""
        return f"resnext experiments run {self.experiment} --scale {self.scale}"

    @property
    def account(self) -> str:
        """Of what and how it was found, in a paragraph."""
        made = [f"{self.planned} runs of each planned"]
        if self.looks > 1:
            made.append(f"planned {self.looks} times, so intervals of {100 * self.confidence:.4g} %")
        if self.diverged:
            made.append(f"diverged: {' and '.join(self.diverged)}")
        if self.seconds >= 360:
            made.append(f"{self.seconds / 3600:.1f} h of training")
        made += [*self.sets, *self.devices]
        if self.commits:
            made.append(f"commit {', '.join(self.commits)}")
        return f"{'; '.join(made)}." + f" {self.note}" * bool(self.note)

    def remark(self, finding: Finding) -> str:
        """What is to be said of a verdict here, if anything."""
        if finding.needed is not None:
            return f"`--seeds {finding.needed}` would tell in 4 of 5 cases, were this the true figure"
        if finding.verdict == "not finished":
            return f"{len(finding.values)} of {self.planned} runs"
        return ""


@dataclass(frozen=True)
class Statement:
    """A sentence of the review and what is `known` of it, by its source.

    It is answered by the claims of an `experiment`, or by counting `models`; else there is nothing to try.
    """

    said: str
    known: str
    experiment: str | None = None
    models: tuple[str, ...] = ()
