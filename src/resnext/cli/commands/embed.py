"""`resnext embed`."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.command import Command
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
        with hint_at_skipping(), EmbeddingProgress() as progress:
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


class EmbeddingProgress:
    """Images done and the time left: a bar on a terminal, and elsewhere a line on stderr now and then."""

    def __init__(self) -> None:
        from resnext.display.progress_bar import ProgressBar

        self._bar = ProgressBar("embedding")
        self._began_at = self._line_at = time.monotonic()
        self._before: int | None = None

    def __enter__(self) -> EmbeddingProgress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.close()

    def show(self, done: int, total: int) -> None:
        """Show that `done` images of `total` are done."""
        from resnext.display.progress_bar import LINE_EVERY_S

        self._bar.update(done, total)
        now = time.monotonic()
        if (
            self._before is None
        ):  # the model has been read, and rows of an earlier run are no work of this one
            self._before, self._began_at, self._line_at = done, now, now
        elif not self._bar.is_shown and now - self._line_at >= LINE_EVERY_S:
            self._line_at = now
            say(progress_line(done, total, self._before, now - self._began_at), file=sys.stderr, flush=True)


def progress_line(done: int, total: int, before: int, seconds: float) -> str:
    """How far it is, and the time left at the pace so far.

    >>> progress_line(3000, 10_000, before=1000, seconds=20)
    '3,000/10,000 images, about 70 s left'
    """
    from resnext.display.train_display import duration

    left_s = seconds * (total - done) / max(1, done - before)
    return f"{done:,}/{total:,} images, about {duration(left_s)} left"
