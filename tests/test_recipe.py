"""Recipes: one value, changed by dotted names, kept as TOML."""

from __future__ import annotations

from typing import Any

import pytest

from resnext.recipe import (
    RECIPES,
    Recipe,
    RecipeError,
    dotted_names,
    get_field,
    named_recipe,
    override,
    set_field,
)


@pytest.mark.parametrize("name", RECIPES)
def test_toml_round_trip(name: str) -> None:
    recipe = override(named_recipe(name), seed=7, data__mean=(0.1, 0.2, 0.3), training__milestones=[0.5])
    assert Recipe.from_toml(recipe.to_toml()) == recipe


def test_what_toml_leaves_out_is_open_or_default() -> None:
    recipe = Recipe.from_toml('model = "resnet50"\n[training]\nlr = 1\n')
    assert recipe == override(Recipe(), model="resnet50", training__lr=1.0)
    assert recipe.epochs is None


def test_every_field_can_be_named() -> None:
    recipe = named_recipe("small")
    for name in dotted_names():
        assert set_field(recipe, name, get_field(recipe, name)) == recipe
    assert "training.lr" in dotted_names()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("training.learning_rate", 1.0, "training.lr"),
        ("epoch", 3, "epochs"),
        ("training", 3, "there is no field 'training'"),
        ("training.lr", "fast", "training.lr"),
        ("training.lr", 0.0, "training.lr: must be positive"),
        ("training.schedule", "linear", "one-cycle, cosine, step"),
        ("training.momentum", 1.0, "training.momentum"),
        ("training.milestones", (0.5, 1.5), "training.milestones"),
        ("epochs", 0, "epochs: must be at least 1"),
        ("epochs", 2.5, "epochs"),
        ("epochs", True, "epochs"),
        ("seed", -1, "seed"),
        ("data.flip", 1.5, "data.flip"),
        ("data.mean", (0.5, 0.5), "data.mean"),
        ("precision", "float16", "float32, bfloat16"),
    ],
)
def test_bad_values_are_named(name: str, value: Any, says: str) -> None:
    with pytest.raises(RecipeError) as error:
        set_field(named_recipe("small"), name, value)
    assert says in str(error.value)


def test_other_errors() -> None:
    with pytest.raises(RecipeError, match="not TOML"):
        Recipe.from_toml("model = ")
    with pytest.raises(RecipeError, match="small"):
        named_recipe("smal")
    with pytest.raises(RecipeError, match="at least size_px"):
        override(Recipe(), data__size_px=64, data__resize_px=32)


def test_the_paper_s_cifar_recipe() -> None:
    """Section 5.3 and appendix A: what it states, number by number."""
    recipe = named_recipe("cifar")
    assert (recipe.model, recipe.epochs, recipe.batch) == ("resnext29_8x64d", 300, 128)
    training = recipe.training
    assert (training.lr * recipe.batch / training.lr_batch, training.weight_decay) == (0.1, 5e-4)
    assert [m * recipe.epochs for m in training.milestones] == [150, 225]
    assert (training.momentum, training.decays, training.averaging, training.label_smoothing) == (
        0.9,
        "all",
        0,
        0,
    )
    assert (recipe.data.size_px, recipe.data.pad_px, recipe.data.flip) == (32, 4, 0.5)
