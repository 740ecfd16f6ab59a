"""From what is typed to a folder: paths first, then names; and one name is enough to use or train weights."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save

import resnext
from resnext.arch import Architecture
from resnext.catalogue import UnknownWeights, find_entry, imagenet_classes, locate
from resnext.catalogue.references import check_reference, is_path
from resnext.cli.main import main
from resnext.data.preprocess import normalise, resize_and_crop, to_tensor
from resnext.models import Network, create

NAME = "resnet10t.c3_in1k"


def test_a_folder_called_like_a_network_is_that_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("resnet50").mkdir()
    assert locate("resnet50").path == Path("resnet50")
    assert locate("local-dir:resnet50").path == Path("resnet50")


@pytest.mark.parametrize("text", ["runs/nope", "nope.pth", "nope.safetensors", "a/b/c"])
def test_what_looks_like_a_path_is_one(text: str) -> None:
    assert is_path(text)
    with pytest.raises(UnknownWeights, match="there is no such model"):
        check_reference(text)


def test_names_are_checked_before_anything_is_fetched(hub: Any) -> None:
    check_reference("resnet50")
    check_reference("hf-hub:timm/resnet50.a1_in1k@main")
    with pytest.raises(UnknownWeights, match="Nearest"):
        check_reference("resnet51")
    with pytest.raises(UnknownWeights, match="must be hf-hub:owner/name"):
        check_reference("hf-hub:resnet51")
    assert hub.asked == []


def test_a_missing_local_dir(tmp_path: Path) -> None:
    with pytest.raises(UnknownWeights, match="there is no such folder"):
        locate(f"local-dir:{tmp_path / 'nope'}")


def test_the_errors_are_public() -> None:
    assert resnext.UnknownWeights is UnknownWeights
    assert resnext.UnknownWeights.exit_code == 2
    assert resnext.FetchError.exit_code == 5
    assert resnext.DamagedWeights.exit_code == 4


@pytest.fixture(scope="module")
def network() -> Network:
    entry = find_entry(NAME)
    assert entry is not None
    return create(Architecture.from_name(entry.network), 3).eval()


@pytest.fixture
def published(hub: Any, network: Network) -> Any:
    """The repository as timm writes it."""
    entry = find_entry(NAME)
    assert entry is not None
    config = {
        "architecture": "resnet10t",
        "num_classes": 1000,
        "pretrained_cfg": {
            "input_size": [3, 176, 176],
            "test_input_size": [3, 224, 224],
            "interpolation": "bicubic",
            "crop_pct": 0.875,
            "test_crop_pct": 0.95,
            "mean": [0.485, 0.456, 0.406],
            "std": [0.229, 0.224, 0.225],
            "license": entry.licence,
        },
    }
    content = save(network.state_dict(), {"format": "pt"})
    hub.add(entry.hub, config_json=json.dumps(config).encode(), model_safetensors=content)
    return hub


@torch.no_grad()
def test_a_name_is_a_classifier(published: Any, network: Network) -> None:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (250, 333, 3), dtype=np.uint8))
    classifier = resnext.load(NAME, "cpu")
    [prediction] = classifier.predict([image])
    entry = find_entry(NAME)
    assert entry is not None
    pixels = to_tensor(resize_and_crop(image, entry.contract.resize))[None]
    probabilities = network(normalise(pixels, entry.mean, entry.std)).softmax(1)[0]
    best = int(probabilities.argmax())
    assert prediction.label == entry.contract.classes[best]
    assert prediction.probability == pytest.approx(float(probabilities[best]), abs=1e-5)
    assert resnext.load(f"hf-hub:{entry.hub}", "cpu").contract == entry.contract


def test_predict_says_which_weights_and_shows_words(
    published: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "a.png")
    assert main(["predict", "resnet10t", str(tmp_path / "a.png")]) == 0
    said = capsys.readouterr()
    assert f"note: resnet10t: {NAME} (68.4 % top-1 at 224 px, apache-2.0)" in said.err
    synset, words = re.match(r"(n\d{8}) \((.{3})", said.out.partition("a.png  ")[2]).groups()  # type: ignore[union-attr]
    assert dict(imagenet_classes())[synset].startswith(words)


def test_training_starts_from_them(
    published: Any, tmp_path: Path, make_folder: Any, monkeypatch: pytest.MonkeyPatch, network: Network
) -> None:
    monkeypatch.setattr("resnext.api.training.write_report", lambda *_, **__: None)
    data = make_folder(tmp_path / "pets", {"cat": 6, "dog": 6})
    words = f"--weights {NAME} --new-head --epochs 1 --batch 4 --data.size-px 32 --training.lr 1e-12"
    assert main(["train", str(data), "--runs", str(tmp_path), "--name", "x", *words.split()]) == 0
    run = tmp_path / "x"
    config = (run / "config.toml").read_text()
    assert 'model = "resnet10+blocks=1-1-1-1+transform=basic+shortcut=average_projection' in config
    assert "mean = [\n    0.485," in config  # as the weights were trained
    contract = json.loads((run / "contract.json").read_text())
    assert contract["provenance"]["weights_licence"] == "apache-2.0"
    assert 'license: "apache-2.0"' in (run / "model" / "README.md").read_text()
    trained = resnext.load(run, "cpu").network.state_dict()
    name = "layer4.0.conv1.weight"
    assert torch.allclose(trained[name], network.state_dict()[name], atol=1e-9)
    assert trained["fc.weight"].shape == (2, 512)
    origin = json.loads((run / "data.json").read_text())["weights"]
    assert Path(origin["path"]).is_dir()


def test_a_name_is_all_that_fine_tuning_needs(
    published: Any, tmp_path: Path, make_folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recipe, head, sizes and filter follow from it, each with its reason."""
    data = make_folder(tmp_path / "pets", {"cat": 6, "dog": 6})
    assert main(["train", str(data), "--runs", str(tmp_path), "--weights", NAME, "--dry-run"]) == 0
    said = capsys.readouterr().out
    entry = find_entry(NAME)
    assert entry is not None
    for choice in (
        "recipe = finetune  (weights are given",
        "head = new  (the weights tell 1000 classes apart, among them none of these)",
        f"data.size_px = {entry.size_px}  (the weights' own size)",
        f"data.resize_px = {entry.resize_px}  (as the weights were trained)",
        f"data.train_px = {entry.train_px}  (the size of the crops that the weights were trained on)",
        f"data.interpolation = {entry.interpolation}  (as the weights were trained)",
    ):
        assert f"chosen     {choice}" in said


