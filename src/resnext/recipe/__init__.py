"""The recipe of a run, the recipes that come with the package, and the other options of a run.

Standard library only: `--help` imports it.
"""

from resnext.recipe.fields import Recipe, dotted_names, override, rebase, set_field
from resnext.recipe.options import OnBad, TrainOptions, Views
from resnext.recipe.presets import (
    IMAGENET_COLOURS,
    RECIPES,
    cifar,
    imagenet,
    named_recipe,
    probe,
    small,
    usual_recipe,
)
from resnext.recipe.rules import MAX_EPOCHS, RecipeError, get_field

__all__ = [
    "IMAGENET_COLOURS",
    "MAX_EPOCHS",
    "RECIPES",
    "OnBad",
    "Recipe",
    "RecipeError",
    "TrainOptions",
    "Views",
    "cifar",
    "dotted_names",
    "get_field",
    "imagenet",
    "named_recipe",
    "override",
    "probe",
    "rebase",
    "set_field",
    "small",
    "usual_recipe",
]
