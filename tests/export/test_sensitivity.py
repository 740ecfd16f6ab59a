"""Blocks are ranked by what int8 does to the answers, and the network stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch

from resnext.contract import Contract
from resnext.export import Source
from resnext.export.onnx_format import onnx_model
from resnext.export.sensitivity import WITH_WEIGHTS, rank_blocks
from resnext.models import Network

PIXELS = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
PATH = Path("net.onnx")


def test_the_block_that_int8_hurts_comes_first(
    make_network: Callable[..., Network], make_contract: Callable[..., Contract]
) -> None:
    """One channel inside it is ten thousand times the others, and the same function is computed."""
    network = make_network("resnext11_4x4d+template=16")
    block = network.layer2[0]
    with torch.no_grad():
        before = network(PIXELS)
        for values in (block.bn2.weight, block.bn2.bias):
            values[0] *= 10_000
        block.conv3.weight[:, 0] /= 10_000
        exact = network(PIXELS)
    assert torch.allclose(before, exact, atol=1e-3)
    source = Source("net", network, make_contract(network), "0" * 64, ("probabilities",))
    ranked = rank_blocks(source, PIXELS, 7, PATH)
    assert next(iter(ranked)) == "layer2.0"
    assert {"conv1", "layer1.0", "layer2.0", "layer3.0", "fc"} <= set(ranked)
    nodes = [node.name for node in onnx_model(source, PATH).graph.node if node.op_type in WITH_WEIGHTS]
    assert sorted(name for names in ranked.values() for name in names) == sorted(nodes)
    assert len(ranked["layer2.0"]) == 4  # three convolutions and the shortcut's
    with torch.no_grad():
        assert torch.equal(network(PIXELS), exact)


def test_a_packed_network_is_ranked_as_it_is_unpacked(source: Source) -> None:
    packed = replace(source, packing={"layer1.0.conv2": 4, "layer3.0.conv2": 2})
    assert rank_blocks(packed, PIXELS, 7, PATH) == rank_blocks(source, PIXELS, 7, PATH) != {}


def test_networks_of_every_form_can_be_ranked(any_source: Source) -> None:
    ranked = rank_blocks(any_source, PIXELS, 8, PATH)
    assert sum(map(len, ranked.values())) > len(ranked) > 3
