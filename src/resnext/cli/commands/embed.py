"""`resnext embed`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.image_progress import ImageProgress
from resnext.cli.option_checks import check_folder, check_model, check_not_negative, check_suffix
from resnext.cli.out_of_memory import device_hint
from resnext.cli.screen import say
from resnext.errors import UsageError
from resnext.recipe import OnBad


@dataclass(frozen=True)
class EmbedCommand(Command):
    """Write the embedding of each image, the pooled features of the network, to a Parquet file."""

    name: ClassVar[str] = "embed"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, a weights file with its contract, or a name of public weights."""
    images: Annotated[Positional[tuple[str, ...]], arg(metavar="IMAGES")]
    """A data set as for train, whose labels are kept; or files, folders of nothing but images, and globs."""
    out: Path
    """The table to write, .parquet: columns key, split, label and embedding."""
    split: str | None = None
    """Split of a data set to embed; all if left out."""
    resume: Annotated[bool, FlagCreatePairsOff] = False
    """Go on where a run that was stopped or killed left off; begin if there was none."""
    device: str | None = None
    """cpu, cuda, cuda:1, mps; the best there is if left out."""
    workers: int | None = None
    """Processes that decode images."""
    on_bad: OnBad = "fail"
    """What to do about images that cannot be read: stop, or list them and go on."""

    @property
    def is_resumable(self) -> bool:
        return True

    @property
    def memory_hint(self) -> str:
        return device_hint(self.device)

    def run(self) -> None:
        if not self.images:
            raise UsageError("embed needs IMAGES: a data set, or files, folders or globs")
        check_not_negative(self, "workers")
        check_folder("--out", self.out)
        check_suffix("--out", self.out, (".parquet",))
        check_model(self.model)
        from resnext.cli.output import hint_at_skipping, note_workers, print_bad_images  # they import torch

        note_workers(self.workers)
        with hint_at_skipping(), ImageProgress("embedding") as progress:
            summary = resnext.embed(
                self.model,
                self.images,
                self.out,
                split=self.split,
                resume=self.resume,
                device=self.device,
                workers=self.workers,
                on_bad=self.on_bad,
                progress=progress.show,
            )
        for note in summary.notes:
            say(f"note: {note}", file=sys.stderr)
        before = f" ({summary.resumed_at:,} images were done before)" if summary.resumed_at else ""
        say(f"{summary.rows:,} embeddings of {summary.features:,} numbers in {self.out}{before}")
        print_bad_images(summary.bad)
