"""Hub folders of timm's: a network and its contract from their config.json."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from resnext.arch import Architecture
from resnext.catalogue import find_entry
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.models import create
from resnext.weights import PretrainedWeights, WeightsError, load_network
from resnext.weights.timm_config import parse_timm_config, timm_config

HERE = Path("config.json")
#: What timm's own repositories have, as `push_to_hf_hub` writes it.
CONFIG: dict[str, Any] = {
    "architecture": "resnet50",
    "num_classes": 1000,
    "num_features": 2048,
    "pretrained_cfg": {
        "tag": "tv2_in1k",
        "custom_load": False,
        "input_size": [3, 176, 176],
        "test_input_size": [3, 224, 224],
        "fixed_input_size": False,
        "interpolation": "bilinear",
        "crop_pct": 0.875,
        "test_crop_pct": 0.965,
        "crop_mode": "center",
        "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225],
        "num_classes": 1000,
        "pool_size": [6, 6],
        "first_conv": "conv1",
        "classifier": "fc",
        "license": "bsd-3-clause",
    },
}


def changed(**fields: Any) -> dict[str, Any]:
    """CONFIG with other fields, those of `pretrained_cfg` after `cfg_`."""
    inner = {name[4:]: value for name, value in fields.items() if name.startswith("cfg_")}
    outer = {name: value for name, value in fields.items() if not name.startswith("cfg_")}
    return CONFIG | outer | {"pretrained_cfg": CONFIG["pretrained_cfg"] | inner}


def test_the_contract_of_a_tag_is_that_of_the_catalogue() -> None:
    """At the test size: the size of training would score these weights wrongly, without a word."""
    arch, contract = parse_timm_config(CONFIG, HERE)
    entry = find_entry("resnet50.tv2_in1k")
    assert entry is not None
    assert arch == Architecture.from_name("resnet50")
    assert contract == entry.contract
    assert contract.resize == Resize(232, 224, "bilinear")
    assert contract.describe("n01440764") == "n01440764 (tench, Tinca tinca)"


def test_without_a_test_size_the_size_of_training_is_that_of_evaluation() -> None:
    _, contract = parse_timm_config(changed(cfg_test_input_size=None, cfg_test_crop_pct=None), HERE)
    assert contract is not None
    assert contract.resize == Resize(201, 176, "bilinear")  # floor(176 / 0.875)


@pytest.mark.parametrize(
    ("names", "descriptions"),
    [
        (["a", "b"], ()),
        ({"0": "a", "1": "b"}, ()),
        ({"10": "b", "9": "a"}, ()),  # in the order of the numbers, not of the texts
    ],
)
def test_names_of_classes(names: Any, descriptions: tuple[str, ...]) -> None:
    _, contract = parse_timm_config(changed(num_classes=2, label_names=names), HERE)
    assert contract is not None
    assert contract.classes == ("a", "b")
    assert contract.descriptions == descriptions


@pytest.mark.parametrize("texts", [{"a": "an A", "b": "a B"}, ["an A", "a B"]])
def test_descriptions_of_classes(texts: Any) -> None:
    config = changed(num_classes=2, label_names=["a", "b"], label_descriptions=texts)
    _, contract = parse_timm_config(config, HERE)
    assert contract is not None
    assert contract.descriptions == ("an A", "a B")


def test_classes_that_nobody_names_make_no_contract() -> None:
    arch, contract = parse_timm_config(changed(num_classes=11_821), HERE)
    assert (arch.classes, contract) == (11_821, None)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"label_names": ["a"] * 10}, "label_names: 10 names for 1000 classes"),
        ({"num_classes": 2, "label_names": ["a", "a"]}, "classes: a name appears twice"),
        ({"architecture": "convnext_tiny"}, "convnext_tiny"),
        ({"cfg_crop_mode": "squash"}, "crop_mode: 'squash'; only center"),
        ({"cfg_test_input_size": [3, 224, 192]}, "input_size: 224x192; only squares"),
        ({"cfg_crop_pct": "x"}, "crop_pct"),
        ({"cfg_test_crop_pct": 0}, "test_crop_pct"),
        ({"cfg_mean": [0.5]}, "mean: 1 values for 3 channels"),
        ({"cfg_interpolation": "random"}, "interpolation: is not one of"),
        ({"num_classes": -1}, "num_classes"),
        ({"num_classes": 10**12}, "num_classes"),
    ],
)
def test_what_a_config_may_not_say(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(WeightsError, match=rf"^config\.json: .*{says}"):
        parse_timm_config(changed(**fields), HERE)


def test_what_we_write_is_read_as_we_meant_it() -> None:
    contract = Contract(
        ("x", "y"), Input(3, 96, 96), Resize(110, 96, "bicubic"), (0.4, 0.5, 0.6), (0.2, 0.3, 0.4),
        Provenance("resnet50", weights_licence="mit"), descriptions=("an X", "a Y"),
    )  # fmt: skip
    arch = Architecture.from_name("resnet50", 2)
    assert parse_timm_config(json.loads(json.dumps(timm_config(arch, contract))), HERE) == (arch, contract)


def test_a_folder_of_timms_is_a_model(tmp_path: Path) -> None:
    arch = Architecture.from_name("resnet18", 2)
    network = create(arch, 1).eval()
    save_file(network.state_dict(), tmp_path / "model.safetensors")
    config = changed(architecture="resnet18", num_classes=2, label_names=["a", "b"])
    (tmp_path / "config.json").write_text(json.dumps(config))
    loaded, contract = load_network(tmp_path)
    images = torch.randn(1, 3, 32, 32)
    assert torch.equal(loaded(images), network(images))
    assert contract.classes == ("a", "b")
    weights = PretrainedWeights.read(tmp_path)
    assert (weights.model, weights.contract) == ("resnet18", contract)
