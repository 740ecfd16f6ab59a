"""`resnext predict`."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.image_progress import ImageProgress
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
from resnext.files import replacing
from resnext.names import counted, encodable, printable, shorten
from resnext.recipe import OnBad, Views
from resnext.recipe.options import ImageShard
from resnext.training import launcher

if TYPE_CHECKING:
    from resnext.data.decode import BadImage
    from resnext.data.image_files import FoundImages
    from resnext.engine import Classifier


#: Most columns of a class with its description.
DESCRIBED_WIDTH = 40


@dataclass(frozen=True)
class PredictCommand(ModelCommand):
    """Name the class of images."""

    name: ClassVar[str] = "predict"
    is_distributed: ClassVar[bool] = True
    works_apart: ClassVar[bool] = True

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
    resume: Annotated[bool, FlagCreatePairsOff] = False
    """With --out: go on where a run that was stopped or killed left off; begin if there was none."""
    shard: Annotated[str | None, arg(metavar="K/N")] = None
    """With --out: only part K of N of the images, K from 0 on, in a file with both in its name. Processes of
    one launcher take a part each by themselves."""

    explain: Path | None = None
    """Folder to write a PNG of each image into: where the evidence for its class lies."""

    @property
    def is_resumable(self) -> bool:
        return self.out is not None

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        shard = self._check()
        from resnext.data.image_files import find_image_files

        found = find_image_files(self.images)
        if found.skipped:
            say(f"note: {found.note()}", file=sys.stderr)
        from resnext.cli.output import hint_at_skipping, note_workers, print_bad_images  # they import torch

        note_workers(self.workers)
        classifier = resnext.load(self.model, self.device, engine=self.engine, foreign=self.foreign)
        if classifier.note:
            say(f"note: {classifier.note}", file=sys.stderr)
        if self.explain is not None:
            from resnext.engine import check_explains

            check_explains(classifier)
        with hint_at_skipping():
            if self.out is None:
                bad = self._print(classifier, found)
            else:
                bad = self._write(classifier, found, self.out, shard)
            if self.explain is not None:
                self._explain(
                    classifier,
                    found if shard is None else found.part(shard.number, shard.count),
                    self.explain,
                )
        print_bad_images(bad)

    def _check(self) -> ImageShard | None:
        """The part of the images that is this process's. All options are checked."""
        if not self.images:
            raise UsageError("predict needs IMAGES: files, folders or globs")
        check_positive(self, "top")
        check_not_negative(self, "workers")
        if self.out is not None and re.match("[a-z0-9]{2,}:/", str(self.out)):
            raise UsageError(f"--out {self.out}: must be a path on a disk; write it there, then copy it")
        check_folder("--out", self.out)
        shard = None if self.shard is None else ImageShard.parse(self.shard)
        if launcher.is_launched():
            if shard is not None:
                raise UsageError("--shard: processes of one launcher take a part each; leave it out")
            shard = ImageShard(launcher.rank(), launcher.world_size())
        if self.out is None:
            if self.resume or shard is not None:
                option = "--resume" if self.resume else "--shard"
                raise UsageError(f"{option}: is about a table; say its name with --out")
        else:
            check_suffix("--out", self.out, (".csv", ".jsonl", ".parquet"))
        if self.explain is not None and self.views != "one":
            raise UsageError("--explain: is about one view of each image; leave out --views")
        if self.explain is not None and self.explain.exists() and not self.explain.is_dir():
            raise UsageError(f"--explain {self.explain}: is no folder; say another")
        check_model(self.model)
        return shard

    def _print(self, classifier: Classifier, found: FoundImages) -> Sequence[BadImage]:
        """Print a line for each image, and return the errors of those that were skipped."""
        from resnext.data.decode import BadImage

        bad, printer = [], PredictionPrinter(classifier.contract, self.top)
        for outcome in resnext.predict_many(classifier, found, workers=self.workers, views=self.views):
            if not isinstance(outcome, BadImage):
                printer.print(outcome)
            elif self.on_bad == "fail":
                raise outcome
            else:
                bad.append(outcome)
        return bad

    def _write(
        self, classifier: Classifier, found: FoundImages, out: Path, shard: ImageShard | None
    ) -> Sequence[BadImage]:
        """Write the table, and return the errors of the images that were skipped."""
        with ImageProgress("predicting") as progress:
            summary = resnext.predict_to_file(
                classifier,
                found,
                out,
                top=self.top if self.probabilities == "top" else None,
                views=self.views,
                shard=shard,
                resume=self.resume,
                workers=self.workers,
                on_bad=self.on_bad,
                progress=progress.show,
            )
        before = f" ({summary.resumed_at:,} images were done before)" if summary.resumed_at else ""
        say(f"{counted(summary.rows, 'prediction')} in {summary.path}{before}")
        return summary.bad

    def _explain(self, classifier: Classifier, found: FoundImages, folder: Path) -> None:
        """Write the explanation of each image that can be read."""
        from resnext.engine import places_in

        place_of = dict(zip(map(encodable, found.paths), places_in(folder, found.paths), strict=True))
        written = set()
        with ImageProgress("explaining") as progress:
            for number, one in enumerate(resnext.explain(classifier, found, workers=self.workers), start=1):
                if isinstance(one, resnext.Explanation):
                    place = place_of[one.prediction.key]
                    place.parent.mkdir(parents=True, exist_ok=True)
                    with replacing(place) as file:
                        one.overlay().save(file, "PNG")
                    written.add(place)
                progress.show(number, len(found.paths))
        say(f"{counted(len(written), 'class activation map')} in {folder}")


class PredictionPrinter:
    """Prints a line for each image, with its `top` likeliest classes, described if the contract does."""

    def __init__(self, contract: resnext.Contract, top: int) -> None:
        if contract.descriptions:
            described = {name: contract.describe(name) for name in contract.classes}
            short = shorten(described.values(), DESCRIBED_WIDTH)
            self._names = {name: short[text] for name, text in described.items()}
        else:
            self._names = {name: printable(name) for name in contract.classes}
        self._width, self._top = max(map(len, self._names.values())), top

    def print(self, prediction: resnext.Prediction) -> None:
        likeliest = prediction.ranking[: self._top]
        shown = "  ".join(f"{self._names[name]:<{self._width}} {100 * p:5.1f} %" for name, p in likeliest)
        held = f"  set: {', '.join(self._names[name] for name in prediction.set)}" if prediction.set else ""
        say(f"{prediction.key}  {'none of these: ' if prediction.rejected else ''}{shown}{held}")
