"""`resnext quantize`, by the files that it leaves. The times are made up: tests take none."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import resnext
from resnext.cli import main
from resnext.contract import Calibration, PredictionSets
from resnext.engine import Classifier
from resnext.engine.openvino_engine import OpenVinoBfloat16Engine
from resnext.export import QUANTIZERS, quantizing
from resnext.export.quantizing import TIMED_BATCH
from resnext.recipe import named_recipe, override
from resnext.timing import Timing
from resnext.weights import load_network, replace_contract, write_hub_folder

NAMES = sorted(QUANTIZERS)
pytestmark = pytest.mark.slow
FILES = {"onnx": ["digits-int8.onnx"], "openvino": ["digits-int8.bin", "digits-int8.xml"]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = override(named_recipe("small"), model="resnext11_2x4d+template=8", epochs=6, batch=64)
    folder = tmp_path_factory.mktemp("runs")
    return Path(resnext.train("digits", recipe, name="digits", runs=folder).folder)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "digits"))


@pytest.fixture(autouse=True)
def twice_as_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    take(monkeypatch, 4.0, 2.0, 3.0)


def take(monkeypatch: pytest.MonkeyPatch, *ms: float) -> None:
    """Let an image take `ms` milliseconds: in float32, in int8, and in bfloat16 where there is."""
    timings = [Timing((TIMED_BATCH * one / 1000,) * 2) for one in ms]
    monkeypatch.setattr(quantizing, "_time", lambda engines, _: timings[: len(engines)])


@pytest.mark.parametrize("to", NAMES)
def test_a_file_in_int8_is_a_model_like_any_other(
    to: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["quantize", str(run), "--to", to, "--max-drop", "5"]) == 0
    said = capsys.readouterr().out
    assert "points" in said
    assert "2.00 times as fast" in said
    files = FILES[to]
    exports = run / "exports"
    assert sorted(path.name for path in exports.iterdir()) == [*files, "parity.json"]
    made, original = resnext.load(exports / files[-1]), resnext.load(run)
    assert replace(made.contract, calibration=None) == replace(original.contract, calibration=None)
    assert made.contract.calibration is not None
    assert made.contract.calibration.rejection is not None
    scores = [resnext.evaluate(one, "digits", split="val").scores for one in (original, made)]
    assert abs(scores[0].top1_error - scores[1].top1_error) <= 5
    assert scores[0].loss != scores[1].loss  # otherwise it would not compute in int8
    record = json.loads((exports / "parity.json").read_text())["models"][files[-1]]
    assert record["precision"] == "int8"
    assert record["correct"] == [round(180 - 1.8 * one.top1_error) for one in scores]


def test_weights_take_a_quarter_of_the_bytes(run: Path) -> None:
    made = resnext.quantize(run, "openvino", max_drop=5)
    whole = resnext.export_model(run, "openvino").path.with_suffix(".bin").stat().st_size
    assert made.path.with_suffix(".bin").stat().st_size < 0.5 * whole  # the biases stay


def test_a_run_is_not_computed_in_int8_unasked(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resnext.quantize(run, "openvino", max_drop=5)
    assert main(["evaluate", str(run), "digits", "--engine", "openvino"]) == 2
    assert "not by --engine openvino" in capsys.readouterr().err


def test_what_the_contract_promises_is_fitted_again(run: Path) -> None:
    contract = resnext.load(run).contract
    calibration = Calibration(20.0, None, PredictionSets(0.8, 0.999))  # no promise that would hold
    replace_contract(run / "model", replace(contract, calibration=calibration))
    made = resnext.quantize(run, "openvino", max_drop=5)
    again = made.contract.calibration
    assert again is not None
    assert again.temperature < 5
    assert again.sets is not None
    evaluation = resnext.evaluate(made.path, "digits", split="val")
    own = evaluation.probabilities[np.arange(180), evaluation.labels]
    assert (own >= np.float32(again.sets.least_probability)).mean() >= 0.8


@pytest.mark.parametrize("to", NAMES)
def test_what_costs_too_much_is_not_kept(
    to: str, run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was there stays."""
    answers = quantizing._Trial._answers

    def wrong_in_int8(trial: quantizing._Trial, model: Classifier) -> quantizing._Answers:
        found = answers(trial, model)
        if Path(model.engine.model).stem != "float32":
            found = replace(found, probabilities=np.roll(found.probabilities, 1, axis=1))
        return found

    monkeypatch.setattr(quantizing._Trial, "_answers", wrong_in_int8)
    kept = run / "exports" / FILES[to][-1]
    kept.parent.mkdir()
    kept.write_text("before")
    assert main(["quantize", str(run), "--to", to, "--max-drop", "5"]) == 4
    said = capsys.readouterr().err
    assert "was not kept, since it costs more than --max-drop 5 points: accuracy" in said
    assert kept.read_text() == "before"
    assert [path.name for path in kept.parent.iterdir()] == [kept.name]


