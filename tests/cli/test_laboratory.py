"""describe, design and convert as a user types them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.cli import main
from resnext.recipe import named_recipe, override

pytestmark = pytest.mark.usefixtures("no_reports")


def test_describe_and_its_figure(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["describe", "resnext50_32x4d", "--figure", str(tmp_path / "block.svg")]) == 0
    out = capsys.readouterr().out
    assert "3x3, 128, C=32" in out
    assert "25,028,904" in out
    assert (tmp_path / "block.svg").read_text().startswith("<svg")
    assert main(["describe", "resnext50_32x4d", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cost"]["params"] == 25_028_904


def test_design_tells_names_that_train_takes(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
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
        (["describe", "resnet50", "--size-px", "0"], 2, "--size-px 0: must be at least 1"),
        (["bench", "step", "resnet50", "--rounds", "0"], 2, "--rounds 0: must be at least 1"),
        (["bench", "step", "resnet50", "resnet29"], 2, "say which with --size-px"),
        (["describe", "resnext50_32x4"], 2, "Nearest"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == code
    assert said in capsys.readouterr().err


def test_a_converted_network_answers_the_same(
    make_folder: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = make_folder(tmp_path / "data", {"a": 12, "b": 12})
    recipe = override(named_recipe("small"), model="resnext11_2x4d+template=8", epochs=2, batch=4)
    run = api.train(data, recipe, name="x", runs=tmp_path)
    name, out = "resnext11_2x4d+template=8+transform=branches", tmp_path / "branches"
    assert main(["convert", str(run.folder), "--to", name, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    pictures = sorted((data / "a").iterdir())
    before, after = api.predict(run.folder, pictures), api.predict(out, pictures)
    assert [p.label for p in before] == [p.label for p in after]
    assert [p.probability for p in after] == pytest.approx([p.probability for p in before], abs=1e-6)
    assert api.load(out).contract.provenance.architecture == name
    assert (
        main(["convert", str(out), "--to", "resnext11_2x4d+template=8", "--out", str(tmp_path / "back")]) == 0
    )
    back = (tmp_path / "back" / "model.safetensors").stat().st_size
    assert back == (run.folder / "model" / "model.safetensors").stat().st_size
    capsys.readouterr()
    assert main(["convert", str(run.folder), "--to", name, "--out", str(out)]) == 2
    assert "exists already" in capsys.readouterr().err
    for other, said in (
        ("resnext11_2x4d+template=8+transform=inception", "has no other form"),
        ("resnext11_4x4d+template=8", "another network"),
        ("resnet18", "the transformation basic has no other form"),
    ):
        assert main(["convert", str(run.folder), "--to", other, "--out", str(tmp_path / "no")]) == 4
        assert said in capsys.readouterr().err
