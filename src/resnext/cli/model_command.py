"""`ModelCommand`: the options of commands that compute a model of any kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from resnext.cli.command import Command
from resnext.recipe.options import EngineName

if TYPE_CHECKING:
    from resnext.engine import ForeignContract


@dataclass(frozen=True, kw_only=True)
class ModelCommand(Command):
    """A command that computes MODEL."""

    engine: EngineName | None = None
    """What computes the model: torch, or what reads an exported file, if left out; auto measures which is the
    fastest here."""
    classes: Path | None = None
    """Of a model that carries no contract: a text file with the name of a class on each line, in the order of
    its outputs."""
    mean: tuple[float, float, float] | None = None
    """Of the same: mean of red, green and blue on the scale 0 to 1."""
    std: tuple[float, float, float] | None = None
    """Of the same: standard deviation of each on that scale."""
    resize_px: int | None = None
    """Of the same: shorter side before the centre is cropped to the input's size; that size, if left out."""

    @property
    def foreign(self) -> ForeignContract:
        """What was said about a model that carries no contract."""
        from resnext.engine import ForeignContract

        return ForeignContract(self.classes, self.mean or (), self.std or (), self.resize_px)