def test_create_takes_other_classes_and_channels(published: Any, network: Network) -> None:
    entry = find_entry(NAME)
    assert entry is not None
    made = resnext.create(entry.network, classes=5, in_channels=1, weights=NAME, new_head=True)
    state, given = made.state_dict(), network.state_dict()
    assert state["fc.weight"].shape == (5, 512)
    assert torch.allclose(state["conv1.0.weight"], given["conv1.0.weight"].sum(1, keepdim=True))
    assert torch.equal(state["layer1.0.conv1.weight"], given["layer1.0.conv1.weight"])


def test_the_commands(published: Any, caches: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "resnet10t"]) == 0
    [row] = [line for line in capsys.readouterr().out.splitlines() if NAME in line]
    assert row.split() == [NAME, "apache-2.0", "68.36", "224"]
    assert main(["weights", "fetch", NAME]) == 0
    folder = capsys.readouterr().out.splitlines()[1]
    assert (Path(folder) / "model.safetensors").exists()
    assert main(["weights", "resnet10t"]) == 0
    assert str(caches) in capsys.readouterr().out.replace("\n", "")
    assert main(["weights", "verify"]) == 0
    assert f"whole    {NAME}" in capsys.readouterr().out
    blob = (Path(folder) / "model.safetensors").resolve()
    content = bytearray(blob.read_bytes())
    content[-1] ^= 1
    blob.write_bytes(content)
    assert main(["weights", "verify"]) == 4
    assert f"damaged  {NAME}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fetch"], "takes one NAME, not 0"),
        (["add", "a", "b"], "takes one FILE, not 2"),
        (["verify", "x"], "takes no further words"),
        (["resnet18", "--of", "x"], "--of: goes with add"),
        (["nothing_like_it"], "Nearest:"),
        (["add", "nope.pth"], "say which they are with --of NAME"),
    ],
)
def test_mistakes_in_the_command(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", *words]) in (2, 4)
    assert says in capsys.readouterr().err


def test_a_licence_that_forbids_commercial_use_is_told_and_kept(
    published: Any, tmp_path: Path, make_folder: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("resnext.api.training.write_report", lambda *_, **__: None)
    (_, _, name), config = next(iter(published.files.items()))
    assert name == "config.json"
    weights = next(content for (_, _, file), content in published.files.items() if file != name)
    forbidding = config.replace(b"apache-2.0", b"cc-by-nc-4.0")
    published.add("someone/network", config_json=forbidding, model_safetensors=weights)
    data = make_folder(tmp_path / "pets", {"cat": 6, "dog": 6})
    words = "--weights hf-hub:someone/network --new-head --epochs 1 --batch 4 --data.size-px 32"
    assert main(["train", str(data), "--runs", str(tmp_path), "--name", "x", *words.split()]) == 0
    assert "the weights are under cc-by-nc-4.0, which forbids commercial use" in capsys.readouterr().out
    assert 'license: "cc-by-nc-4.0"' in (tmp_path / "x" / "model" / "README.md").read_text()
    contract = resnext.load(tmp_path / "x", "cpu").contract
    assert contract.provenance.weights_licence == "cc-by-nc-4.0"
