"""`resnext select`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.option_checks import check_not_negative
from resnext.cli.screen import say
from resnext.names import counted


@dataclass(frozen=True)
class SelectCommand(Command):
    """Make a set of some classes of DATA, such as ImageNet-5K of ImageNet-22K. Image files are not copied."""

    name: ClassVar[str] = "select"

    data: Annotated[Positional[str], arg(metavar="DATA")]
    """The large set, as for train."""
    out: Annotated[Positional[Path], arg(metavar="OUT")]
    """Folder of the new set, to be given as DATA."""
    like: str
    """Set whose classes are kept, such as ImageNet-1K; its test images, else those of val, are scored."""
    others: int = 0
    """Number of other classes to train on too: those with most images."""
    judged: Literal["val", "test"] = "test"
    """Split of the images that are scored: `val` chooses the epoch too, as published; with `test` a tenth of
    train does."""

    def run(self) -> None:
        check_not_negative(self, "others")
        train, judged = resnext.select(self.data, self.out, self.like, self.others, self.judged)
        say(f"{self.out}: {counted(train, 'image')} to train on, {judged:,} as {self.judged}")
