"""`resnext convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.cli import main
from resnext.recipe import named_recipe, override

pytestmark = pytest.mark.usefixtures("no_reports")


def test_a_converted_network_answers_the_same(
    make_folder: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    data = make_folder(tmp_path / "data", {"a": 12, "b": 12})
    recipe = override(named_recipe("small"), model="resnext11_2x4d+template=8", epochs=2, batch=4)
    run = api.train(data, recipe, name="x", runs=tmp_path)
    name, out = "resnext11_2x4d+template=8+transform=branches", tmp_path / "branches"
    assert main(["convert", str(run.folder), "--to", name, "--out", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out)
    images = sorted((data / "a").iterdir())
    before, after = api.predict(run.folder, images), api.predict(out, images)
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
