"""`resnext select`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_select(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, make_folder: Any, run: Callable[..., int]
) -> None:
    make_folder(tmp_path / "data", {"a": 12, "b": 12, "c": 12})
    make_folder(tmp_path / "few" / "test", {"a": 2, "b": 2})
    assert run("select", tmp_path / "data", tmp_path / "two", "--like", tmp_path / "few") == 0
    assert "24 images to train on, 4 as test" in capsys.readouterr().out


def test_a_negative_number_of_other_classes(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, run: Callable[..., int]
) -> None:
    assert run("select", "digits", tmp_path / "x", "--like", "digits", "--others", "-1") == 2
    assert "--others -1" in capsys.readouterr().err
