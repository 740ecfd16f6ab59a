"""Costs of networks, against published and hand-counted numbers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from resnext.arch import ATTENTIONS, SHORTCUTS, STEMS, TRANSFORMS, Architecture
from resnext.cost import count_cost, count_parts
from resnext.models import Network, create

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


#: One network of each row.
SMALL = Architecture((1, 1, 1), base_width=4, template_width=16, classes=7)
VARIANTS = [
    *({"transform": name} for name in TRANSFORMS),
    *({"attention": name} for name in ATTENTIONS),
    *({"shortcut": name} for name in SHORTCUTS),
    *({"stem": name} for name in STEMS),
]


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: "-".join(*variant.items()))
def test_counts_are_those_of_a_real_pass(variant: dict[str, str]) -> None:
    """Multiply-adds by torch's own counter, which sees the operations themselves."""
    arch = replace(SMALL, **variant)
    allows_paths = TRANSFORMS[arch.transform].cardinality.allows(4, 64)
    arch = replace(arch, cardinality=4) if allows_paths else replace(arch, base_width=16)
    network, activations, values = create(arch).eval(), 0, 0

    def count(module: torch.nn.Module, inputs: Any, output: torch.Tensor) -> None:
        nonlocal activations, values
        values += inputs[0].numel() + output.numel() + sum(p.numel() for p in module.parameters())
        activations += output.numel() if output.dim() == 4 else 0

    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, 20, 20))
    cost = count_cost(arch, 20)
    assert (2 * cost.macs, cost.activations, cost.bytes) == (
        counter.get_total_flops(),
        activations,
        4 * values,
    )
    assert cost.params == sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("shortcut", SHORTCUTS)
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_kind_of_block_and_shortcut_can_be_counted(transform: str, shortcut: str) -> None:
    arch = Architecture(
        (1, 1), cardinality=1, base_width=8, transform=transform, shortcut=shortcut, stem="cifar"
    )
    parts = count_parts(arch, 16)
    assert parts[-2].name == "layer2.0"
    assert parts[-2].output == (arch.features, 8, 8)
    assert parts[-1].output == (1000, 1, 1)
    assert sum(part.cost.params for part in parts) == sum(p.numel() for p in create(arch).parameters())


def test_activations_of_the_paper_s_pair() -> None:
    """11.11 and 14.40 million output values of convolutions: equal cost is not equal traffic."""
    millions = [
        f"{count_cost(Architecture.from_name(name)).activations / 1e6:.2f}"
        for name in ("resnet50", "resnext50_32x4d")
    ]
    assert millions == ["11.11", "14.40"]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row['name']}-{row['classes']}")
def test_parameters_are_the_state_without_the_statistics(row: dict[str, Any]) -> None:
    arch = Architecture.from_name(row["name"], row["classes"])
    with torch.device("meta"):
        state = Network(arch).state_dict()
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    learned = {name: tensor for name, tensor in state.items() if not name.endswith(statistics)}
    assert count_cost(arch, row["size_px"]).params == sum(tensor.numel() for tensor in learned.values())
    if "params_without_bn" in row:
        weighted = sum(t.numel() for name, t in learned.items() if t.dim() > 1 or name == "fc.bias")
        assert weighted == row["params_without_bn"]


@pytest.mark.parametrize(
    ("name", "classes", "params_millions"),
    [
        ("resnet50", 1000, "25.5"),
        ("resnext50_32x4d", 1000, "25.0"),
        ("resnext29_8x64d", 10, "34.4"),
        ("resnext29_16x64d", 10, "68.1"),
    ],
)
def test_the_paper_counts_without_batch_norm(name: str, classes: int, params_millions: str) -> None:
    """Tables 1 and 7 of the paper."""
    with torch.device("meta"):
        network = Network(Architecture.from_name(name, classes))
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    counted = sum(p.numel() for p in network.parameters()) - sum(2 * m.num_features for m in norms)
    assert f"{counted / 1e6:.1f}" == params_millions


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("resnet50", 69_632),
        ("resnext50_2x40d", 69_760),
        ("resnext50_4x24d", 69_888),
        ("resnext50_8x14d", 71_456),
        ("resnext50_32x4d", 70_144),
    ],
)
def test_complexity_of_a_block_is_preserved(name: str, params: int) -> None:
    """Table 2 of the paper: C * (256 d + 9 d d + 256 d) for a block of the first stage."""
    arch = Architecture.from_name(name)
    c, d = arch.cardinality, arch.base_width
    assert c * (256 * d + 9 * d * d + 256 * d) == params
    with torch.device("meta"):
        block = Network(arch).get_submodule("layer1.1")
    assert sum(p.numel() for p in block.parameters() if p.dim() == 4) == params


@pytest.mark.parametrize(
    "name", ["resnet18", "resnext50_32x4d", "resnext29_8x64d", "resnext11_8x4d+template=16"]
)
@pytest.mark.parametrize("more", [1, 90, 4000])
def test_a_class_costs_one_row_of_the_head(name: str, more: int) -> None:
    few, many = (Architecture.from_name(name, classes) for classes in (10, 10 + more))
    before, after = count_cost(few), count_cost(many)
    assert after.params - before.params == more * (few.features + 1)
    assert after.macs - before.macs == more * few.features
    assert after.activations == before.activations


@pytest.mark.parametrize("name", ["resnet18", "resnext50_32x4d", "resnext29_32x4d"])
def test_convolutions_cost_four_times_at_twice_the_size(name: str) -> None:
    arch = Architecture.from_name(name, 10)
    head = arch.features * 10
    one, two = count_cost(arch, 64), count_cost(arch, 128)
    assert two.macs - head == 4 * (one.macs - head)
    assert two.activations == 4 * one.activations
    assert two.params == one.params


def test_no_size_means_the_stem_s_own() -> None:
    sizes = {"resnet18": 224, "resnet11+template=16": 32, "resnet11+stem=deep": 32}
    for name, size_px in (sizes | {"resnet18+stem=deep_imagenet": 224}).items():
        arch = Architecture.from_name(name)
        assert count_cost(arch) == count_cost(arch, size_px)
