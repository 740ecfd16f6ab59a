"""Every choice of a run, and the recipes that come with the package. Light: help imports it."""

from resnext.recipe.fields import (
    Recipe,
    RecipeError,
    dotted_names,
    get_field,
    override,
    set_field,
)
from resnext.recipe.presets import IMAGENET_COLOURS, RECIPES, cifar, imagenet, named_recipe, small

__all__ = [
    "IMAGENET_COLOURS",
    "RECIPES",
    "Recipe",
    "RecipeError",
    "cifar",
    "dotted_names",
    "get_field",
    "imagenet",
    "named_recipe",
    "override",
    "set_field",
    "small",
]
