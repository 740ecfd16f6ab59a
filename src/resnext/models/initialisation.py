"""The values that parameters start from: one rule for each class of module."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn


def _convolution(module: nn.Conv2d, generator: torch.Generator | None) -> None:
    """Normal with std sqrt(2 / (k * k * out)), the fan-out of the whole layer and not of one group, as in the
    authors' code; biases 0."""
    fan_out = module.out_channels * math.prod(module.kernel_size)
    nn.init.normal_(module.weight, std=(2 / fan_out) ** 0.5, generator=generator)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


def _batch_norm(module: nn.BatchNorm2d, generator: torch.Generator | None) -> None:
    """Scale 1, shift 0, statistics of standardised input."""
    module.reset_parameters()


def _linear(module: nn.Linear, generator: torch.Generator | None) -> None:
    """Uniform within 1 / sqrt(fan_in), bias 0."""
    bound = module.in_features**-0.5
    nn.init.uniform_(module.weight, -bound, bound, generator=generator)
    nn.init.zeros_(module.bias)


#: A module with parameters or buffers of its own needs the rule of its class here.
RULES: dict[type[nn.Module], Callable[[Any, torch.Generator | None], None]] = {
    nn.Conv2d: _convolution,
    nn.BatchNorm2d: _batch_norm,
    nn.Linear: _linear,
}


def find_rules(
    modules: Iterable[tuple[str, nn.Module]],
) -> list[tuple[nn.Module, Callable[[Any, torch.Generator | None], None]]]:
    """Each of the named `modules` that has values of its own, in their order, with the rule of its class.

    Raises:
        TypeError: The class of such a module has no rule.
    """
    return [(module, _rule(name, module)) for name, module in modules if _has_values(module)]


def _has_values(module: nn.Module) -> bool:
    own = (*module.parameters(recurse=False), *module.buffers(recurse=False))
    return len(own) > 0


def _rule(name: str, module: nn.Module) -> Callable[[Any, torch.Generator | None], None]:
    for kind, rule in RULES.items():
        if isinstance(module, kind):
            return rule
    raise TypeError(
        f"{name or 'the network'} ({type(module).__name__}) has parameters and no initialisation rule; "
        "add one for its class to RULES in resnext.models.initialisation"
    )
