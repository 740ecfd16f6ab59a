"""What a network costs, counted from one pass of no pictures: nothing is computed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from resnext.arch import USUAL_PX, Architecture
from resnext.models import Network

#: Bytes of a float32 value.
VALUE_BYTES = 4
#: Networks whose counts are kept: one takes tens of milliseconds, and tables ask for the same ones again.
LARGEST_CACHE = 1024


@dataclass(frozen=True)
class Cost:
    """Cost of one picture through a network in evaluation.

    `params` counts every trainable value. `macs` are multiply-adds of convolutions and the head
    (the paper's FLOPs). `activations` are output values of convolutions, the measure that follows
    memory traffic and so time (pycls). `bytes` is the traffic itself, in float32: inputs, outputs and
    weights of convolutions and the head, each moved once.
    """

    params: int
    macs: int
    activations: int
    bytes: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Part:
    """One part of a network, `stem`, a block such as `layer1.0`, or `head`, with the shape (C, H, W) of
    what it puts out."""

    name: str
    output: tuple[int, int, int]
    cost: Cost


def count_cost(arch: Architecture, size_px: int | None = None) -> Cost:
    """Cost of `arch` at `size_px` x `size_px` pixels; the stem's own size (224 or 32) if None."""
    return sum_costs(part.cost for part in count_parts(arch, size_px))


@lru_cache(LARGEST_CACHE)
def count_parts(arch: Architecture, size_px: int | None = None) -> tuple[Part, ...]:
    """The cost of each part of `arch`, from input to output; the sum is that of the whole."""
    size_px = size_px or USUAL_PX[arch.stem]
    network = _without_values(arch)
    macs: dict[str, int] = defaultdict(int)
    activations: dict[str, int] = defaultdict(int)
    bytes_moved: dict[str, int] = defaultdict(int)
    outputs: dict[str, tuple[int, int, int]] = {}

    def watch(name: str, module: nn.Module) -> None:
        part = _part_of(name)

        def add(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if isinstance(module, nn.Conv2d | nn.Linear):
                each = module.weight.numel() // len(module.weight)  # products that make one output
                macs[part] += _count(output) * each
                values = _count(inputs[0]) + _count(output) + sum(p.numel() for p in module.parameters())
                bytes_moved[part] += VALUE_BYTES * values
            if isinstance(module, nn.Conv2d):
                activations[part] += _count(output)
            if output.dim() > 0:  # where there is no shortcut, a bare 0 stands for it
                channels, height, width = (*output.shape[1:], 1, 1)[:3]
                outputs[part] = channels, height, width  # the last one is the part's own

        module.register_forward_hook(add)

    for name, module in network.named_modules():
        is_stage = name.startswith("layer") and "." not in name
        if is_stage or name in ("", "dropout"):
            continue  # no part of its own
        watch(name, module)
    with torch.no_grad():
        network(torch.empty(0, arch.in_channels, size_px, size_px))
    params: dict[str, int] = defaultdict(int)
    for name, parameter in network.named_parameters():
        params[_part_of(name)] += parameter.numel()
    return tuple(
        Part(name, outputs[name], Cost(params[name], macs[name], activations[name], bytes_moved[name]))
        for name in outputs
    )


def sum_costs(costs: Iterable[Cost]) -> Cost:
    """The sum of `costs`."""
    return sum(costs, start=Cost(0, 0, 0, 0))


def _without_values(arch: Architecture) -> Network:
    """The network, whose parameters are whatever stands in memory that is never touched.

    On the meta device a pass would do as well, but for the second that torch needs to import what it takes.
    """
    with torch.device("meta"):
        network = Network(arch).eval()
    for module in network.modules():
        for name, parameter in module.named_parameters(recurse=False):
            setattr(module, name, nn.Parameter(torch.empty(parameter.shape)))
        for name, buffer in module.named_buffers(recurse=False):
            setattr(module, name, torch.empty(buffer.shape, dtype=buffer.dtype))
    return network


def _count(values: Tensor) -> int:
    """Values of each picture of a batch, be it empty."""
    return math.prod(values.shape[1:])


def _part_of(module: str) -> str:
    """The part that a module, or a parameter, belongs to by its name."""
    first, *rest = module.split(".")
    if first.startswith("layer"):
        return ".".join([first, *rest[:1]])
    return "head" if first in ("avgpool", "fc") else "stem"
