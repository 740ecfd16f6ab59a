"""`resnext evaluate`."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.option_checks import check_folder, check_model, check_not_negative
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say, say_text
from resnext.names import printable
from resnext.recipe import OnBad, Views
from resnext.training.launcher import is_main_process

if TYPE_CHECKING:
    from resnext.metrics import Scores

#: Notes about splits whose images may have been trained on.
NOTES = {
    "all": "note: these are all images of the data; scores on images that were trained on are too good",
    "train": "note: these are the images to train on; scores on images that were trained on are too good",
}


@dataclass(frozen=True)
class EvaluateCommand(Command):
    """Score MODEL on DATA: top-1, top-5, loss, and each class."""

    name: ClassVar[str] = "evaluate"
    is_distributed: ClassVar[bool] = True

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
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
        from resnext.cli.output import hint_at_skipping, note_workers, print_bad_images  # they import torch

        note_workers(self.workers)
        with hint_at_skipping():
            evaluation = self._evaluate()
        text = json.dumps(evaluation.to_json(), indent=2, ensure_ascii=False)
        if str(self.json) == "-":
            say_text(text)
            return
        if self.json is not None and is_main_process():
            self.json.write_text(text + "\n", encoding="utf-8")
        say(f"{evaluation.scores.count:,} images of {evaluation.split}")
        if evaluation.split in NOTES:
            say(NOTES[evaluation.split], file=sys.stderr)
        print_scores(evaluation.scores)
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
                progress=bar.update,
            )


def print_scores(scores: Scores) -> None:
    """Print the scores of all images, then a row for each class."""
    from resnext.cli.output import number_table, print_table

    for k, error in ((1, scores.top1_error), (5, scores.top5_error)):
        if error is not None:
            say(f"top-{k} {100 - error:.2f} %  (error {error:.2f} %)")
    if len({row.count for row in scores.classes if row.count}) > 1:
        say(f"mean  {100 - scores.balanced_error:.2f} %  (of the classes' recalls: balanced accuracy)")
    say(f"loss  {scores.loss:.4f}")
    table = number_table(["class"], ["images", "precision", "recall", "F1"])
    for row in scores.classes:
        values = [f"{100 * v:.1f} %" for v in (row.precision, row.recall, row.f1)]
        shown = [f"{row.count:,}", *values] if row.count else ["not judged", "", "", ""]
        table.add_row(printable(row.name), *shown)
    print_table(table)
