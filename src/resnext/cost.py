"""What a network costs, counted from a pass of an empty batch: nothing is computed."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.models import Network

#: Bytes of a float32 value.
VALUE_BYTES = 4
#: Networks whose counts are kept: one takes tens of milliseconds, and tables ask for the same ones again.
LARGEST_CACHE = 1024


@dataclass(frozen=True)
class Cost:
    """Cost of one image through a network in evaluation.

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
class PartCost:
    """Cost of one part of a network, with the shape (C, H, W) of its output.

    `name` is `stem`, that of a block such as `layer1.0`, or `head`.
    """

    name: str
    output: tuple[int, int, int]
    cost: Cost


def count_cost(arch: Architecture, size_px: int | None = None) -> Cost:
    """The cost of one image through `arch`.

    Args:
        arch: The network.
        size_px: Side of the image; None for the side that its stem was made for.

    >>> count_cost(Architecture.from_name("resnext50_32x4d")).macs
    4230479872
    """
    return sum_costs(part.cost for part in count_parts(arch, size_px))


@lru_cache(LARGEST_CACHE)
def count_parts(arch: Architecture, size_px: int | None = None) -> tuple[PartCost, ...]:
    """The cost of each part of `arch`, from input to output; their sum is the cost of the whole.

    Args:
        arch: The network.
        size_px: Side of the image; None for the side that its stem was made for.
    """
    side = size_px or arch.size_px
    network = _without_values(arch)
    counts = _Counts(network)
    with torch.no_grad():
        network(torch.empty(0, arch.in_channels, side, side))
    return tuple(PartCost(name, shape, counts.costs[name]) for name, shape in counts.outputs.items())


def sum_costs(costs: Iterable[Cost]) -> Cost:
    """The sum of `costs`."""
    return sum(costs, start=Cost(0, 0, 0, 0))


class _Counts:
    """Costs and output shapes of the parts of a network, added up while it runs."""

    def __init__(self, network: Network) -> None:
        self.costs: dict[str, Cost] = defaultdict(lambda: Cost(0, 0, 0, 0))
        self.outputs: dict[str, tuple[int, int, int]] = {}
        for name, module in network.named_modules():
            is_stage = name.startswith("layer") and "." not in name
            if not is_stage and name not in ("", "dropout"):  # these are no parts and not in one
                module.register_forward_hook(partial(self._add, _part_of(name)))
        for name, parameter in network.named_parameters():
            self.costs[_part_of(name)] += Cost(parameter.numel(), 0, 0, 0)

    def _add(self, part: str, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.Linear):
            self.costs[part] += _cost_of_layer(module, inputs[0], output)
        if output.dim():  # where there is no shortcut, a bare 0 takes its place
            channels, height, width = (*output.shape[1:], 1, 1)[:3]
            self.outputs[part] = channels, height, width  # the last one is the part's own


def _cost_of_layer(module: nn.Conv2d | nn.Linear, x: Tensor, output: Tensor) -> Cost:
    """Without parameters, which are counted by name."""
    products = module.weight.numel() // len(module.weight)  # that make one output
    values = _count(x) + _count(output) + sum(p.numel() for p in module.parameters())
    activations = _count(output) if isinstance(module, nn.Conv2d) else 0
    return Cost(0, products * _count(output), activations, VALUE_BYTES * values)


def _without_values(arch: Architecture) -> Network:
    """The network with parameters in memory that is never touched.

    A pass on the meta device would do as well, but torch needs a second to import what that takes.
    """
    with torch.device("meta"):
        network = Network(arch).eval()
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        owner, _, own_name = name.rpartition(".")
        values = torch.empty(tensor.shape, dtype=tensor.dtype)
        is_learned = isinstance(tensor, nn.Parameter)
        setattr(network.get_submodule(owner), own_name, nn.Parameter(values) if is_learned else values)
    return network


def _count(values: Tensor) -> int:
    """Values for each image of a batch, which may be empty."""
    return math.prod(values.shape[1:])


def _part_of(module: str) -> str:
    """The part that a module, or a parameter, belongs to by its name."""
    first, *rest = module.split(".")
    if first.startswith("layer"):
        return ".".join([first, *rest[:1]])
    return "head" if first in ("avgpool", "fc") else "stem"
