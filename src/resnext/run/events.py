"""What a training run tells while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from resnext.cost import Cost
from resnext.data.batches import Plan
from resnext.data.decode import BadPicture
from resnext.metrics import Scores
from resnext.recipe import Recipe
from resnext.run.choices import Choice
from resnext.run.evaluate import Evaluation
from resnext.run.tally import Epoch
from resnext.training.loop import Step


@dataclass(frozen=True)
class Looked:
    """`done` of `total` pictures have been looked at before training."""

    done: int
    total: int


@dataclass(frozen=True)
class Settled:
    """Everything is decided; training begins, or goes on, at `first_step`.

    `counts` are pictures by split, after the `skipped` ones were left out; `notes` is for people.
    """

    folder: Path
    recipe: Recipe
    choices: tuple[Choice, ...]
    notes: tuple[str, ...]
    skipped: tuple[BadPicture, ...]
    counts: dict[str, int]
    classes: int
    cost: Cost
    device: str
    plan: Plan
    first_step: int

    def text(self) -> str:
        """All of it for people, one thing a line."""
        counts = ", ".join(f"{count:,} {name}" for name, count in self.counts.items())
        lines = [f"data       {counts}; {self.classes} classes"]
        lines += [f"           {note}" for note in self.notes]
        lines += [f"left out   {error}" for error in self.skipped]
        lines += [f"chosen     {c.field} = {show(c.value)}  ({c.why})" for c in self.choices]
        lines += [
            f"network    {self.recipe.model}: {self.cost.params:,} parameters, "
            f"{self.cost.macs / 1e6:,.1f} M multiply-adds a picture",
            f"machine    {self.device}",
            f"run        {self.folder}",
        ]
        if self.first_step:
            lines.append(f"resuming   at step {self.first_step} of {self.plan.steps}")
        return "\n".join(lines)


def show(value: object) -> str:
    """A recipe value for people."""
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


@dataclass(frozen=True)
class Decoded:
    """`done` of `total` small pictures have been decoded, in `data_s`, to be kept while training goes on."""

    done: int
    total: int
    data_s: float


@dataclass(frozen=True)
class Stepped:
    """One training step is done. So far this process has waited `data_s` for pictures to be read and decoded,
    and `transfer_s` for their way to the device."""

    step: Step
    plan: Plan
    data_s: float
    transfer_s: float


@dataclass(frozen=True)
class Judged:
    """An epoch of `epochs` is over: what it did, scores on val, and whether they are the best so far."""

    epoch: Epoch
    epochs: int
    val: Scores
    is_best: bool


@dataclass(frozen=True)
class Finished:
    """The run is over; its files lie in `folder`, its weights were the best of epoch `best_epoch`.

    `seconds` went into training, `data_s` of them into waiting for pictures; it stood still for
    `standstill_s` more to save `saves` checkpoints (of this process; a resumed run had others).
    """

    folder: Path
    best_epoch: int
    evaluations: tuple[Evaluation, ...]
    seconds: float
    data_s: float
    saves: int
    standstill_s: float

    def text(self) -> str:
        """All of it for people, one thing a line."""
        lines = [
            f"best epoch {self.best_epoch}; {self.seconds:,.0f} s of training, of which "
            f"{self.data_s:,.0f} s waiting for pictures",
            f"{self.saves} checkpoints saved, training stood still {self.standstill_s:.1f} s for them",
        ]
        for evaluation in self.evaluations:
            scores = evaluation.scores
            role = "" if evaluation.split == "test" else " (chose the epoch, so optimistic)"
            top1 = f"top-1 {100 - scores.top1_error:.2f} % of {scores.count:,} pictures"
            lines.append(f"{evaluation.split:<5} {top1}{role}")
        lines.append(f"model      {self.folder / 'model'}")
        lines.append(f"next       resnext predict {self.folder} PICTURES...")
        return "\n".join(lines)


Event = Looked | Settled | Decoded | Stepped | Judged | Finished
