"""`resnext models`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.cli.command import Command
from resnext.cli.screen import say_text


@dataclass(frozen=True)
class ModelsCommand(Command):
    """List networks with their parameters and multiply-adds."""

    name: ClassVar[str] = "models"

    like: Annotated[Positional[str], arg(metavar="NAME")] = ""
    """Only names that contain this, or one full name such as resnext50_32x4d+shortcut=none."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""

    def run(self) -> None:
        from resnext.cli.output import number_table, print_table

        listed = resnext.list_models(self.like)
        if self.json:
            say_text(json.dumps([asdict(model) for model in listed], indent=2))
            return
        numbers = ["parameters", "multiply-adds (M)", "activations (M)", "pixels", "classes"]
        table = number_table(["network"], numbers)
        table.columns[0].no_wrap = True
        for model in listed:
            cost = model.cost
            values = f"{cost.params:,}", f"{cost.macs / 1e6:,.0f}", f"{cost.activations / 1e6:.2f}"
            table.add_row(model.name, *values, str(model.size_px), str(model.classes))
        print_table(table)
