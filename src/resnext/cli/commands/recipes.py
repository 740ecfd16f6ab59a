"""`resnext recipes`."""

from __future__ import annotations

import inspect
import textwrap
from dataclasses import dataclass
from typing import Annotated, ClassVar

from tyro.conf import Positional, arg

from resnext.cli.command import Command
from resnext.cli.screen import say_text
from resnext.recipe import RECIPES, named_recipe


@dataclass(frozen=True)
class RecipesCommand(Command):
    """List the recipes that `train --recipe` takes, each with its source, cost and expected score."""

    name: ClassVar[str] = "recipes"

    like: Annotated[Positional[str], arg(metavar="NAME")] = ""
    """One recipe, in full, as a config.toml for `train --config`."""

    def run(self) -> None:
        if self.like:
            say_text(named_recipe(self.like).to_toml().removesuffix("\n"))
            return
        for name, recipe in RECIPES.items():
            say_text(f"{name}\n{textwrap.indent(inspect.cleandoc(recipe.__doc__ or ''), '    ')}\n")
