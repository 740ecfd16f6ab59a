"""Kinds of grouped convolutions are found, and stand for them in small graphs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.export.block_calls import BLOCK_CALLS
from resnext.export.grouped import GroupedLayer, find_grouped
from resnext.models import create

SMALL = GroupedLayer(16, 16, 4, (3, 3), (1, 1), (1, 1), (1, 1), (9, 7))
#: All that may differ: more channels out than in, a stride, a large kernel without padding, a dilation.
ODD = replace(SMALL, channels_out=24, stride=(2, 2))
WIDE = replace(SMALL, groups=16, kernel=(5, 3), padding=(0, 1), dilation=(1, 2))


def contract(size_px: int) -> Contract:
    size, half = Input(3, size_px, size_px), (0.5,) * 3
    return Contract(("a", "b"), size, Resize(size_px, size_px), half, half, Provenance("x"))


def test_the_grouped_convolutions_of_a_network() -> None:
    network = create(Architecture.from_name("resnext50_32x4d", 2))
    found = find_grouped(network, contract(64))
    assert [(kind.width, kind.channels_in, kind.stride[0], kind.size_px[0]) for kind in found] == [
        (4, 128, 1, 16),
        (8, 256, 2, 16),
        (8, 256, 1, 8),
        (16, 512, 2, 8),
        (16, 512, 1, 4),
        (32, 1024, 2, 4),
        (32, 1024, 1, 2),
    ]
    assert [len(names) for names in found.values()] == [3, 1, 3, 1, 5, 1, 2]
    assert next(iter(found.values())) == ["layer1.0.conv2", "layer1.1.conv2", "layer1.2.conv2"]
    assert network.training  # it is left as it was


def test_a_network_without_groups_has_none() -> None:
    assert find_grouped(create(Architecture.from_name("resnet18", 2)), contract(32)) == {}


def by_torch(layer: GroupedLayer, pixels: torch.Tensor) -> torch.Tensor:
    """What the block computes, from the weights in its graph."""
    onnx = pytest.importorskip("onnx")
    values = {
        one.name: torch.from_numpy(onnx.numpy_helper.to_array(one).copy())
        for one in layer.block(1).graph.initializer
    }
    for name in ("reduce", "grouped", "expand"):
        own = (layer.stride, layer.padding, layer.dilation, layer.groups) if name == "grouped" else ()
        pixels = F.conv2d(pixels, values[f"{name}.weight"], values[f"{name}.bias"], *own).relu()
    return pixels


@pytest.mark.parametrize("layer", [SMALL, ODD, WIDE], ids=["small", "odd", "wide"])
@pytest.mark.parametrize("to", BLOCK_CALLS)
def test_all_forms_compute_what_torch_computes(to: str, layer: GroupedLayer) -> None:
    pixels = layer.pixels(3)
    expected = by_torch(layer, torch.from_numpy(pixels)).numpy()
    for times in (1, 2, 4):
        made = BLOCK_CALLS[to](layer.block(times), "float32", Path("x"))(pixels)
        [values] = made.values() if isinstance(made, dict) or hasattr(made, "values") else made  # type: ignore[misc, attr-defined]
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("layer", [SMALL, ODD, WIDE], ids=["small", "odd", "wide"])
def test_modules_compute_what_graphs_do(layer: GroupedLayer) -> None:
    pixels = torch.from_numpy(layer.pixels(3))
    expected = by_torch(layer, pixels)
    for times in (1, 2, 4):
        torch.testing.assert_close(layer.module(times)(pixels), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("to", BLOCK_CALLS)
def test_blocks_compute_in_int8(to: str) -> None:
    pytest.importorskip({"onnx": "onnxruntime", "openvino": "nncf"}[to])
    pixels = SMALL.pixels(2)
    expected = by_torch(SMALL, torch.from_numpy(pixels)).numpy()
    made = BLOCK_CALLS[to](SMALL.block(2), "int8", Path("x"))(pixels)
    [values] = made.values() if hasattr(made, "values") else made  # type: ignore[misc, attr-defined]
    assert 1e-4 < np.abs(values - expected).max() < 0.2 * np.abs(expected).max()
