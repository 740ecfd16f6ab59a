"""`resnext compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.recipe import named_recipe, override

pytestmark = pytest.mark.usefixtures("no_reports")


def test_compare(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make_folder: Any, run: Callable[..., int]
) -> None:
    make_folder(tmp_path / "data" / "train", {"a": 12, "b": 12})
    make_folder(tmp_path / "data" / "test", {"a": 2, "b": 2})
    recipe = override(named_recipe("small"), model="resnet11+template=8", epochs=1, batch=8)
    runs = [
        api.train(tmp_path / "data", recipe, name=f"r{lr}", runs=tmp_path, training__lr=lr).folder
        for lr in (0.1, 0.2)
    ]
    assert run("compare", *runs) == 0
    out = capsys.readouterr().out
    assert "training.lr: 0.1 against 0.2" in out
    assert "p = " in out
    assert run("compare", *runs, "--json") == 0
    assert json.loads(capsys.readouterr().out)["pictures"] == 4
    assert run("compare", runs[0]) == 2
    assert "two finished runs" in capsys.readouterr().err
