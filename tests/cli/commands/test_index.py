"""`resnext index`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.usefixtures("no_reports")


def test_an_index_is_evaluated_like_the_folder_and_globs_are_predicted(
    trained: Path, colours: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], run: Callable[..., int]
) -> None:
    assert run("index", colours, tmp_path / "colours.index") == 0
    capsys.readouterr()
    assert run("evaluate", trained, tmp_path / "colours.index", "--json", "-") == 0
    assert json.loads(capsys.readouterr().out)["count"] == 6
    words = ["predict", trained, colours / "val" / "a", str(colours / "val" / "*" / "0.png")]
    assert run(*words, "--out", tmp_path / "many.jsonl") == 0
    assert len((tmp_path / "many.jsonl").read_text().splitlines()) == 2 + 3
