"""The parts that a network consists of, stem, blocks and head, each by itself, to be timed apart."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.models import Network, create, fold_batch_norms


@dataclass(frozen=True)
class NetworkPart:
    """A part of a network.

    Attributes:
        module: What it computes.
        shape: Channels, height and width of its input.
        key: All that its time depends on, for one image.
    """

    module: nn.Module
    shape: tuple[int, int, int]
    key: str


def network_for_timing(arch: Architecture) -> Network:
    """`arch` as it is deployed, with batch norms folded; its values are as good as any.

    No two biases are equal: an exporter of ONNX would write equal ones once, which quantizers do not expect.
    """
    network, generator = fold_batch_norms(create(arch)), torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            nn.init.normal_(module.bias, 0.1, 0.01, generator)
    return network.requires_grad_(False)


@torch.inference_mode()
def cut_parts(arch: Architecture, size_px: int | None = None) -> dict[str, NetworkPart]:
    """The parts of `arch` by their names in `resnext.cost`: `stem`, blocks such as `layer1.0`, `head`.

    Args:
        arch: The network.
        size_px: Side of the images; None for the side that its stem was made for.

    >>> parts = cut_parts(Architecture.from_name("resnext11_4x4d+template=8", classes=10), 8)
    >>> list(parts), parts["layer2.0"].shape
    (['stem', 'layer1.0', 'layer2.0', 'layer3.0', 'head'], (32, 8, 8))
    """
    network = network_for_timing(arch)
    names = [
        f"layer{stage}.{number}"
        for stage, blocks in enumerate(arch.blocks, start=1)
        for number in range(blocks)
    ]
    modules: dict[str, nn.Module] = {
        "stem": nn.Sequential(
            network.conv1, network.early_maxpool, network.bn1, network.relu, network.maxpool
        ),
        **{name: network.get_submodule(name) for name in names},
        "head": nn.Sequential(network.avgpool, nn.Flatten(), network.fc),
    }
    side = size_px or arch.size_px
    values, parts = torch.zeros(1, arch.in_channels, side, side), {}
    for name, module in modules.items():
        parts[name] = _part(module.eval(), values, arch)
        values = module(values)
    return parts


def _part(module: nn.Module, values: Tensor, arch: Architecture) -> NetworkPart:
    channels, height, width = values.shape[1:]
    told = (arch.transform, arch.shortcut, arch.attention, tuple(values.shape[1:]), module)
    return NetworkPart(module, (channels, height, width), " ".join(map(str, told)))
