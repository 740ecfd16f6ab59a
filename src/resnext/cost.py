"""What a network costs, counted from one pass on the meta device: nothing is computed."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from resnext.arch import Architecture
from resnext.models import Network


@dataclass(frozen=True)
class Cost:
    """Cost of one picture through a network in evaluation.

    `params` counts every trainable value. `macs` are multiply-adds of convolutions and the head
    (the paper's FLOPs). `activations` are output values of convolutions, the measure that follows
    memory traffic and so time (pycls).
    """

    params: int
    macs: int
    activations: int


def count_cost(arch: Architecture, size_px: int | None = None) -> Cost:
    """Cost of `arch` at `size_px` x `size_px` pixels; the stem's own size (224 or 32) if None."""
    size_px = size_px or {"imagenet": 224, "cifar": 32}[arch.stem]
    with torch.device("meta"):
        network = Network(arch).eval()
        pictures = torch.empty(1, arch.in_channels, size_px, size_px)
    activations = 0

    def add_activations(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        nonlocal activations
        activations += output.numel()

    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add_activations)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(pictures)
    return Cost(
        params=sum(p.numel() for p in network.parameters()),
        macs=counter.get_total_flops() // 2,
        activations=activations,
    )
