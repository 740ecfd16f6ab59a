"""`resnext index`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.screen import say


@dataclass(frozen=True)
class IndexCommand(Command):
    """List the files of DATA and look at all of them once, so that runs on millions of them start at once."""

    name: ClassVar[str] = "index"

    data: Annotated[Positional[str], arg(metavar="DATA")]
    """A folder or table of image files, as for train."""
    out: Annotated[Positional[Path], arg(metavar="OUT.index")]
    """The index, to be given as DATA; the images stay where they are."""

    def run(self) -> None:
        from resnext.display.progress_bar import ProgressBar

        with ProgressBar("scanning images") as bar:
            say(str(resnext.index_images(self.data, self.out, bar.update)))
