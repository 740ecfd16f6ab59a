"""`resnext describe`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

from tyro.conf import FlagCreatePairsOff, Positional, arg

import resnext
from resnext.arch import Architecture
from resnext.cli.command import Command
from resnext.cli.costs import COST_COLUMNS, cost_cells
from resnext.cli.option_checks import check_folder, check_positive, check_suffix
from resnext.cli.screen import say_text
from resnext.files import write_output

if TYPE_CHECKING:
    from resnext.design import Description


@dataclass(frozen=True)
class DescribeCommand(Command):
    """Show a network as the paper's table 1 does, with the cost of each stage."""

    name: ClassVar[str] = "describe"

    model: Annotated[Positional[str], arg(name="network", metavar="NAME")]
    """Name of the network, such as resnext50_32x4d."""
    classes: int = 1000
    """Number of its classes."""
    size_px: int | None = None
    """Side of the images; 224, or 32 with the CIFAR stem, if left out."""
    figure: Path | None = None
    """Draw its block, in each of the equal forms, into this .svg file."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""

    def run(self) -> None:
        check_positive(self, "classes", "size_px")
        check_suffix("--figure", self.figure, [".svg"])
        check_folder("--figure", self.figure)
        arch = Architecture.from_name(self.model, self.classes)
        description = resnext.design.describe(arch, self.size_px)
        if self.figure is not None:
            write_output(self.figure, resnext.design.draw_block(arch))
        if self.json:
            say_text(json.dumps(description.to_json(), indent=2))
        else:
            print_description(description)


def print_description(description: Description) -> None:
    """Print a row for each stage, and their sum."""
    from resnext.cli.output import number_table, print_table

    title = f"{description.name}, {description.size_px} px"
    table = number_table(["stage", "output", "template", ""], COST_COLUMNS, title)
    table.columns[1].justify, table.columns[2].no_wrap = "right", True
    for row in description.rows:
        repeats = f"x {row.repeats}" if row.stage.startswith("stage") else ""
        output = f"{row.channels}x{row.output_px}x{row.output_px}"
        table.add_row(row.stage, output, "\n".join(row.template), repeats, *cost_cells(row.cost))
    table.add_row("all", "", "", "", *cost_cells(description.cost))
    print_table(table)
