"""`resnext export`, and what takes its files."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("no_reports")


@pytest.fixture(scope="module")
def trained(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the run, to write exports into."""
    folder: Path = tmp_path_factory.mktemp("copies") / "x"
    shutil.copytree(trained, folder)
    return folder


@pytest.fixture(scope="module")
def exported(trained: Path, run: Callable[..., int]) -> Path:
    """The exports of the run `trained`."""
    assert run("export", trained, "--to", "onnx", "hub") == 0
    return trained / "exports"


def test_an_export_is_printed_and_answers_as_the_run(
    exported: Path,
    trained: Path,
    colours: Path,
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert {path.name for path in exported.iterdir()} == {"x.onnx", "x.hub", "parity.json"}
    assert run("export", trained, "--with", "cam", "--out", tmp_path) == 0
    printed = capsys.readouterr().out
    assert printed.startswith(
        f"{tmp_path / 'x.onnx'}: top-1 the same for 6 of 6 images; probabilities at most"
    )
    capsys.readouterr()
    answers = []
    for model in (trained, exported / "x.onnx", exported / "x.hub", tmp_path / "x.onnx"):
        assert run("predict", model, colours / "val") == 0
        answers.append(capsys.readouterr().out)
        assert run("evaluate", model, colours, "--json", tmp_path / "scores.json") == 0
        scores = json.loads((tmp_path / "scores.json").read_text())
        answers[-1] += f"{scores['top1_error']} {scores['loss']:.4f}"
        capsys.readouterr()
    assert len(set(answers)) == 1


def test_what_cannot_be_exported_is_told_with_the_cure(
    exported: Path,
    trained: Path,
    colours: Path,
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = exported / "x.hub"

    def said(*words: Any) -> tuple[int, str]:
        code = run(*words)
        return code, capsys.readouterr().err

    code, text = said("export", hub, "--out", tmp_path)
    assert (code, "say images to compare on: --images" in text) == (2, True)
    code, text = said("export", hub, "--out", tmp_path, "--images", colours / "val", "--to", "onnx")
    assert code == 0
    code, text = said("export", hub, "--out", tmp_path, "--images", tmp_path / "none")
    assert (code, "no such file or folder" in text) == (3, True)
    code, text = said("export", exported / "x.onnx")
    assert (code, "give the run folder, hub folder or weights file" in text) == (2, True)
    code, text = said("export", trained, "--to")
    assert code == 2
    moved = tmp_path / "moved"
    shutil.copytree(trained, moved)
    document = json.loads((moved / "environment.json").read_text())
    (moved / "environment.json").write_text(json.dumps(document | {"data": str(tmp_path / "gone")}))
    code, text = said("export", moved)
    assert (code, "its val images are not where they were" in text) == (2, True)


def test_a_missing_library_is_named_with_its_extra(
    exported: Path,
    trained: Path,
    colours: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    predict = ("predict", exported / "x.onnx", colours / "val")
    for missing, extra, words in (
        ("onnx", "onnx", ("export", trained)),
        ("onnx", "onnx", predict),
        ("onnxruntime", "onnx", predict),
        ("openvino", "openvino", ("export", trained, "--to", "openvino")),
        ("openvino", "openvino", (*predict, "--engine", "openvino")),
    ):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, missing, None)
            assert run(*words) == 5
        message = capsys.readouterr().err
        assert f"needs the library {missing}; pip install 'resnext[{extra}]'" in message
    assert {path.name for path in exported.iterdir()} == {"x.onnx", "x.hub", "parity.json"}


def test_engines_are_chosen_by_name(
    exported: Path,
    trained: Path,
    colours: Path,
    tmp_path: Path,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path))
    image = colours / "val" / "a" / "0.png"
    capsys.readouterr()
    answers = []
    for model, engine in (
        *((trained, engine) for engine in ("torch", "folded", "onnxruntime", "auto")),
        *((exported / "x.onnx", engine) for engine in ("onnxruntime", "openvino", "auto")),
    ):
        assert run("predict", model, image, "--engine", engine) == 0
        printed = capsys.readouterr()
        answers.append(printed.out)
        assert printed.err.startswith("note: engine ") == (engine == "auto")
    assert len(set(answers)) == 1
    assert run("evaluate", trained, colours, "--engine", "auto") == 0
    assert "note: engine " in capsys.readouterr().err
    for words, says in (
        ((exported / "x.hub", image, "--engine", "onnxruntime"), "not by --engine onnxruntime. Exports in"),
        (
            (exported / "x.onnx", image, "--engine", "torch"),
            "is computed by onnxruntime, openvino, not by --engine torch",
        ),
        ((exported / "x.onnx", image, "--device", "meta"), "--device meta"),
        ((trained, image, "--mean", 0.5, 0.5, 0.5), "carries its own contract; leave out --mean"),
        ((exported / "y.onnx", image), "there is no such"),
    ):
        assert run("predict", *words) in (2, 5)
        assert says in capsys.readouterr().err


def test_exports_of_other_weights_are_not_taken_for_a_run(
    exported: Path, trained: Path, colours: Path, tmp_path: Path, run: Callable[..., int]
) -> None:
    """As after a run that was resumed with more epochs."""
    copy = tmp_path / "x"
    shutil.copytree(trained, copy)
    image = colours / "val" / "a" / "0.png"
    assert run("predict", copy, image, "--engine", "onnxruntime") == 0
    weights = copy / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert run("predict", copy, image, "--engine", "onnxruntime") == 2
