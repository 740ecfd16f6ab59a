"""`resnext predict`."""

from __future__ import annotations

import contextlib
import sys
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.model_command import ModelCommand
from resnext.cli.option_checks import (
    check_folder,
    check_model,
    check_not_negative,
    check_positive,
    check_suffix,
)
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say
from resnext.errors import UsageError
from resnext.names import printable, shorten
from resnext.recipe import OnBad, Views

if TYPE_CHECKING:
    from resnext.cli.prediction_files import PredictionWriter


#: Most columns of a class with its description.
DESCRIBED_WIDTH = 40


@dataclass(frozen=True)
class PredictCommand(ModelCommand):
    """Name the class of images."""

    name: ClassVar[str] = "predict"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, a weights file with its contract, or an exported file."""
    images: Annotated[Positional[tuple[str, ...]], arg(metavar="IMAGES")]
    """Files, folders (searched to any depth) and globs."""
    out: Path | None = None
    """Write a table here: .csv, .jsonl or .parquet."""
    top: int = 3
    """Classes to show for each image, on the screen and in the table."""
    probabilities: Literal["top", "all"] = "top"
    """What the table holds: the --top likeliest classes, or the probabilities of all."""
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
        paths = self._find_images()
        from resnext.cli.output import (  # these take torch, or as long
            hint_at_skipping,
            note_workers,
            print_bad_images,
        )
        from resnext.data.decode import BadImage

        note_workers(self.workers)
        classifier = resnext.load(self.model, self.device, engine=self.engine, foreign=self.foreign)
        if classifier.note:
            say(f"note: {classifier.note}", file=sys.stderr)
        count, bad = 0, []
        with hint_at_skipping(), self._writer(classifier.contract) as writer:
            for outcome in resnext.predict_many(classifier, paths, workers=self.workers, views=self.views):
                if not isinstance(outcome, BadImage):
                    writer.write(outcome)
                    count += 1
                elif self.on_bad == "fail":
                    raise outcome
                else:
                    bad.append(outcome)
        if self.out is not None:
            say(f"{count:,} predictions in {self.out}")
        print_bad_images(bad)

    def _find_images(self) -> list[str]:
        """The images to predict. All options are checked, before torch is imported."""
        from resnext.data.image_files import find_image_files

        if not self.images:
            raise UsageError("predict needs IMAGES: files, folders or globs")
        check_positive(self, "top")
        check_not_negative(self, "workers")
        check_folder("--out", self.out)
        if self.out is not None:
            from resnext.cli.prediction_files import WRITERS

            check_suffix("--out", self.out, WRITERS)
        check_model(self.model)
        found = find_image_files(self.images)
        if found.skipped:
            say(f"note: {found.note()}", file=sys.stderr)
        return found.paths

    def _writer(self, contract: resnext.Contract) -> AbstractContextManager[PredictionWriter]:
        if self.out is None:
            return contextlib.closing(PredictionPrinter(contract, self.top))
        from resnext.cli.prediction_files import AllColumns, TopColumns, open_prediction_writer

        everything = self.probabilities == "all"
        classes = contract.classes
        columns = AllColumns(classes) if everything else TopColumns(min(self.top, len(classes)))
        return open_prediction_writer(self.out, columns)


class PredictionPrinter:
    """A `PredictionWriter` that prints a line for each image, with its `top` likeliest classes, described if
    the contract does."""

    def __init__(self, contract: resnext.Contract, top: int) -> None:
        if contract.descriptions:
            described = {name: contract.describe(name) for name in contract.classes}
            short = shorten(described.values(), DESCRIBED_WIDTH)
            self._names = {name: short[text] for name, text in described.items()}
        else:
            self._names = {name: printable(name) for name in contract.classes}
        self._width, self._top = max(map(len, self._names.values())), top

    def write(self, prediction: resnext.Prediction) -> None:
        likeliest = prediction.ranking[: self._top]
        shown = "  ".join(f"{self._names[name]:<{self._width}} {100 * p:5.1f} %" for name, p in likeliest)
        say(f"{prediction.key}  {'none of these: ' if prediction.rejected else ''}{shown}")

    def close(self) -> None:
        pass
