"""The network is told from the shapes of its tensors, or not at all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.arch import Architecture
from resnext.models import Network
from resnext.weights import PretrainedWeights, WeightsError
from resnext.weights.recognition import recognise

SMALL = "resnext11_4x4d+template=8"


def _tensors(arch: Architecture) -> dict[str, torch.Tensor]:
    with torch.device("meta"):
        return Network(arch).state_dict()


@st.composite
def architectures(draw: Any) -> Architecture:
    """Networks whose tensors tell them apart; a shortcut without tensors, and equal forms, are no others."""
    basic = draw(st.booleans())
    return Architecture(
        blocks=tuple(draw(st.lists(st.integers(1, 3), min_size=1, max_size=4))),
        cardinality=1 if basic else draw(st.sampled_from([1, 2, 8, 32])),
        base_width=draw(st.sampled_from([8, 4, 16])),
        template_width=draw(st.sampled_from([8, 64])),
        transform="basic" if basic else draw(st.sampled_from(["grouped", "multi_resolution"])),
        attention=draw(st.sampled_from(["none", "se"])),
        shortcut=draw(st.sampled_from(["projection", "projection_all", "average_projection"])),
        stem=draw(
            st.sampled_from(["imagenet", "cifar", "deep_imagenet", "tiered_imagenet", "wide_imagenet"])
        ),
        in_channels=draw(st.sampled_from([1, 3, 4])),
        classes=draw(st.integers(1, 20)),
    )


@given(architectures())
@settings(max_examples=80)
def test_every_network_is_recognised(arch: Architecture) -> None:
    """The result may have another name where two networks have the same tensors: then it has those."""
    tensors = _tensors(arch)
    found = recognise(tensors, "x")
    assert {n: t.shape for n, t in _tensors(found).items()} == {n: t.shape for n, t in tensors.items()}
    assert (found.classes, found.in_channels, found.cardinality) == (
        arch.classes, arch.in_channels, arch.cardinality
    )  # fmt: skip


def test_without_a_head() -> None:
    tensors = {n: t for n, t in _tensors(Architecture.from_name(SMALL, 3)).items() if not n.startswith("fc.")}
    assert recognise(tensors, "x").name == SMALL


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["blocks.0.attn.qkv.weight", "cls_token"], "a vision transformer"),
        (["stages.0.blocks.0.conv_dw.weight"], "ConvNeXt"),
        (["conv_stem.weight", "blocks.0.0.conv_dw.weight"], "EfficientNet"),
        (["features.denseblock1.denselayer1.norm1.weight"], "DenseNet"),
        (["layer0.conv1.weight", "layer1.0.conv1.weight"], "an older SE-ResNeXt"),
        (["layer1.0.se.conv.weight", "conv1.weight"], "ECA-ResNet"),
        (["a", "b"], r"its 2 tensors \(a, b, \.\.\.\) are of no ResNet or ResNeXt"),
        ([], "holds no tensors by name"),
    ],
)
def test_what_is_no_network_of_ours_is_named(names: list[str], says: str) -> None:
    with pytest.raises(WeightsError, match=rf"^vit\.pth: .*{says}"):
        recognise({name: torch.zeros(1) for name in names}, "vit.pth")


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_a_network_with_one_tensor_wrong_is_none(change: str) -> None:
    tensors = _tensors(Architecture.from_name(SMALL, 3))
    if change == "missing":
        del tensors["layer2.0.bn1.weight"]
    elif change == "extra":
        tensors["layer2.0.bn9.weight"] = torch.zeros(3)
    else:
        tensors["layer2.0.bn1.weight"] = torch.zeros(3)
    with pytest.raises(WeightsError):
        recognise(tensors, "x")


def test_other_channels_follow_the_documented_rule() -> None:
    """The filters of three channels are summed or spread, so that a grey image gives the same answer."""
    arch = Architecture.from_name(SMALL, 3)
    network = Network(arch).eval()
    weights = PretrainedWeights("x", network.state_dict(), SMALL, None)  # type: ignore[arg-type]
    grey = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = network(grey.expand(-1, 3, -1, -1))
    for channels in (1, 6, 9):
        adapted = weights.build_network(
            Architecture.from_name(SMALL, 3, channels), ("a", "b", "c"), 0, new_head=False
        ).eval()
        assert torch.allclose(adapted(grey.expand(-1, channels, -1, -1)), expected, atol=1e-5)
