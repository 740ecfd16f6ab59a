"""`resnext recipes`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from resnext.recipe import RECIPES, Recipe, named_recipe

pytestmark = pytest.mark.usefixtures("no_reports")


def test_recipes_are_listed_and_can_be_given_back(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    assert run("recipes") == 0
    text = capsys.readouterr().out
    for name in RECIPES:
        assert f"\n{name}\n" in "\n" + text
        assert run("recipes", name) == 0
        assert Recipe.from_toml(capsys.readouterr().out) == named_recipe(name)
