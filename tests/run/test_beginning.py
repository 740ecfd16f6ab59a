"""What is refused or said before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.recipe import RecipeError, named_recipe, override
from resnext.run import Settled
from resnext.run.beginning import check_processes

RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=1, batch=4)


def test_every_process_has_a_picture_of_each_step() -> None:
    check_processes(RECIPE, 4)
    with pytest.raises(RecipeError, match="batch: 4 pictures a step leave nothing to some of the 5"):
        check_processes(RECIPE, 5)


def test_one_process_is_told_that_it_synchronises_with_nobody(make_folder: Any, tmp_path: Path) -> None:
    make_folder(tmp_path / "data", {"a": 9, "b": 9})
    recipe = override(RECIPE, training__batch_norm="synchronised")
    told = list(api.train_events(api.Order(str(tmp_path / "data"), recipe, "x", tmp_path)))
    (settled,) = (event for event in told if isinstance(event, Settled))
    assert "training.batch_norm: one process has nothing to synchronise with" in settled.notes
