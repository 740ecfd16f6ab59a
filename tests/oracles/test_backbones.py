"""Networks as backbones act as timm's: feature maps, features, heads, hub folders and the names it lacks."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

import resnext
from resnext.arch import TIMM_NAMES, Architecture
from resnext.models import FeaturePyramid, create

#: timm's names of networks of the paper, one with an attention, and one with another stem and two layers.
LARGE = pytest.param("resnext101_64x4d", marks=pytest.mark.slow)
NAMES = ("resnet50", "resnext50_32x4d", LARGE, "seresnext50_32x4d", "resnet18d")
OURS = {timm: ours for ours, timm in TIMM_NAMES.items()}
IMAGES = torch.randn(2, 3, 70, 90, generator=torch.Generator().manual_seed(0))

MakePeer = Callable[[str], Any]


def _distance(ours: Tensor, theirs: Tensor) -> float:
    """The largest difference as a share of the spread of `theirs`."""
    assert ours.shape == theirs.shape
    return ((ours - theirs).abs().max() / theirs.std()).item()


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_maps_features_and_heads_are_timms(name: str, timm: Any, make_peer: MakePeer, tmp_path: Path) -> None:
    peer = make_peer(name)
    save_file(peer.state_dict(), tmp_path / "weights.safetensors")
    weights = tmp_path / "weights.safetensors"

    network = resnext.create(OURS[name], weights=weights).eval()
    maps = network.forward_features(IMAGES)
    assert _distance(maps, peer.forward_features(IMAGES)) < 1e-5
    for pre_logits in (False, True):
        theirs = peer.forward_head(peer.forward_features(IMAGES), pre_logits=pre_logits)
        assert _distance(network.forward_head(maps, pre_logits=pre_logits), theirs) < 1e-5
    assert network.num_features == peer.num_features
    assert torch.equal(network.get_classifier().weight, peer.get_classifier().weight)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        their_pyramid = timm.create_model(name, features_only=True).eval()
    state = {k: v for k, v in peer.state_dict().items() if not k.startswith("fc.")}
    their_pyramid.load_state_dict(state, strict=True)
    pyramid = resnext.create(OURS[name], weights=weights, features_only=True).eval()
    assert pyramid.state_dict().keys() == their_pyramid.state_dict().keys()
    for ours, theirs in zip(pyramid(IMAGES), their_pyramid(IMAGES), strict=True):
        assert _distance(ours, theirs) < 1e-5

    for classes in (7, 0):
        network.reset_classifier(classes)
        peer.reset_classifier(classes)
        assert type(network.get_classifier()) is type(peer.get_classifier())
        assert network.num_classes == peer.num_classes == classes
        if classes:
            network.get_classifier().load_state_dict(peer.get_classifier().state_dict())
        assert _distance(network(IMAGES), peer(IMAGES)) < 1e-5


@pytest.mark.parametrize("indices", [None, 2, (1, 2, 3), (0,), (-3, -1), (0, -2), (2,)])
@torch.no_grad()
def test_the_maps_that_are_asked_for_are_timms(indices: Any, timm: Any) -> None:
    arguments = {} if indices is None else {"out_indices": indices}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = timm.create_model("resnet18d", features_only=True, **arguments).eval()
    ours = resnext.create(OURS["resnet18d"], features_only=True, out_indices=indices).eval()
    ours.load_state_dict(theirs.state_dict(), strict=True)  # no more modules than timm keeps
    for mine, other in zip(ours(IMAGES), theirs(IMAGES), strict=True):
        assert _distance(mine, other) < 1e-5
    assert ours.feature_info.channels() == theirs.feature_info.channels()
    assert ours.feature_info.reduction() == theirs.feature_info.reduction()
    names = [name.replace("act1", "relu") for name in theirs.feature_info.module_name()]  # torchvision's name
    assert ours.feature_info.module_name() == names


@pytest.mark.parametrize("indices", [(5,), (-6,), 6, (0, 9)])
def test_indices_that_timm_refuses_are_refused(indices: Any, timm: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises((AssertionError, IndexError)):
            timm.create_model("resnet18d", features_only=True, out_indices=indices)
    with pytest.raises(resnext.UsageError, match="out_indices"):
        FeaturePyramid(create(Architecture.from_name("resnet18+template=8")), indices)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_what_is_saved_is_read_by_timm(name: str, timm: Any, make_peer: MakePeer, tmp_path: Path) -> None:
    """Fine-tuned to three classes, saved, and read back by both."""
    save_file(make_peer(name).state_dict(), tmp_path / "weights.safetensors")
    network = resnext.create(OURS[name], weights=tmp_path / "weights.safetensors").eval()
    network.reset_classifier(3)
    folder = network.save_pretrained(tmp_path / "shared", classes=["a", "b", "c"])
    peer = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    logits = network(IMAGES)
    assert _distance(peer(IMAGES), logits) < 1e-5
    assert peer.pretrained_cfg["label_names"] == ["a", "b", "c"]
    again = resnext.from_pretrained(folder)
    assert torch.equal(again(IMAGES), logits)
    maps = timm.create_model(f"local-dir:{folder}", pretrained=True, features_only=True).eval()(IMAGES)
    for ours, theirs in zip(FeaturePyramid(again)(IMAGES), maps, strict=True):
        assert _distance(ours, theirs) < 1e-5


@torch.no_grad()
def test_what_timm_saves_is_read(timm: Any, make_peer: MakePeer, tmp_path: Path) -> None:
    peer = make_peer("resnet18")
    peer.reset_classifier(4)
    timm.models.save_for_hf(peer, tmp_path / "theirs", safe_serialization=True)
    network = resnext.from_pretrained(tmp_path / "theirs")
    assert _distance(network(IMAGES), peer.eval()(IMAGES)) < 1e-5
    assert (network.num_classes, network.contract.classes) == (4, ("0", "1", "2", "3"))
