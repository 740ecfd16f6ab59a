"""Networks that are saved, read back and described."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

import resnext
from resnext.arch import STEMS, Architecture
from resnext.contract import Calibration, Contract, ContractError, Input, Provenance, Rejection, Resize
from resnext.models import Network, create
from resnext.weights import HubNetwork, WeightsError, write_hub_folder
from resnext.weights.hub_network import default_contract

ARCH = Architecture.from_name("resnext11_4x4d+template=8", 3)
CONTRACT = Contract(
    ("a", "b", "c"),
    Input(3, 16, 16),
    Resize(18, 16),
    (0.5,) * 3,
    (0.2,) * 3,
    Provenance(ARCH.name, weights_licence="apache-2.0"),
    Calibration(2.0, Rejection("probability", 0.1)),
    ("an a", "a b", "a c"),
)
IMAGES = torch.randn(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_hub_folder(tmp_path / "model", create(ARCH, 4), CONTRACT, "# card\n")
    return tmp_path / "model"


def test_what_is_read_is_saved(folder: Path, tmp_path: Path) -> None:
    network = HubNetwork.from_pretrained(folder)
    assert isinstance(network, Network)
    assert not network.training
    assert torch.equal(network(IMAGES), create(ARCH, 4).eval()(IMAGES))
    saved = network.save_pretrained(tmp_path / "deep" / "saved")
    again = resnext.from_pretrained(str(saved))
    assert torch.equal(again(IMAGES), network(IMAGES))
    assert again.contract == CONTRACT
    assert sorted(path.name for path in saved.parent.iterdir()) == ["saved"]  # and no draft
    assert 'license: "apache-2.0"' in (saved / "README.md").read_text()
    assert resnext.load(saved, "cpu").contract == CONTRACT


def test_a_network_shares_the_modules_of_another() -> None:
    plain = create(ARCH, 1)
    shared = HubNetwork(plain)
    assert [*map(id, shared.parameters())] == [*map(id, plain.parameters())]
    assert shared.state_dict().keys() == plain.state_dict().keys()
    assert torch.equal(shared.train()(IMAGES), plain.train()(IMAGES))


def test_other_classes_have_other_names_and_no_old_calibration(folder: Path, tmp_path: Path) -> None:
    network = HubNetwork.from_pretrained(folder)
    network.reset_classifier(2)
    assert network.contract.classes == ("0", "1")
    network.save_pretrained(tmp_path / "two", classes=["x", "y"])
    contract = HubNetwork.from_pretrained(tmp_path / "two").contract
    renamed = replace(CONTRACT, classes=("x", "y"), descriptions=(), calibration=None)
    assert contract == renamed
    fresh = resnext.create(ARCH.name, classes=2, weights=folder, new_head=True)
    assert fresh.contract == replace(renamed, classes=("0", "1"))


@pytest.mark.parametrize(
    ("change", "classes", "says"),
    [
        (None, ["x"], "1 names for 3 classes; name all"),
        (0, None, r"3 names for 0 classes; reset_classifier\(N\) gives"),
        (None, ["x", "x", "y"], "twice"),
    ],
)
def test_what_cannot_be_saved_leaves_nothing(
    folder: Path, tmp_path: Path, change: int | None, classes: Any, says: str
) -> None:
    network = HubNetwork.from_pretrained(folder)
    if change is not None:
        network.reset_classifier(change)
    with pytest.raises((WeightsError, ContractError), match=says):
        network.save_pretrained(tmp_path / "new" / "saved", classes)
    assert not (tmp_path / "new").exists()


def test_nothing_is_overwritten(folder: Path) -> None:
    before = (folder / "config.json").read_bytes()
    with pytest.raises(WeightsError, match="exists already"):
        HubNetwork(create(ARCH)).save_pretrained(folder)
    assert (folder / "config.json").read_bytes() == before


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("stem", STEMS)
def test_what_nobody_has_described_is_prepared_as_timm_does(stem: str, channels: int, tmp_path: Path) -> None:
    arch = Architecture.from_name(f"resnet14+template=8+blocks=1-1-1-1+stem={stem}", 2, channels)
    contract = default_contract(arch)
    assert contract.resize.shorter_px == int(arch.size_px / 0.875)
    saved = HubNetwork(create(arch)).save_pretrained(tmp_path / "saved")
    assert json.loads((saved / "config.json").read_text())["pretrained_cfg"]["input_size"][0] == channels
    assert HubNetwork.from_pretrained(saved).contract == contract


def test_a_file_of_tensors_is_a_network_with_numbers_for_classes(tmp_path: Path) -> None:
    arch = Architecture.from_name("resnet18", 7, 1)
    save_file(create(arch).state_dict(), tmp_path / "x.safetensors")
    network = HubNetwork.from_pretrained(tmp_path / "x.safetensors")
    assert network.arch == arch
    assert network.contract == default_contract(arch)


def test_weights_without_a_classifier_say_how_to_get_one(tmp_path: Path) -> None:
    state = create(Architecture.from_name("resnet18")).state_dict()
    headless = {name: tensor for name, tensor in state.items() if not name.startswith("fc.")}
    save_file(headless, tmp_path / "x.safetensors")
    with pytest.raises(WeightsError, match=r"create\('resnet18', classes=N, weights=\.\.\., new_head=True\)"):
        HubNetwork.from_pretrained(tmp_path / "x.safetensors")
    pyramid = resnext.create("resnet18", weights=tmp_path / "x.safetensors", features_only=True)
    assert all(torch.equal(tensor, headless[name]) for name, tensor in pyramid.state_dict().items())
    with pytest.raises(resnext.UsageError, match="needs features_only=True"):
        resnext.create("resnet18", out_indices=(1,))  # type: ignore[call-overload]
