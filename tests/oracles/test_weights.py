"""Weights as others save them: read strictly, the network recognised, and the same logits as in timm.

RESNEXT_ORACLES=full tries every network that timm has weights of in every format; else a few of each kind.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from resnext.arch import TIMM_NAMES, Architecture
from resnext.catalogue import catalogue
from resnext.weights import PretrainedWeights
from resnext.weights.matching import adapt_channels

Tensors = dict[str, Tensor]
SHORT = ("resnet18", "resnet26", "seresnext26d_32x4d")
NAMES = sorted({entry.architecture for entry in catalogue()})
IS_FULL = os.environ.get("RESNEXT_ORACLES") == "full"
CLASSES = 1000


def _prefixed(tensors: Tensors, prefix: str) -> Tensors:
    return {prefix + name: tensor for name, tensor in tensors.items()}


def _mmpretrain(tensors: Tensors) -> Tensors:
    body = {f"backbone.{n}": t for n, t in tensors.items() if not n.startswith("fc.")}
    return body | {f"head.{n}": t for n, t in tensors.items() if n.startswith("fc.")}


def _transformers(tensors: Tensors) -> Tensors:
    """The names of `transformers.ResNetForImageClassification`."""
    words = {"conv": "convolution", "bn": "normalization"}

    def rename(name: str) -> str:
        if name.startswith("fc."):
            return f"classifier.1.{name[3:]}"
        if match := re.fullmatch(r"(conv|bn)1\.(\w+)", name):
            return f"resnet.embedder.embedder.{words[match[1]]}.{match[2]}"
        stage, block, rest = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", name).groups()  # type: ignore[union-attr]
        place = f"resnet.encoder.stages.{int(stage) - 1}.layers.{block}"
        if match := re.fullmatch(r"(conv|bn)(\d)\.(\w+)", rest):
            return f"{place}.layer.{int(match[2]) - 1}.{words[match[1]]}.{match[3]}"
        number, what = re.fullmatch(r"downsample\.(\d)\.(\w+)", rest).groups()  # type: ignore[union-attr]
        return f"{place}.shortcut.{('convolution', 'normalization')[int(number)]}.{what}"

    return {rename(name): tensor for name, tensor in tensors.items()}


def _torch7(tensors: Tensors) -> Tensors:
    """The nested numbers of the ports of Torch7's models, which have no counters."""
    inside = {
        "conv1": "0.0.0", "bn1": "0.0.1", "conv2": "0.0.3", "bn2": "0.0.4", "conv3": "0.1", "bn3": "0.2",
        "downsample.0": "1.0", "downsample.1": "1.1",
    }  # fmt: skip

    def rename(name: str) -> str:
        layer, _, what = name.rpartition(".")
        if layer in ("conv1", "bn1", "fc"):
            return {"conv1": "0", "bn1": "1", "fc": "10.1"}[layer] + f".{what}"
        stage, block, part = re.fullmatch(r"layer(\d)\.(\d+)\.(.+)", layer).groups()  # type: ignore[union-attr]
        return f"{int(stage) + 3}.{block}.0.{inside[part]}.{what}"

    return {rename(n): t for n, t in tensors.items() if not n.endswith("num_batches_tracked")}


def _moco(tensors: Tensors) -> Any:
    body = {n: t for n, t in tensors.items() if not n.startswith("fc.")}
    head = {"fc.0.weight": torch.zeros(8, 8), "fc.2.weight": torch.zeros(8, 8)}
    both = _prefixed(body | head, "module.encoder_q.") | _prefixed(body | head, "module.encoder_k.")
    return {"epoch": 200, "state_dict": both | {"module.queue": torch.zeros(8, 8)}, "optimizer": {}}


#: How a state dict is saved, by the name of the format; those of the second kind suit plain names only.
FORMATS: dict[str, Callable[[Tensors], Any]] = {
    "plain": lambda t: t,
    "trainer": lambda t: {"epoch": 3, "arch": "x", "state_dict": _prefixed(t, "module."), "optimizer": {}},
    "averaged": lambda t: {
        "model": {n: torch.zeros_like(x) for n, x in t.items()},
        "model_ema": {"n_averaged": torch.tensor(5)} | _prefixed(t, "module."),
    },
    "compiled": lambda t: {"state_dict_ema": _prefixed(t, "_orig_mod.module."), "version": 2},
    "lightning": lambda t: {"state_dict": _prefixed(t, "model."), "pytorch-lightning_version": "2"},
    "timm wrapper": lambda t: _prefixed(t, "timm_model."),
    "mmpretrain": lambda t: {"meta": {"epoch": 1}, "state_dict": _mmpretrain(t)},
    "last_linear": lambda t: {re.sub(r"^fc\.", "last_linear.", n): x for n, x in t.items()},
    "moco": _moco,
    "transformers": _transformers,
    "torch7": _torch7,
}  # fmt: skip
ONLY_PLAIN_STEM, ONLY_PLAIN_BOTTLENECK = ("transformers",), ("torch7",)


def _suits(style: str, tensors: Tensors) -> bool:
    is_plain = "conv1.weight" in tensors and not any(".se." in n or ".convs." in n for n in tensors)
    is_plain = is_plain and not any("downsample.2" in n for n in tensors)
    if style in ONLY_PLAIN_BOTTLENECK:
        return is_plain and "layer1.0.conv3.weight" in tensors
    return is_plain if style in ONLY_PLAIN_STEM else True


@pytest.mark.parametrize("name", NAMES if IS_FULL else SHORT)
@torch.no_grad()
def test_weights_in_every_format_give_the_logits_of_timm(
    name: str, make_peer: Callable[[str], Any], tmp_path: Path
) -> None:
    peer = make_peer(name)
    tensors = peer.state_dict()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    logits = peer(images)
    features = peer.forward_head(peer.forward_features(images), pre_logits=True)
    path = tmp_path / "weights"
    styles = [style for style in FORMATS if _suits(style, tensors)]
    assert len(styles) >= 9
    for style in styles:
        torch.save(FORMATS[style](tensors), path)
        weights = PretrainedWeights.read(path)
        assert TIMM_NAMES[weights.model] == name, style
        new_head = style == "moco"
        arch = Architecture.from_name(weights.model)
        network = weights.build_network(arch, tuple(map(str, range(CLASSES))), 0, new_head).eval()
        if new_head:
            network.fc = torch.nn.Identity()
        expected = features if new_head else logits
        assert ((network(images) - expected).abs().max() / expected.std()).item() < 1e-5, style
    save_file(tensors, path)
    assert TIMM_NAMES[PretrainedWeights.read(path).model] == name


@pytest.mark.parametrize("channels", [1, 2, 4, 5, 6, 7])
@pytest.mark.parametrize("name", ["conv1.weight", "conv1.0.weight"])
def test_a_first_convolution_for_other_channels_is_timms(name: str, channels: int, timm: Any) -> None:
    weight = torch.randn(8, 3, 7, 7, generator=torch.Generator().manual_seed(0))
    from timm.models._manipulate import adapt_input_conv

    assert torch.equal(
        adapt_channels({name: weight}, channels)[name], adapt_input_conv(channels, weight.clone())
    )
