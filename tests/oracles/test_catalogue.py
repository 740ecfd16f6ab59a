"""The catalogue against the settings and figures of timm and torchvision themselves."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from typing import Any

import pytest

from resnext.arch import TIMM_NAMES
from resnext.catalogue import catalogue, find_entry, imagenet_classes

#: What timm publishes of our networks and the catalogue leaves out: a network without a head.
LEFT_OUT = {"resnet50.bamboo"}
#: torchvision's weights as timm calls them.
RECIPES = {"IMAGENET1K_V1": "tv_in1k", "IMAGENET1K_V2": "tv2_in1k"}


def _torchvision_weights(torchvision: Any) -> Iterator[tuple[str, Any]]:
    for name in torchvision.models.list_models(module=torchvision.models):
        if name in TIMM_NAMES.values():
            for weights in torchvision.models.get_model_weights(name):
                yield name, weights


def test_every_tag_of_timm_s_is_there_with_its_settings(timm: Any) -> None:
    """At timm's test size: `tv2` weights are trained on 176 px, and were scored at 224."""
    tags = {n for n in timm.list_models(pretrained=True) if n.partition(".")[0] in TIMM_NAMES.values()}
    ours = {entry.name: entry for entry in catalogue() if entry.source == "timm"}
    assert set(ours) == tags - LEFT_OUT
    for name, entry in ours.items():
        cfg = timm.get_pretrained_cfg(name)
        size = (cfg.test_input_size or cfg.input_size)[1]
        crop = cfg.crop_pct if cfg.test_crop_pct is None else cfg.test_crop_pct
        assert cfg.crop_mode == "center"
        assert (entry.train_px, entry.size_px) == (cfg.input_size[1], size)
        assert entry.resize_px == math.floor(size / crop)
        assert entry.interpolation == cfg.interpolation
        assert (entry.mean, entry.std) == (cfg.mean, cfg.std)
        assert (entry.licence, entry.hub, entry.origin) == (cfg.license, cfg.hf_hub_id, cfg.origin_url)
        assert entry.file == ((cfg.url or "").split("/")[-1] or None)


def test_every_weights_of_torchvision_s_are_there_with_their_preset(torchvision: Any) -> None:
    known = {entry.name for entry in catalogue() if entry.source == "torchvision"}
    found = set()
    for _, weights in _torchvision_weights(torchvision):
        name = f"{type(weights).__name__}.{weights.name}"
        found.add(name)
        entry, preset = find_entry(name), weights.transforms()
        assert entry is not None
        assert [entry.size_px] == preset.crop_size
        assert [entry.resize_px] == preset.resize_size
        assert entry.interpolation == preset.interpolation.value
        assert (list(entry.mean), list(entry.std)) == (preset.mean, preset.std)
        assert entry.top1 == weights.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        assert entry.file == weights.url.split("/")[-1]
        assert find_entry(f"{type(weights).__name__}.DEFAULT").name.startswith(type(weights).__name__)  # type: ignore[union-attr]
    assert found == known


def test_the_hub_s_copies_of_torchvision_s_weights_are_of_the_same_file(torchvision: Any, timm: Any) -> None:
    for name, weights in _torchvision_weights(torchvision):
        cfg = timm.get_pretrained_cfg(f"{name}.{RECIPES[weights.name]}")
        assert cfg.url == weights.url
        entry = find_entry(f"{type(weights).__name__}.{weights.name}")
        assert entry is not None
        assert entry.hub == cfg.hf_hub_id


def test_the_two_libraries_score_one_file_differently(timm: Any) -> None:
    """timm crops an eighth off for these weights, torchvision's preset less: each name has its own rule."""
    timms, preset = find_entry("resnext101_64x4d.tv_in1k"), find_entry("ResNeXt101_64X4D_Weights.DEFAULT")
    assert timms is not None
    assert preset is not None
    assert timms.hub == preset.hub
    assert (timms.resize_px, preset.resize_px) == (256, 232)
    assert timm.get_pretrained_cfg("resnext101_64x4d.tv_in1k").crop_pct == 0.875


def test_the_classes_are_those_of_both(timm: Any, torchvision: Any) -> None:
    info = timm.data.ImageNetInfo("imagenet-1k")
    assert [synset for synset, _ in imagenet_classes()] == info.label_names()
    names = torchvision.models.ResNet50_Weights.DEFAULT.meta["categories"]
    for (synset, words), name in zip(imagenet_classes(), names, strict=True):
        listed = [word.strip().lower() for word in words.split(",")]
        assert name.lower() in listed or synset in ("n02012849", "n03710721"), name  # crane bird, maillot


@pytest.mark.parametrize("name", sorted(TIMM_NAMES.values()))
def test_timm_has_the_network(name: str, timm: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert timm.models.is_model(name)
