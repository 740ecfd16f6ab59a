"""Networks that timm lacks, made by timm."""

from __future__ import annotations

import doctest
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import resnext
from resnext.arch import TIMM_NAMES, Architecture
from resnext.models import FeaturePyramid, create

IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def registered(timm: Any) -> ModuleType:
    return importlib.import_module("resnext.timm_models")


def test_its_examples(registered: ModuleType) -> None:
    assert doctest.testmod(registered) == (0, 6)


def test_timm_lists_ours_and_keeps_its_own(registered: ModuleType, timm: Any) -> None:
    ours = set(timm.list_models(module="timm_models"))
    assert {"resnext101_64x8d", "resnext29_8x64d", "resnext152_64x16d+attention=se"} <= ours
    assert not ours & set(TIMM_NAMES.values())
    assert type(timm.create_model("resnext50_32x4d")) is timm.models.ResNet
    assert ours <= set(registered.__all__)
    assert all(callable(getattr(registered, name)) for name in ours)


@pytest.mark.parametrize(
    "name", ["resnext26_8x4d", "resnext11_8x4d+template=16", "resnext26_8x4d+attention=se"]
)
@torch.no_grad()
def test_what_timm_makes_is_our_network(name: str, registered: ModuleType, timm: Any) -> None:
    peer = timm.create_model(name, num_classes=4).eval()
    network = create(Architecture.from_name(name, 4)).eval()
    network.load_state_dict(peer.state_dict())
    assert torch.equal(network(IMAGES), peer(IMAGES))
    maps = timm.create_model(name, features_only=True, out_indices=(0, -1)).eval()
    pyramid = FeaturePyramid(network, (0, -1))
    pyramid.load_state_dict(maps.state_dict(), strict=True)
    assert all(torch.equal(a, b) for a, b in zip(maps(IMAGES), pyramid(IMAGES), strict=True))
    assert maps.feature_info.channels() == pyramid.feature_info.channels()
    everything = timm.create_model(name, features_only=True).feature_info
    assert everything.reduction() == FeaturePyramid(network).feature_info.reduction()


@torch.no_grad()
def test_arguments_of_timm(registered: ModuleType, timm: Any) -> None:
    name = "resnext11_8x4d+template=16"
    headless = timm.create_model(name, num_classes=0, in_chans=1).eval()
    assert headless(IMAGES[:, :1]).shape == (2, headless.num_features)
    dropping = timm.create_model(name, drop_rate=0.3, drop_path_rate=0.2)
    assert dropping.dropout.p == 0.3
    assert dropping.get_submodule("layer3.0").drop_path.rate == pytest.approx(0.2)
    torch.manual_seed(1)
    first = timm.create_model(name).conv1.weight
    assert not torch.equal(first, timm.create_model(name).conv1.weight)  # drawn as timm draws
    with pytest.raises(resnext.UsageError, match="global_pool 'max': must be 'avg'"):
        timm.create_model(name, global_pool="max")
    with pytest.raises(TypeError, match="output_stride"):
        timm.create_model(name, output_stride=8)


@torch.no_grad()
def test_timm_reads_hub_folders_of_networks_that_it_lacks(
    registered: ModuleType, timm: Any, tmp_path: Path
) -> None:
    name = "resnext38_2x5d+template=16+transform=branches"
    network = resnext.create(name, classes=3).eval()
    folder = network.save_pretrained(tmp_path / "ours", classes=["a", "b", "c"])
    with pytest.raises(RuntimeError, match="Unknown model"):
        timm.create_model(f"local-dir:{folder}", pretrained=True)
    registered.register(name)
    registered.register(name)  # a second time does nothing
    peer = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    assert torch.equal(peer(IMAGES), network(IMAGES))
    tuned = timm.create_model(f"local-dir:{folder}", pretrained=True, num_classes=7, in_chans=1).eval()
    assert torch.equal(tuned.get_parameter("bn1.weight"), network.get_parameter("bn1.weight"))
    summed = network.get_parameter("conv1.weight").sum(1, keepdim=True)
    torch.testing.assert_close(tuned.get_parameter("conv1.weight"), summed)
    maps = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True).eval()
    ours = FeaturePyramid(network)(IMAGES)
    assert all(torch.equal(a, b) for a, b in zip(maps(IMAGES), ours, strict=True))


def test_without_timm_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "resnext.timm_models", raising=False)
    for name in [name for name in sys.modules if name.partition(".")[0] == "timm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ImportError, match="pip install timm") as error:
        importlib.import_module("resnext.timm_models")
    assert isinstance(error.value, resnext.ResnextError)
