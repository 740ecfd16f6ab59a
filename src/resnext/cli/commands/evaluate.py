"""`resnext evaluate`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.model_command import ModelCommand
from resnext.cli.option_checks import check_data, check_folder, check_model, check_not_negative
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say, say_text
from resnext.files import write_output
from resnext.names import counted, printable_lines, shorten
from resnext.recipe import OnBad, Views
from resnext.training.launcher import is_main_process

if TYPE_CHECKING:
    from resnext.metrics import ClassScores
    from resnext.statistics import Rate

#: Columns of the names of scores, and the heads of what stands beside the name of a class.
NAME_WIDTH, HEADS = 5, ("images", "precision, %", "recall, %", "F1, %")
#: Notes about splits whose images may have been trained on.
NOTES = {
    "all": "note: these are all images of the data; scores on images that were trained on are too good",
    "train": "note: these are the images to train on; scores on images that were trained on are too good",
}


@dataclass(frozen=True)
class EvaluateCommand(ModelCommand):
    """Score MODEL on DATA: top-1, top-5, loss, and each class."""

    name: ClassVar[str] = "evaluate"
    is_distributed: ClassVar[bool] = True

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, a weights file with its contract, or an exported file."""
    data: Annotated[Positional[str], arg(metavar="DATA")]
    """As for train. Classes are matched by name."""
    split: Literal["train", "val", "test"] | None = None
    """Split to score; test, else val, else train or all images, if left out."""
    json: Path | None = None
    """Write the scores here as JSON (- for the screen)."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode images."""
    views: Views = "one"
    """Average over more views of each image: its mirror image too, or five crops and their mirror images."""
    on_bad: OnBad = "fail"
    """What to do about images that cannot be read: stop, or list them and go on."""

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        check_folder("--json", self.json)
        check_not_negative(self, "workers")
        check_model(self.model)
        check_data(self.data)
        from resnext.cli.output import hint_at_skipping, note_workers, print_bad_images  # they import torch

        note_workers(self.workers)
        with hint_at_skipping():
            evaluation = self._evaluate()
        for note in evaluation.notes:
            say(f"note: {note}", file=sys.stderr)
        text = printable_lines(json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False))
        if str(self.json) == "-":
            say_text(text)
            return
        if self.json is not None and is_main_process():
            write_output(self.json, text + "\n")
        say(f"{counted(evaluation.scores.count, 'image')} of {evaluation.split}")
        if evaluation.split in NOTES:
            say(NOTES[evaluation.split], file=sys.stderr)
        print_evaluation(evaluation)
        print_bad_images(evaluation.bad)

    def _evaluate(self) -> resnext.Evaluation:
        from resnext.display.progress_bar import ProgressBar

        with ProgressBar("evaluating") as bar:
            return resnext.evaluate(
                self.model,
                self.data,
                split=self.split,
                device=self.device,
                on_bad=self.on_bad,
                workers=self.workers,
                views=self.views,
                engine=self.engine,
                foreign=self.foreign,
                progress=bar.update,
            )


def print_evaluation(evaluation: resnext.Evaluation) -> None:
    """Print the scores of all images, then a row for each class."""
    for name, value, about in _rows(evaluation):
        say(f"{name:<{NAME_WIDTH}} {value}  ({about})" if about else f"{name:<{NAME_WIDTH}} {value}")
    print_classes(evaluation.scores.classes)


def _rows(evaluation: resnext.Evaluation) -> Iterator[tuple[str, str, str]]:
    """Name, value and explanation of each score over all images."""
    scores, majority, calibration = evaluation.scores, evaluation.majority, evaluation.reliability
    for name, rate in (("top-1", scores.top1), ("top-5", scores.top5)):
        if rate is not None:
            error = f"error {100 * (1 - rate.share):.2f} %"
            yield name, f"{100 * rate.share:.2f} %", f"{rate.interval_text}; {error}"
    if majority is not None:
        yield "base", f"{100 * majority.share:.2f} %", "always answering the most frequent training class"
    if len({row.count for row in scores.classes if row.count}) > 1:
        yield "mean", f"{100 - scores.balanced_error:.2f} %", "of the classes' recalls: balanced accuracy"
    yield "loss", f"{scores.loss:.4f}", ""
    yield "ECE", f"{100 * calibration.ece:.2f} %", f"calibration error; {calibration.interval_text}"
    promises = evaluation.calibration
    if (sets := evaluation.sets) is not None and promises is not None and promises.sets is not None:
        yield (
            "sets",
            f"{100 * sets.coverage.share:.2f} %",
            f"hold the class; {sets.coverage.interval_text}; {100 * promises.sets.coverage:g} % was "
            f"promised, {sets.sizes.mean():.2f} classes in the mean",
        )
    if (rejected := evaluation.rejected) is not None and promises is not None and promises.rejection:
        asked = promises.rejection.false_alarms
        promised = "" if asked is None else f"; {100 * asked:g} % was promised"
        yield (
            "rejected",
            f"{100 * rejected.share:.2f} %",
            f"none of these; {rejected.interval_text}{promised}",
        )


def print_classes(classes: Sequence[ClassScores]) -> None:
    """Print a row for each class, in which no two names look alike."""
    from resnext.cli.output import number_table, print_table, room_beside
    from resnext.statistics import MAX_WIDTH

    rows = [_cells(row) for row in classes]
    beside = sum(2 + max(map(len, column)) for column in zip(HEADS, *rows, strict=True))
    names = shorten((row.name for row in classes), room_beside(beside + 2))
    table = number_table(["class"], HEADS)
    for row, cells in zip(classes, rows, strict=True):
        table.add_row(names[row.name], *cells)
    print_table(table)
    say("ranges: 95 % intervals (Wilson's; of ECE, by bootstrap)")
    if any(row.count and not (row.precise.is_resolved and row.recalled.is_resolved) for row in classes):
        say(f"too few: images to tell, as the interval is wider than {100 * MAX_WIDTH:.0f} points")


def _cells(row: ClassScores) -> list[str]:
    if not row.count:
        return ["not judged", "", "", ""]
    return [f"{row.count:,}", _cell(row.precise), _cell(row.recalled), f"{100 * row.f1:.1f}"]


def _cell(rate: Rate) -> str:
    """A rate and its interval, short."""
    low, high = rate.interval
    shown = f"{100 * low:.1f}-{100 * high:.1f}" if rate.is_resolved else "too few"
    return f"{100 * rate.share:.1f} ({shown})"
