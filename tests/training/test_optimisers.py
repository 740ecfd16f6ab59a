"""Optimisers on a network of ours: which parameters decay, and that the steps are torch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from resnext.arch import Architecture
from resnext.models import create
from resnext.training.optimisers import build_optimiser
from resnext.training.settings import TrainingSettings

ARCH = Architecture.from_name("resnext11_2x4d+template=4", 3)


def network() -> nn.Module:
    """No parameter is 0, so that each one that decays can be seen to shrink."""
    net = create(ARCH)
    with torch.no_grad():
        for number, parameter in enumerate(net.parameters()):
            parameter.normal_(1, 0.2, generator=torch.Generator().manual_seed(number))
    return net


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("decays", ["all", "kernels"])
def test_without_gradients_what_decays_shrinks_by_its_share(optimiser: str, decays: str) -> None:
    net = network()
    settings: Any = {
        "optimiser": optimiser,
        "decays": decays,
        "lr": 0.1,
        "weight_decay": 0.5,
        "momentum": 0.0,
    }
    update = build_optimiser([net], TrainingSettings(**settings))
    before = {name: p.detach().clone() for name, p in net.named_parameters()}
    for p in net.parameters():
        p.grad = torch.zeros_like(p)
    update.step()
    kernels = {name for name, p in before.items() if p.dim() > 1}  # scales and shifts are vectors
    for name, p in net.named_parameters():
        share = 1 - 0.1 * 0.5 if decays == "all" or name in kernels else 1.0
        torch.testing.assert_close(p.detach(), before[name] * share, rtol=1e-6, atol=0)


@pytest.mark.parametrize("decays", ["all", "kernels"])
def test_every_parameter_is_in_one_group(decays: Any) -> None:
    net = network()
    update = build_optimiser([net], TrainingSettings(decays=decays))
    held = [id(p) for group in update.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sgd_is_torch_s(momentum: float) -> None:
    ours, theirs = network(), network()
    update = build_optimiser([ours], TrainingSettings(lr=0.01, momentum=momentum, weight_decay=1e-3))
    plain = torch.optim.SGD(
        theirs.parameters(), lr=0.01, momentum=momentum, weight_decay=1e-3, nesterov=momentum > 0
    )
    for step in range(3):
        for net, optimiser in ((ours, update), (theirs, plain)):
            for number, p in enumerate(net.parameters()):
                generator = torch.Generator().manual_seed(100 * step + number)
                p.grad = torch.randn(p.shape, generator=generator)
            optimiser.step()
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(one, other)
