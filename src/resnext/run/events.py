"""What a training run reports while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resnext.cost import Cost
from resnext.data.decode import BadImage
from resnext.data.sampling import SamplingPlan
from resnext.metrics import Scores
from resnext.names import counted, printable, shorten
from resnext.recipe import Recipe
from resnext.run.autoconfig import Choice
from resnext.run.evaluation import Evaluation
from resnext.run.meters import EpochSummary
from resnext.run.timed_loader import WaitTimes
from resnext.training.loop import Step


@dataclass(frozen=True)
class ScanProgress:
    """`done` of `total` images have been scanned before training."""

    done: int
    total: int


#: Most classes that are shown one by one; of more, the first and the last ones.
MOST_CLASSES, FIRST_CLASSES = 12, 3
#: Most columns for the name of a class.
CLASS_WIDTH = 40


@dataclass(frozen=True)
class ClassCount:
    """A class and its images by split."""

    name: str
    images: dict[str, int]


@dataclass(frozen=True)
class RunStarted:
    """Every choice is made; training starts, or resumes, at `first_step`.

    `counts` are images by split, without those in `skipped`, and `class_counts` those of each class;
    `choices` and `notes` are for people. With `has_weights` the run started from weights.
    """

    folder: Path
    recipe: Recipe
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]
    skipped: tuple[BadImage, ...]
    counts: dict[str, int]
    classes: int
    cost: Cost
    device: str
    plan: SamplingPlan
    first_step: int
    class_counts: tuple[ClassCount, ...] = ()
    has_weights: bool = False

    def text(self) -> str:
        """All of it for people, line by line."""
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        lines = [f"data       {counts}; {self.classes} classes"]
        lines += [f"{'' if number else 'classes':<11}{row}" for number, row in enumerate(self._class_rows())]
        lines += [f"           {note}" for note in self.notes]
        lines += [f"left out   {error}" for error in self.skipped]
        lines += [f"chosen     {c.field} = {show(c.value)}  ({c.why})" for c in self.choices]
        lines += [
            f"network    {self.recipe.model}: {self.cost.params:,} parameters, "
            f"{self.cost.macs / 1e6:,.1f} M multiply-adds an image",
            f"machine    {self.device}",
            f"run        {self.folder}",
        ]
        if self.first_step:
            lines.append(f"resuming   at step {self.first_step} of {self.plan.steps}")
        return "\n".join(map(printable, lines))

    def _class_rows(self) -> list[str]:
        """A row for each class, with its images by split; of many classes, for the first and the last."""
        classes = self.class_counts
        if len(classes) <= MOST_CLASSES:
            return _class_table(classes)
        rows = _class_table((*classes[:FIRST_CLASSES], classes[-1]))
        least, most = (choose(classes, key=lambda c: c.images["train"]) for choose in (min, max))
        fewest, size = f"{least.images['train']:,} ({least.name}) to ", f"{most.images['train']:,}"
        sizes = size if least.images["train"] == most.images["train"] else f"{fewest}{size} ({most.name})"
        more = f"... {len(classes) - FIRST_CLASSES - 1:,} more, with {sizes} training images each"
        return [*rows[:-1], more, rows[-1]]


def _class_table(classes: tuple[ClassCount, ...]) -> list[str]:
    if not classes:
        return []
    short = shorten((one.name for one in classes), CLASS_WIDTH)
    width = max(map(len, short.values()))
    digits = {split: max(len(f"{one.images[split]:,}") for one in classes) for split in classes[0].images}
    return [
        f"{short[one.name]:<{width}}  "
        + "  ".join(f"{count:>{digits[split]},} {split}" for split, count in one.images.items())
        for one in classes
    ]


def show(value: object) -> str:
    """A recipe value for people."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class DecodeProgress:
    """`done` of `total` small images have been decoded; they are kept for the whole training."""

    done: int
    total: int
    waits: WaitTimes


@dataclass(frozen=True)
class StepEnd:
    """A training step is done. `waits` are the times that this process has waited for images since the
    start."""

    step: Step
    plan: SamplingPlan
    waits: WaitTimes


@dataclass(frozen=True)
class EpochEnd:
    """One of `epochs` is over: its training metrics, its scores on val, and whether they are the best so
    far."""

    epoch: EpochSummary
    epochs: int
    val: Scores
    is_best: bool


@dataclass(frozen=True)
class FeatureProgress:
    """The features of `done` of `total` views of images are kept; `computed` of them were computed now.

    `waits` are the times that this process has waited for images since the start.
    """

    done: int
    total: int
    computed: int
    waits: WaitTimes


@dataclass(frozen=True)
class HeadFitted:
    """A head was fitted with one of `penalties`: its scores on train and val, and whether it is the best so
    far."""

    fit: EpochSummary
    penalty: float
    penalties: int
    val: Scores
    is_best: bool

    def text(self) -> str:
        """All of it for people, in one line."""
        return (
            f"penalty {self.penalty:.1e} ({self.fit.epoch}/{self.penalties}): "
            f"train loss {self.fit.loss:.4f}, top-1 {100 - self.fit.top1_error:.2f} %; "
            f"val loss {self.val.loss:.4f}, top-1 {100 - self.val.top1_error:.2f} %"
        )


@dataclass(frozen=True)
class RunFinished:
    """The run is over. Its files lie in `folder`; its weights are those of epoch `best_epoch`.

    Training took `seconds`, of which `data_s` were spent waiting for images. This process saved `saves`
    checkpoints, and training stood still for `standstill_s` meanwhile.
    """

    folder: Path
    best_epoch: int
    evaluations: tuple[Evaluation, ...]
    seconds: float
    data_s: float
    saves: int
    standstill_s: float

    def text(self) -> str:
        """All of it for people, line by line."""
        lines = self._how()
        for evaluation in self.evaluations:
            scores = evaluation.scores
            top1 = f"top-1 {100 - scores.top1_error:.2f} % of {scores.count:,} images"
            lines.append(f"{evaluation.split:<5} {top1}{evaluation.role}")
        lines.append(f"model      {self.folder / 'model'}")
        lines.append(f"next       resnext predict {self.folder} IMAGES...")
        return "\n".join(map(printable, lines))

    def _how(self) -> list[str]:
        return [
            f"best epoch {self.best_epoch}; {self.seconds:,.0f} s of training, of which "
            f"{self.data_s:,.0f} s waiting for images",
            f"{counted(self.saves, 'checkpoint')} saved; training stood still for {self.standstill_s:.1f} s",
        ]


@dataclass(frozen=True)
class HeadRunFinished(RunFinished):
    """A run that fitted the head is over: with `penalty`, the one of number `best_epoch`."""

    penalty: float = 0.0

    def _how(self) -> list[str]:
        return [
            f"best penalty {self.penalty:.1e}; {self.seconds:,.0f} s of training, of which "
            f"{self.data_s:,.0f} s waiting for images"
        ]


Event = (
    ScanProgress
    | RunStarted
    | DecodeProgress
    | StepEnd
    | EpochEnd
    | FeatureProgress
    | HeadFitted
    | RunFinished
)
