"""`rank_blocks`: the blocks of a network by what int8 changes in its answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnext.export.graph import Source
from resnext.export.onnx_format import onnx_model
from resnext.export.packing import pack_groups

#: Kinds of nodes of ONNX with weights, which convolutions and linear layers become.
WITH_WEIGHTS = ("Conv", "Gemm", "MatMul")
Layer = nn.Conv2d | nn.Linear


@torch.inference_mode()
def rank_blocks(source: Source, pixels: Tensor, bits: int, path: Path) -> Mapping[str, list[str]]:
    """The blocks, those first whose int8 alone changes the logits most, and the nodes of their layers.

    A block is put back as a whole, for what one layer gives another is in int8 as long as either of them is.

    Args:
        source: The network in float32.
        pixels: Prepared images (B, 3, H, W).
        bits: Bits of a weight; an activation has 8.
        path: The file that is made, for errors.

    Returns:
        Names of nodes of the graph of ONNX, by the name of the block, such as layer2.0; empty if the graph
        has other layers than the network.
    """
    network = pack_groups(source.network, source.packing)  # as it stands in the graph
    layers = _in_order(network, pixels)
    nodes = _find_nodes(onnx_model(source, path).graph, [layer for _, layer in layers])
    if len(nodes) != len(layers):
        return {}
    blocks: dict[str, dict[str, Layer]] = {}
    for node, (name, layer) in zip(nodes, layers, strict=True):
        blocks.setdefault(_block_of(name), {})[node] = layer
    exact, changes = network(pixels), {}
    for block, its_layers in blocks.items():
        with ExitStack() as changed:
            for layer in its_layers.values():
                changed.enter_context(_in_int8(layer, bits))
            changes[block] = float((network(pixels) - exact).square().mean())
    return {block: list(blocks[block]) for block in sorted(blocks, key=lambda block: -changes[block])}


def _find_nodes(graph: Any, layers: Sequence[Layer]) -> list[str]:
    """Names of the nodes of a graph of ONNX that compute `layers`, both in their order, which is the same.
    Other nodes with weights are passed over: activation maps use those of the classifier."""
    shapes = {tensor.name: sorted(tensor.dims) for tensor in graph.initializer}
    found: list[str] = []
    for node in graph.node:
        if len(found) == len(layers):
            break
        shape = shapes.get(node.input[1]) if node.op_type in WITH_WEIGHTS else None
        if shape == sorted(layers[len(found)].weight.shape):
            found.append(node.name)
    return found


def _block_of(name: str) -> str:
    """The block of a layer by its name, as layer2.0 of layer2.0.conv1; others stand for themselves."""
    first, _, rest = name.partition(".")
    number = rest.partition(".")[0]
    return f"{first}.{number}" if number.isdigit() else first


def _in_order(network: nn.Module, pixels: Tensor) -> list[tuple[str, Layer]]:
    """The convolutions and linear layers by name, in the order in which they compute."""
    names = {module: name for name, module in network.named_modules() if isinstance(module, Layer)}
    layers: list[tuple[str, Layer]] = []
    hooks = [
        module.register_forward_pre_hook(lambda one, _: layers.append((names[one], one))) for module in names
    ]
    try:
        network(pixels[:1])
    finally:
        for hook in hooks:
            hook.remove()
    return layers


@contextmanager
def _in_int8(layer: Layer, bits: int) -> Iterator[None]:
    """A context in which the weights and the input of `layer` have the values that int8 can hold: weights by
    the largest of their output channel, the input by the largest of all."""
    weight = layer.weight.data
    largest = weight.flatten(1).abs().amax(1).view(-1, *[1] * (weight.ndim - 1))
    hook = layer.register_forward_pre_hook(lambda _, given: (_rounded(given[0], given[0].abs().amax(), 8),))
    layer.weight.data = _rounded(weight, largest, bits)
    try:
        yield
    finally:
        layer.weight.data = weight
        hook.remove()


def _rounded(values: Tensor, largest: Tensor, bits: int) -> Tensor:
    """`values`, each the nearest of 2 ** bits - 1 steps from -`largest` to `largest`."""
    step = (largest / (2 ** (bits - 1) - 1)).clamp(min=torch.finfo(values.dtype).tiny)
    rounded: Tensor = (values / step).round() * step
    return rounded
