"""`resnext design`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from resnext.cli import main

pytestmark = pytest.mark.usefixtures("no_reports")


def test_design_prints_names_that_train_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["design", "--like", "resnet50", "--cardinality", "1", "32", "--json"]) == 0
    assert [row["name"] for row in json.loads(capsys.readouterr().out)] == ["resnet50", "resnext50_32x4d"]
    words = ["design", "--macs", "77.5M", "--base", "resnext29_8x4d+template=16", "--classes", "10"]
    assert main([*words, "--limit", "4", "--plot", str(tmp_path / "plot.svg")]) == 0
    out = capsys.readouterr().out
    assert "resnext29_" in out
    assert "ms" in out
    assert "C = " in (tmp_path / "plot.svg").read_text()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["design"], 2, "needs a budget"),
        (["design", "--params", "many"], 2, "say a number such as 25M"),
        (["design", "--like", "resnet50", "--macs", "4G"], 2, "leave out --macs"),
        (["design", "--params", "1k"], 4, "nearest:"),
        (["design", "--like", "resnet50", "--base", "resnet50"], 2, "leave out --base"),
        (["design", "--latency-ms", "0"], 2, "--latency-ms 0.0: a time"),
        (["design", "--params", "25M", "--sample", "3", "--seed", "-1"], 2, "--seed -1"),
        (["design", "--like", "resnet18", "--cardinality", "2"], 2, "cardinality"),
        (["design", "--params", "25M", "--sample", "-1"], 2, "--sample -1: must be at least 1"),
        (["design", "--like", "resnet50", "--sample", "3"], 2, "--sample draws under --params"),
        (["design", "--like", "resnet50", "--engine", "onnx"], 2, "--engine onnx: nothing is timed; add"),
    ],
)
def test_bad_options_are_named(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    assert said in capsys.readouterr().err


def test_random_networks(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["design", "--params", "300k", "--base", "resnext11_8x4d+template=16", "--classes", "10"]
    assert main([*words, "--sample", "3", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert len(rows) == 3
    assert all(row["params"] <= 300_000 * 1.03 for row in rows)


def test_networks_timed_in_an_engine(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path))
    words = ["design", "--like", "resnet11+template=8", "--cardinality", "1", "2", "--size-px", "8"]
    assert main([*words, "--engine", "onnx", "--time", "--json"]) == 0
    out, err = capsys.readouterr()
    assert all(row["latency_ms"] > 0 for row in json.loads(out))
    assert "timing in onnx: about " in err
    assert "left" in err
