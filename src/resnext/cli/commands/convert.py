"""`resnext convert`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.screen import say


@dataclass(frozen=True)
class ConvertCommand(Command):
    """Write a network in another of the paper's three equal forms; no value of its weights changes."""

    name: ClassVar[str] = "convert"

    model: Annotated[Positional[str], arg(metavar="MODEL")]
    """A run folder, a hub folder, or a weights file with its contract."""
    to: str
    """Name of the same network in another form, such as resnext50_32x4d+transform=branches."""
    out: Path | None = None
    """Folder to write; named like the network if left out."""

    def run(self) -> None:
        from resnext.weights import read_contract

        out = resnext.convert(self.model, self.to, self.out or Path(self.to))
        say(str(out))
        contract = read_contract(out)
        if contract is not None and (warning := contract.provenance.licence_warning):
            say(f"note: {warning}", file=sys.stderr)
