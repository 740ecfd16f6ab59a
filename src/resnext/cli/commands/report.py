"""`resnext report`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.option_checks import check_folder, check_runs
from resnext.cli.screen import say
from resnext.errors import UsageError


@dataclass(frozen=True)
class ReportCommand(Command):
    """Write one page about a finished run, or about several side by side. It needs no network."""

    name: ClassVar[str] = "report"

    folders: Annotated[Positional[tuple[str, ...]], arg(name="runs", metavar="RUN")]
    """Run folders, or exported files in them."""
    out: Path | None = None
    """The page; report.html in the run's folder, or comparison.html beside the first run, if left out."""

    def run(self) -> None:
        if not self.folders:
            raise UsageError("report needs RUN: one finished run folder, or several to compare")
        check_folder("--out", self.out)
        check_runs(self.folders)
        say(str(resnext.write_report([Path(folder) for folder in self.folders], self.out)))
