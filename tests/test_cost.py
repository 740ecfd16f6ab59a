"""Costs of networks, against published and hand-counted numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.models import create

PUBLISHED = json.loads((Path(__file__).parents[1] / "results" / "published" / "networks.json").read_text())


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['name']}-{row['classes']}")
def test_published_counts(row: dict[str, Any]) -> None:
    cost = count_cost(Architecture.from_name(row["name"], row["classes"]), row["size_px"])
    if "params" in row:
        assert cost.params == row["params"]
    else:
        decimals = len(row["params_millions"].split(".")[1])
        assert f"{cost.params / 1e6:.{decimals}f}" == row["params_millions"]
    if "gmacs" in row:
        decimals = len(row["gmacs"].split(".")[1])
        assert f"{cost.macs / 1e9:.{decimals}f}" == row["gmacs"]


def test_counts_are_those_of_a_real_pass() -> None:
    """By hand for one block's worth: every convolution's outputs times its inputs per output."""
    arch = Architecture.from_name("resnext11_4x4d+template=16", 7)
    network, macs, activations = create(arch).eval(), 0, 0

    def count(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal macs, activations
        weight = module.weight
        macs += output.numel() * weight[0].numel()  # type: ignore[operator,index,union-attr]
        activations += output.numel() if weight.dim() == 4 else 0  # type: ignore[operator,union-attr]

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network(torch.zeros(1, 3, 20, 20))
    cost = count_cost(arch, 20)
    assert (cost.macs, cost.activations) == (macs, activations)
    assert cost.params == sum(p.numel() for p in network.parameters())


def test_activations_of_the_paper_s_pair() -> None:
    """11.11 and 14.40 million output values of convolutions: equal cost is not equal traffic."""
    millions = [
        f"{count_cost(Architecture.from_name(name)).activations / 1e6:.2f}"
        for name in ("resnet50", "resnext50_32x4d")
    ]
    assert millions == ["11.11", "14.40"]
