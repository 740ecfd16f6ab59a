"""`resnext compare`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.option_checks import check_runs
from resnext.cli.screen import say, say_text
from resnext.errors import UsageError


@dataclass(frozen=True)
class CompareCommand(Command):
    """Compare two runs on the same images, or two recipes by several runs each, paired by their seeds."""

    name: ClassVar[str] = "compare"

    folders: Annotated[Positional[tuple[str, ...]], arg(name="runs", metavar="RUN")]
    """Run folders of two recipes; the others are compared to those of the first one's recipe."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""

    def run(self) -> None:
        if len(self.folders) < 2:
            raise UsageError(
                "compare needs RUN RUN: two finished runs, or runs of several seeds of two recipes"
            )
        check_runs(self.folders)
        comparison = resnext.compare([Path(folder) for folder in self.folders])
        if self.json:
            say_text(json.dumps(comparison.to_json(), indent=2))
        else:
            say(*comparison.lines())
