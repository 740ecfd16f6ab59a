"""`resnext calibrate`, by the model that it leaves behind."""

from __future__ import annotations

import errno
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resnext
from resnext.cli import main
from resnext.contract import Calibration
from resnext.errors import ResnextWarning
from resnext.recipe import named_recipe, override

MODEL = "resnext11_2x4d+template=8"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = override(named_recipe("small"), model=MODEL, epochs=6, batch=64)
    folder = tmp_path_factory.mktemp("runs")
    return Path(resnext.train("digits", recipe, name="digits", runs=folder).folder)


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "digits"))


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    """200 images of noise, which are no digits."""
    folder, random = tmp_path / "noise", np.random.default_rng(0)
    folder.mkdir()
    for number in range(200):
        Image.fromarray(random.integers(0, 256, (8, 8, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def calibration(model: Path) -> Calibration:
    made = resnext.load(model).contract.calibration
    assert made is not None
    return made


def test_a_run_is_calibrated_when_it_ends(trained: Path) -> None:
    made = calibration(trained)
    assert made.temperature != 1
    assert made.rejection is not None
    assert (made.rejection.score, made.rejection.false_alarms) == ("probability", 0.01)
    assert made.sets is None
    evaluation = resnext.evaluate(trained, "digits", split="val")
    rejected = (evaluation.probabilities.max(1) < made.rejection.threshold).mean()
    assert rejected <= 0.01


def test_what_is_found_is_obeyed(
    run: Path, noise: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = calibration(run)
    command = ["calibrate", str(run), "digits", "--coverage", "0.95", "--false-alarms", "0.05"]
    assert main([*command, "--outliers", str(noise)]) == 0
    said = capsys.readouterr().out
    assert "calibrated on 180 images of val" in said
    assert "95 % sets" in said
    assert said.count("AUROC") == 4
    assert said.count("; taken") == 1
    made = calibration(run)
    assert made.sets is not None
    assert made.sets.coverage == 0.95
    assert made.temperature == pytest.approx(before.temperature, rel=1e-3)
    evaluation = resnext.evaluate(run, "digits", split="val")
    held = evaluation.probabilities >= np.float32(made.sets.least_probability)
    assert held[np.arange(180), evaluation.labels].mean() >= 0.95
    out = tmp_path / "answers.jsonl"
    assert main(["predict", str(run), str(noise), "--out", str(out)]) == 0
    answers = resnext.predict(run, sorted(noise.iterdir()))
    taken = next(line for line in said.splitlines() if "; taken" in line)
    assert f"rejects {100 * np.mean([one.rejected for one in answers]):.1f} % of 200" in taken
    assert all(one.label in one.set for one in answers)
    assert sum('"rejected": true' in line for line in out.read_text().splitlines()) == sum(
        one.rejected for one in answers
    )


def test_the_same_command_twice_changes_nothing(run: Path) -> None:
    resnext.calibrate(run, "digits")
    first = (run / "model" / "config.json").read_text()
    resnext.calibrate(run, "digits")
    assert (run / "model" / "config.json").read_text() == first
    assert sorted(path.name for path in (run / "model").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
    ]


def test_without_locks_it_is_said(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.warns(ResnextWarning, match="no locks .* make sure that no other process trains this run"):
        resnext.calibrate(run, "digits")


def test_the_report_is_by_the_calibration_of_the_model(run: Path) -> None:
    """Its predictions were written before."""
    from resnext.reporting.run_summary import RunSummary

    resnext.calibrate(run, "digits", split="test")
    summary = RunSummary.read(run)
    evaluation = resnext.evaluate(run, "digits", split="test")
    assert summary.reliability.ece == pytest.approx(evaluation.reliability.ece, abs=1e-5)
    assert summary.scores.loss == pytest.approx(evaluation.scores.loss, abs=1e-5)


def test_a_calibrated_copy_leaves_the_model_as_it_is(run: Path, tmp_path: Path) -> None:
    before = (run / "model" / "model.safetensors").read_bytes()
    out = tmp_path / "copy"
    assert main(["calibrate", str(run), "digits", "--out", str(out)]) == 0
    assert (run / "model" / "model.safetensors").read_bytes() == before
    assert calibration(out).sets is not None
    assert main(["calibrate", str(run), "digits", "--out", str(out)]) == 2


def test_an_export_has_the_calibration_of_its_time(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    resnext.calibrate(run, "digits")
    exported = resnext.export_model(run, "onnx")
    had = resnext.load(exported.path).contract.calibration
    assert had == calibration(run)
    assert main(["calibrate", str(run), "digits"]) == 0
    assert "without this calibration" not in capsys.readouterr().err  # nothing has changed
    assert main(["calibrate", str(run), "digits", "--coverage", "0.8"]) == 0
    said = capsys.readouterr().err
    assert "note: digits.onnx: still without this calibration; make again: " in said
    assert f"make again: resnext export {run} --to onnx\n" in said
    assert resnext.load(exported.path).contract.calibration == had != calibration(run)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--coverage", "0.9999"), "needs at least 9,999 images, there are 180"),
        (("--coverage", "1"), "--coverage 1: must be between 0 and 1"),
        (("--false-alarms", "5"), "--false-alarms 5: must be from 0 to less than 1"),
        (("--outliers", "{noise}/1.png", "{noise}/2.png"), "2 images, too few to choose by"),
        (("--outliers", "{noise}", "--false-alarms", "0.001"), "needs at least 999 images, there are 180"),
        (("--outliers", "nowhere"), "nowhere"),
    ],
)
def test_what_cannot_be_promised(
    run: Path, noise: Path, options: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    options = tuple(option.format(noise=noise) for option in options)
    before = (run / "model" / "config.json").read_bytes()
    assert main(["calibrate", str(run), "digits", *options]) in (2, 3)
    assert says in capsys.readouterr().err
    assert (run / "model" / "config.json").read_bytes() == before


def test_outliers_that_are_the_classes(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from resnext.data.sources import read_splits

    images = read_splits("digits").test
    (tmp_path / "digits-again").mkdir()
    for index in range(200):
        images.open(index).save(tmp_path / "digits-again" / f"{index}.png")
    assert main(["calibrate", str(run), "digits", "--outliers", str(tmp_path / "digits-again")]) != 0
    assert "are they images of the classes?" in capsys.readouterr().err


def test_a_file_is_not_changed_in_place(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run / "model" / "model.safetensors"
    assert main(["calibrate", str(weights), "digits"]) == 2
    assert "--out FOLDER" in capsys.readouterr().err


def test_the_score_that_was_chosen_on_outliers_is_kept(
    run: Path, noise: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    resnext.calibrate(run, "digits", outliers=noise)
    first = calibration(run).rejection
    assert first is not None
    assert first.score != "probability"
    bank = {path.name: path.read_bytes() for path in (run / "model").glob("bank*")}
    assert main(["calibrate", str(run), "digits", "--coverage", "0.8"]) == 0
    again = calibration(run)
    assert again.sets is not None
    assert again.sets.coverage == 0.8
    assert again.rejection == first
    assert {path.name: path.read_bytes() for path in (run / "model").glob("bank*")} == bank
    assert all(one.rejected for one in resnext.predict(run, sorted(noise.iterdir())[:20]))


def test_too_few_images_for_none_of_these(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", str(run), "digits", "--false-alarms", "0.001"]) == 0
    assert "never: --false-alarms 0.001: needs at least 999 images, there are 180" in capsys.readouterr().out
    assert calibration(run).rejection is None


def test_outliers_of_one_of_the_classes(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that the network is seldom sure of can be told from the others, but not from itself."""
    from resnext.data.sources import read_splits

    images = read_splits("digits").test
    refused = 0
    for number in range(10):
        folder = tmp_path / str(number)
        folder.mkdir()
        for index in np.flatnonzero(images.labels == number)[:40].tolist():
            images.open(index).save(folder / f"{index}.png")
        main(["calibrate", str(run), "digits", "--outliers", str(folder), "--out", f"{folder}-c"])
        refused += "are they images of the classes?" in capsys.readouterr().err
    assert refused >= 8  # of 40 images, by chance one class or two differ


def test_what_was_promised_is_judged_on_other_images(
    run: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    resnext.calibrate(run, "digits", false_alarms=0.05)
    assert main(["evaluate", str(run), "digits", "--json", str(tmp_path / "e.json")]) == 0
    said = capsys.readouterr().out
    assert "90 % was promised" in said
    assert "5 % was promised" in said
    told = json.loads((tmp_path / "e.json").read_text())
    evaluation = resnext.evaluate(run, "digits")
    sets, rejected = evaluation.sets, evaluation.rejected
    assert sets is not None
    assert rejected is not None
    assert told["sets"] == {"promised": 0.9, "coverage": sets.coverage.share, "size": sets.sizes.mean()}
    assert told["rejected"] == {"promised": 0.05, "share": rejected.share}
    assert 0 < rejected.share < 0.15


def test_the_set_is_on_the_screen(run: Path, noise: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resnext.calibrate(run, "digits")
    image = sorted(noise.iterdir())[0]
    [prediction] = resnext.predict(run, [image])
    assert main(["predict", str(run), str(image)]) == 0
    assert f"set: {', '.join(prediction.set)}\n" in capsys.readouterr().out
