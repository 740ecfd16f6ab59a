"""Folded networks compute what the plain ones compute."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from resnext.arch import Architecture
from resnext.models import create, fold_batch_norms


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("resnext11_4x4d+template=16", 0),
        ("resnet18+template=16", 0),
        ("resnext11_1x16d+transform=separable", 0),
        ("resnext11_4x4d+template=16+transform=multi_resolution+attention=se", 0),
        ("resnext26_4x4d+template=16+stem=deep_imagenet+shortcut=average_projection", 0),
        ("resnext11_4x4d+template=16+transform=branches", 3),  # those after the sum of the paths
        ("resnext11_4x4d+template=16+transform=concatenated+shortcut=none", 0),
    ],
)
def test_a_folded_network_is_the_same_function(name: str, left: int) -> None:
    network = create(Architecture.from_name(name, 4)).eval()
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, generator=generator)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2, generator=generator)  # type: ignore[arg-type]
            nn.init.uniform_(module.weight, 0.5, 1.5, generator=generator)
            nn.init.normal_(module.bias, generator=generator)
    folded = fold_batch_norms(network)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in folded.modules()) == left
    pixels = torch.randn(3, 3, 64, 64, generator=generator)
    torch.testing.assert_close(folded(pixels), network(pixels), rtol=1e-4, atol=1e-4)
