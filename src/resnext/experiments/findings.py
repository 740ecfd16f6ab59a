"""`Findings`: what the records of one experiment show, as plain values for pages, plots and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resnext.statistics import Interval

#: Metrics of a run: the key in its record, and the words for people.
METRICS = {
    "top1_error": "error, %",
    "train_top1_error": "training error, %",
    "shown_top1_error": "error among the tested classes, %",
    "step_s": "seconds a step",
    "step_ratio": "time of a step over the first arm's",
}
ERROR, TRAINING_ERROR, SHOWN_ERROR, STEP_S, STEP_RATIO = METRICS
#: The error of the images that chose the epoch, where others judge: in no table of its own.
VAL_ERROR = "val_top1_error"
Verdict = Literal["holds", "reversed", "not resolved", "not finished", "not run", "diverged"]


@dataclass(frozen=True)
class ArmFindings:
    """One arm: its network, cost, published figures and ours, by metric.

    `params` and `macs` are None where it was not run; `published` are the figures of its counterpart in the
    paper. `curve` has the mean over the runs of each epoch: epoch, train_top1_error, val_top1_error.
    """

    name: str
    model: str
    params: int | None
    macs: int | None
    published: dict[str, float]
    ours: dict[str, Interval]
    curve: tuple[dict[str, float], ...] = ()


@dataclass(frozen=True)
class Finding:
    """A claim, the published effect, and ours, both in `unit`.

    `values` are the effects by seed and `ours` the interval of their mean, None where nothing was run. With
    fewer values than planned runs the verdict is "not finished", or "diverged" if diverged networks keep it
    so. `runs_needed` is the number of runs that would probably resolve the claim, if planned now.
    `p` is the probability, if the point where the verdict changes were true, of a mean as far from it; it
    counts the looks. `by_val` is the effect among the images that chose the epoch, where others judge.
    `pooled` is half the interval by the deviation that all arms share, with its degrees of freedom, and
    `with_images` the interval for other runs and other test images. `void_by` is the control whose
    outcome says that this claim shows something else.
    """

    claim: str
    metric: str
    unit: str
    published: float | None
    values: tuple[float, ...]
    ours: Interval | None
    verdict: Verdict
    runs_needed: int | None = None
    p: float | None = None
    by_val: Interval | None = None
    pooled: tuple[float, int] | None = None
    with_images: tuple[float, float] | None = None
    void_by: str = ""

    @property
    def is_judged(self) -> bool:
        """Whether there is a verdict on figures of ours."""
        return self.verdict in ("holds", "reversed", "not resolved")

    @property
    def others_text(self) -> tuple[str, str, str]:
        """The effect by val, half the pooled interval, and the interval with images; empty where unknown."""
        val, pooled, images = self.by_val, self.pooled, self.with_images
        return (
            "" if val is None else f"{val.mean:+.2f} ({val.low:+.2f} to {val.high:+.2f})",
            "" if pooled is None else f"± {pooled[0]:.2f} ({pooled[1]} df)",
            "" if images is None else f"{images[0]:+.2f} to {images[1]:+.2f}",
        )

    @property
    def ours_text(self) -> str:
        """Our effect with its interval, or the verdict where there is none."""
        if self.ours is None:
            return self.verdict
        mean, low, high = (self._in_unit(v) for v in (self.ours.mean, self.ours.low, self.ours.high))
        spread = f" ({low} to {high})" * (self.ours.n > 1)
        return f"{mean} {self.unit}{spread}, n = {self.ours.n}"

    @property
    def published_text(self) -> str:
        """The published effect, empty where there is none."""
        return "" if self.published is None else self._in_unit(self.published)

    def _in_unit(self, value: float) -> str:
        return f"{value:.2f}" if self.unit == "times" else f"{value:+.2f}"


@dataclass(frozen=True)
class Findings:
    """What one experiment showed at one scale.

    `setting` is what all arms share and `note` what the scale can show. `planned` runs of each arm were fixed
    before the first; intervals have the `confidence` that is left after `looks`, the number of times that
    runs were planned. `plots` are the plots to draw, `diverged` the runs whose loss was not finite, and
    `datasets` the data sets with their fingerprints. `as_published`: the networks are those of the paper.
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
    plots: tuple[str, ...]
    arms: tuple[ArmFindings, ...]
    findings: tuple[Finding, ...]
    diverged: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    commits: tuple[str, ...] = ()
    seconds: float = 0.0
    datasets: tuple[str, ...] = ()
    as_published: bool = False

    @property
    def is_run(self) -> bool:
        """Whether there is any outcome, divergence included."""
        return bool(self.diverged) or any(finding.ours is not None for finding in self.findings)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that the claims are about; beside ratios of times also the times."""
        metrics = tuple(dict.fromkeys(finding.metric for finding in self.findings))
        return (*metrics, STEP_S) if STEP_RATIO in metrics else metrics

    @property
    def command(self) -> str:
        """The command that runs it."""
        return f"resnext experiments run {self.experiment} --scale {self.scale}"

    @property
    def provenance(self) -> str:
        """How it was found, in a paragraph: runs, data, machines, commits, and the note."""
        made = [f"{self.planned} runs of each arm planned"]
        if self.looks > 1:
            made.append(f"planned {self.looks} times, so intervals of {100 * self.confidence:.4g} %")
        if self.diverged:
            made.append(f"diverged: {' and '.join(self.diverged)}")
        if self.seconds >= 360:
            made.append(f"{self.seconds / 3600:.1f} h of training")
        made += [*self.datasets, *self.devices]
        if self.commits:
            made.append(f"commit {', '.join(self.commits)}")
        return f"{'; '.join(made)}." + f" {self.note}" * bool(self.note)

    def remark(self, finding: Finding) -> str:
        """What to add to the verdict of one of the findings; empty where there is nothing."""
        if finding.void_by:
            return f"void, because of this outcome: {finding.void_by}"
        if finding.runs_needed is not None:
            seeds = f"`--seeds {finding.runs_needed}`"
            return f"{seeds} would resolve it in 4 of 5 cases if this were the true figure"
        if finding.verdict == "not finished":
            return f"{len(finding.values)} of {self.planned} runs"
        return ""


@dataclass(frozen=True)
class ReviewStatement:
    """A statement of the review, and what is `known` about it, with the source.

    An `experiment` tests it, or counting the costs of `models`; with neither there is nothing to test.
    """

    text: str
    known: str
    experiment: str | None = None
    models: tuple[str, ...] = ()
