"""`resnext describe`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnext.cli import main

pytestmark = pytest.mark.usefixtures("no_reports")


def test_describe_and_its_figure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["describe", "resnext50_32x4d", "--figure", str(tmp_path / "block.svg")]) == 0
    out = capsys.readouterr().out
    assert "3x3, 128, C=32" in out
    assert "25,028,904" in out
    assert (tmp_path / "block.svg").read_text().startswith("<svg")
    assert main(["describe", "resnext50_32x4d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cost"]["params"] == 25_028_904


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["describe", "resnet50", "--size-px", "0"], "--size-px 0: must be at least 1"),
        (["describe", "resnext50_32x4"], "Nearest"),
    ],
)
def test_bad_options_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err
