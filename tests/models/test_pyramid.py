"""Laws of feature pyramids."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from resnext.arch import STEMS, Architecture
from resnext.errors import UsageError
from resnext.models import FeaturePyramid, create, feature_maps

SMALL = Architecture.from_name("resnext50_2x4d+template=8", 5)


def test_the_maps_are_those_that_the_network_computes() -> None:
    network, seen = create(SMALL).eval(), {}
    for name in ("relu", "layer1", "layer2", "layer3", "layer4"):
        network.get_submodule(name).register_forward_hook(
            lambda _, __, y, name=name: seen.update({name: y.clone()})
        )
    images = torch.randn(2, 3, 50, 70)
    network(images)
    pyramid = FeaturePyramid(network, (0, 1, 3))
    for name, one in zip(pyramid.feature_info.module_name(), pyramid(images), strict=True):
        assert torch.equal(one, seen[name])


@pytest.mark.parametrize("stem", STEMS)
def test_channels_and_sides_are_as_promised(stem: str) -> None:
    arch = Architecture.from_name(f"resnet14+template=8+blocks=1-1-1-1+stem={stem}")
    pyramid = FeaturePyramid(create(arch).eval())
    info = pyramid.feature_info
    assert len(info.maps) == 5
    for side in (64, 65, 100):
        for one, channels, reduction in zip(
            pyramid(torch.zeros(1, 3, side, side)), info.channels(), info.reduction(), strict=True
        ):
            whole = side - side % 2 if stem == "deep" else side  # its pooling leaves out an odd last pixel
            assert one.shape == (1, channels, -(-whole // reduction), -(-whole // reduction))


def test_a_network_of_three_stages_has_four_maps() -> None:
    arch = Architecture.from_name("resnext29_2x4d+template=8")
    assert [one.reduction for one in feature_maps(arch)] == [1, 1, 2, 4]
    assert FeaturePyramid(create(arch), 1).feature_info.module_name() == ["layer3"]


def test_every_parameter_gets_a_gradient_and_has_its_name_in_the_network() -> None:
    network = create(SMALL)
    for indices in ((0,), (1, 2), (-1,), (0, 4)):
        pyramid = FeaturePyramid(network, indices)
        network.zero_grad()
        sum(one.square().sum() for one in pyramid(torch.randn(2, 3, 64, 64))).backward()
        for name, parameter in pyramid.named_parameters():
            assert parameter is network.get_parameter(name)
            assert parameter.grad is not None
            assert parameter.grad.abs().sum() > 0, name


def test_modes_of_the_network_are_kept() -> None:
    network = create(SMALL).train()
    network.bn1.eval()
    pyramid = FeaturePyramid(network)
    assert pyramid.training
    assert pyramid.get_submodule("layer1").training
    assert not pyramid.get_submodule("bn1").training


@pytest.mark.parametrize(
    ("indices", "says"),
    [
        ((5,), r"out_indices \(5,\): must be indices of the 5 feature maps, 0 \(the stem\) to 4 or -5 to -1"),
        ((-6,), "-5 to -1"),
        (0, "how many of the last"),
        (6, "how many of the last"),
        (-1, "how many of the last"),
        (True, "how many of the last"),
        ((), "must be indices"),
        ("12", "must be indices"),
        (2.0, "must be indices"),
        ((1, 2.0), "must be indices"),
        ((3, 1, 1), r"must be ascending, each map once; say \(1, 3\)"),
        ((-1, 4), r"say \(4,\)"),
    ],
)
def test_wrong_indices_are_told(indices: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        FeaturePyramid(create(SMALL), indices)
