"""`resnext bench`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnext.cli import main

NAMES = ["resnet11+template=8", "resnext11_2x4d+template=8"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bench", "step", "resnet50", "--rounds", "0"], "--rounds 0: must be at least 1"),
        (["bench", "step", "resnet50", "resnet29"], "give it with --size-px"),
        (["bench", "step", "--mode", "fast"], "--mode: 'fast' is no mode; known are eager"),
        (["bench", "data"], "bench data needs one DATA"),
        (["bench", "data", "digits", "--device", "cpu"], "--device: is for networks"),
    ],
)
def test_bad_options_are_named(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert said in capsys.readouterr().err


def test_the_table_and_the_record(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    words = ["bench", "infer", *NAMES, "--size-px", "16", "--batch", "2", "--rounds", "1", "--device", "cpu"]
    assert main([*words, "--out", str(tmp_path / "bench.jsonl")]) == 0
    out = capsys.readouterr().out
    assert "images/s" in out
    assert all(name in out for name in NAMES)
    assert "limit: " in out
    kept = json.loads((tmp_path / "bench.jsonl").read_text())
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out).keys() == kept.keys()
