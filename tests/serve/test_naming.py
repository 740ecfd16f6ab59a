"""Names of models."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnext.errors import UsageError
from resnext.serve.naming import name_models


def test_names_are_the_last_part_of_the_path_or_what_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "birds").mkdir()
    (tmp_path / "a=b").mkdir()
    monkeypatch.chdir(tmp_path / "birds")
    assert name_models(["runs/pets/", ".", "cars=runs/2.onnx", "runs/3/best.xml", "resnext50_32x4d"]) == {
        "pets": "runs/pets/",
        "birds": ".",
        "cars": "runs/2.onnx",
        "best": "runs/3/best.xml",
        "resnext50_32x4d": "resnext50_32x4d",
    }
    with pytest.raises(UsageError, match=r"say NAME=.*a=b"):
        name_models([str(tmp_path / "a=b")])


@pytest.mark.parametrize("model", ["a b", "..=x", "=x", "é", "x" * 101, "-x=y"])
def test_what_cannot_stand_in_an_address(model: str) -> None:
    with pytest.raises(UsageError, match="cannot be a name in addresses"):
        name_models([model])


def test_a_name_that_stands_twice() -> None:
    with pytest.raises(UsageError, match="there is a model pets already"):
        name_models(["runs/pets", "others/pets"])
