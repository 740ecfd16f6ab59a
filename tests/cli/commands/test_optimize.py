"""`resnext optimize`, by the files that it leaves. The times are made up: tests take none."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import resnext
from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.engine.libraries import import_library
from resnext.export import tuning
from resnext.models import create
from resnext.timing import Timing
from resnext.weights import write_hub_folder

CONV = "layer1.0.conv2"


@pytest.fixture
def hub(tmp_path: Path) -> Path:
    size, half = Input(3, 16, 16), (0.5,) * 3
    contract = Contract(("a", "b", "c"), size, Resize(16, 16), half, half, Provenance("resnext11_4x4d"))
    network = create(Architecture.from_name("resnext11_4x4d+template=8", 3)).eval()
    write_hub_folder(tmp_path / "hub", network, contract, "")
    return tmp_path / "hub"


@pytest.fixture(autouse=True)
def made_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of 8 take half of the time, where paths are 4 wide."""
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path / "cache"))

    def measure(calls: Mapping[int, object], pixels: object) -> dict[int, Timing]:
        return {times: Timing((0.5 if times == 2 else 1.0,) * 9) for times in calls}

    monkeypatch.setattr(tuning, "_measure", measure)


def groups(path: Path) -> list[int]:
    """Of the convolutions with several groups, in order."""
    nodes = import_library("onnx", path).load(path).graph.node
    found = [one.i for node in nodes for one in node.attribute if one.name == "group"]
    return [count for count in found if count > 1]


def test_an_optimised_file_answers_as_its_original(
    hub: Path, colours: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--images", colours / "val", "--out", tmp_path / "out")
    assert run("optimize", hub, "--batch", 2, *where) == 0
    said = capsys.readouterr().out
    assert "packed to 8, 2.00 times as fast" in said
    assert "top-1 the same for 6 of 6 images" in said
    assert groups(tmp_path / "out" / "hub.onnx") == [2, 2, 2]  # they were 4
    record = json.loads((tmp_path / "out" / "parity.json").read_text())["models"]["hub.onnx"]
    assert record["packing"][CONV] == 2
    assert record["largest_difference"] < 1e-4


def test_where_a_form_was_chosen_elsewhere_that_is_said(
    hub: Path, colours: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    made = tmp_path / "out" / "hub.onnx"
    assert run("optimize", hub, "--images", colours / "val", "--out", made.parent) == 0
    image, parity = colours / "val" / "a" / "0.png", made.parent / "parity.json"
    capsys.readouterr()
    assert run("predict", made, image) == 0
    here = capsys.readouterr()
    assert "optimize" not in here.err
    document = json.loads(parity.read_text())
    document["models"]["hub.onnx"]["device"] = "another processor\x1b[2J, 64 cores"
    parity.write_text(json.dumps(document))
    assert run("predict", made, image) == 0
    there = capsys.readouterr()
    assert there.out == here.out
    assert "fastest on another processor" in there.err
    assert "resnext optimize chooses for this machine" in there.err
    assert "\x1b" not in there.err
    assert resnext.load(made).note
    for text in ("{", json.dumps({"models": {}})):  # nobody says
        parity.write_text(text)
        assert resnext.load(made).note == ""


def test_records_of_earlier_versions_are_read(
    hub: Path, colours: Path, tmp_path: Path, run: Callable[..., int]
) -> None:
    made = tmp_path / "out" / "hub.onnx"
    assert run("export", hub, "--images", colours / "val", "--out", made.parent) == 0
    document = json.loads((made.parent / "parity.json").read_text())
    del document["models"]["hub.onnx"]["packing"]
    (made.parent / "parity.json").write_text(json.dumps(document))
    assert resnext.load(made).note == ""
    assert run("export", hub, "--images", colours / "val", "--out", made.parent, "--to", "pt2") == 0
    assert len(json.loads((made.parent / "parity.json").read_text())["models"]) == 2


def test_a_program_of_torch_is_packed_too(
    hub: Path, colours: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    where = ("--images", colours / "val", "--out", tmp_path / "out")
    assert run("optimize", hub, "--for", "torch", *where) == 0
    said = capsys.readouterr().out
    assert "packed to 8, 2.00 times as fast" in said
    assert "top-1 the same for 6 of 6 images" in said
    record = json.loads((tmp_path / "out" / "parity.json").read_text())["models"]["hub.pt2"]
    assert record["packing"][CONV] == 2


def test_a_network_without_groups_is_exported_as_it_is(
    trained: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("optimize", trained, "--out", tmp_path) == 0
    said = capsys.readouterr().out
    assert "has no grouped convolutions, so there is nothing to choose" in said
    assert (tmp_path / "x.onnx").exists()


def test_what_cannot_be_optimised_is_told_with_the_cure(
    hub: Path, colours: Path, tmp_path: Path, run: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    for words, says in (
        (("optimize", hub, "--batch", 0), "--batch 0: must be at least 1"),
        (("optimize", hub, "--for", "torch", "--precision", "int8"), "torch computes no int8 here"),
        (("optimize", hub, "--data", "digits"), "--data: has no effect with --precision float32"),
        (("optimize", hub, "--precision", "int8", "--images", "x"), "--images: has no effect with"),
        (("optimize", hub, "--precision", "int8"), "say --data DATA"),
        (("optimize", hub), "say images to compare on"),
        (("optimize", tmp_path / "nothing"), "nothing"),
        (("export", hub, "--to", "onnx", "hub", "--optimize", 1), "--optimize: has no effect with --to hub"),
        (("quantize", hub, "--optimize", -1), "--optimize -1: must be at least 1"),
    ):
        assert run(*words) == 2
        assert says in "".join(capsys.readouterr())
    with pytest.raises(resnext.ModelError, match="--to hub: groups are packed for onnx, openvino, pt2 alone"):
        resnext.export_model(hub, "hub", packing={CONV: 2})
    with pytest.raises(resnext.ModelError, match="packing: fc: is no convolution"):
        resnext.export_model(hub, "onnx", packing={"fc": 2}, images=[colours / "val"], out=tmp_path)


def test_export_and_quantize_choose_as_well(
    hub: Path, tmp_path: Path, run: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By what they hand on; nothing is written here."""
    handed: list[tuple[str, str, dict[str, int]]] = []

    def note(verb: str) -> Callable[..., None]:
        def take(model: str, to: str, *, packing: dict[str, int], **_: object) -> None:
            handed.append((verb, to, packing))
            raise resnext.ModelError("enough")

        return take

    for verb in ("export_model", "quantize"):
        monkeypatch.setattr(resnext, verb, note(verb), raising=False)
    assert run("export", hub, "--to", "openvino", "--optimize", 2) == 2
    assert run("quantize", hub, "--to", "onnx", "--optimize", 2) == 2
    assert run("optimize", hub, "--for", "onnx", "--precision", "int8", "--data", "digits") == 2
    assert run("export", hub) == 2
    chosen = dict.fromkeys((f"layer{stage}.0.conv2" for stage in (1, 2, 3)), 2)
    assert handed == [
        ("export_model", "openvino", chosen),
        ("quantize", "onnx", chosen),
        ("quantize", "onnx", chosen),
        ("export_model", "onnx", {}),
    ]