def test_what_is_slower_is_not_kept(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    take(monkeypatch, 4.0, 4.5, 3.0)
    assert main(["quantize", str(run), "--max-drop", "5"]) == 4
    says = "was not kept, since it is 0.89 times as fast as float32 on this machine, and --min-speed is 1:"
    assert says in capsys.readouterr().err
    assert not list((run / "exports").iterdir())
    assert main(["quantize", str(run), "--max-drop", "5", "--min-speed", "0"]) == 0


@pytest.mark.parametrize("has_it", [True, False])
def test_int8_is_judged_beside_bfloat16_where_the_processor_has_it(
    has_it: bool, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(OpenVinoBfloat16Engine, "is_native", lambda _: has_it)
    made = resnext.quantize(run, "openvino", max_drop=5)
    assert ("in bfloat16" in str(made)) == has_it
    assert resnext.quantize(run, "onnx", max_drop=5).bfloat16 is None
    if has_it:
        assert made.bfloat16 is not None
        assert abs(made.bfloat16.correct - made.correct[0]) <= 0.05 * made.images
        assert "% and 3 ms an image, 1.50 times as long as int8" in str(made)


def test_what_cannot_be_quantized(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exported = resnext.export_model(run, "onnx").path
    shutil.copytree(run / "model", tmp_path / "hub")
    for words, says in (
        ([str(exported)], "is an exported model"),
        ([str(tmp_path / "hub")], "say --data DATA"),
        ([str(tmp_path / "nothing")], "nothing"),
        ([str(run), "--data", str(tmp_path / "nowhere")], "nowhere"),
    ):
        assert main(["quantize", *words]) in (2, 3)
        assert says in capsys.readouterr().err
    with pytest.raises(resnext.ModelError, match="--target avx2: must be one of any, vnni"):
        resnext.quantize(run, target="avx2")  # type: ignore[arg-type]
    out = tmp_path / "out"
    assert (
        main(["quantize", str(tmp_path / "hub"), "--data", "digits", "--max-drop", "5", "--out", str(out)])
        == 0
    )
    assert (out / "hub-int8.xml").exists()


@pytest.mark.parametrize("to", NAMES)
def test_blocks_that_cost_too_much_are_put_back(to: str, run: Path, tmp_path: Path) -> None:
    """One channel between two layers is ten thousand times the others, and the same function is computed: the
    others vanish when all share 8 bits."""
    network, contract = load_network(run / "model")
    block = network.layer2[0]
    with torch.no_grad():
        for values in (block.bn2.weight, block.bn2.bias):
            values[0] *= 10_000
        block.conv3.weight[:, 0] /= 10_000
    write_hub_folder(tmp_path / "hub", network, contract, "")
    whole = resnext.quantize(tmp_path / "hub", to, data="digits", out=tmp_path, max_drop=100)
    assert whole.difference.difference < -20
    made = resnext.quantize(tmp_path / "hub", to, data="digits", out=tmp_path, max_drop=5)
    assert made.difference.difference >= -5
    assert made.floats == ("layer2.0",)
    assert "put back in float32: layer2.0" in str(made)


@pytest.mark.parametrize("option", ["--max-drop", "--min-speed"])
@pytest.mark.parametrize("value", ["nan", "-1", "inf"])
def test_what_is_no_bound(run: Path, option: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["quantize", str(run), option, value]) == 2
    assert f"{option} {float(value)}: must be a number from 0 on" in capsys.readouterr().err
    with pytest.raises(resnext.UsageError, match="must be a number from 0 on"):
        resnext.quantize(run, "onnx", **{option[2:].replace("-", "_"): float(value)})


def test_promises_that_the_judges_are_too_few_for(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resnext.calibrate(run, "digits", split="test", coverage=0.995)
    assert main(["quantize", str(run)]) == 2
    told = capsys.readouterr().err
    assert "the 180 images that judge are too few" in told
    assert "needs at least 199 images" in told


def test_what_is_refused_in_one_format_is_no_reason_to_leave_out_the_next(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from resnext.export import ParityError

    asked: list[str] = []

    def refuse(model: str, to: str, **_: object) -> None:
        asked.append(to)
        raise ParityError(f"{to}: too slow")

    monkeypatch.setattr(resnext, "quantize", refuse)
    monkeypatch.setattr(resnext, "export_model", refuse)
    assert main(["quantize", str(run), "--to", "onnx", "openvino"]) == 4
    assert main(["export", str(run), "--to", "onnx", "pt2"]) == 4
    assert asked == ["onnx", "openvino", "onnx", "pt2"]
    told = capsys.readouterr().err
    assert all(f"{to}: too slow" in told for to in asked)
