"""Optimisers, built on torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from resnext.training.settings import TrainingSettings

#: Modules whose `weight` is a kernel; every other parameter is a scale or a shift.
KERNELS = (nn.Conv2d, nn.Linear)
#: Devices on which one pass over the parameters does a whole update.
FUSED = ("cpu", "cuda")


def build_optimiser(parts: Sequence[nn.Module], settings: TrainingSettings) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; what decays is decided by a module's class.

    `parts` are the layers from input to output; each group has `lr_factor`, its share of the rate.
    """
    decay_of_rest = settings.weight_decay if settings.decays == "all" else 0.0
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for number, part in enumerate(parts):
        factor = settings.layer_decay ** (len(parts) - 1 - number)
        kernels = [m.weight for m in part.modules() if isinstance(m, KERNELS)]
        for is_kernel, decay in ((True, settings.weight_decay), (False, decay_of_rest)):
            group = groups.setdefault(
                (factor, is_kernel), {"params": [], "weight_decay": decay, "lr_factor": factor}
            )
            if number >= settings.frozen:
                group["params"] += [p for p in part.parameters() if is_kernel == any(p is k for k in kernels)]
    return _optimiser([g for g in groups.values() if g["params"]], settings)


def _optimiser(groups: list[dict[str, Any]], settings: TrainingSettings) -> torch.optim.Optimizer:
    fused = all(p.device.type in FUSED for group in groups for p in group["params"])
    if settings.optimiser == "sgd":
        momentum = settings.momentum
        return torch.optim.SGD(groups, settings.lr, momentum, nesterov=momentum > 0, fused=fused)
    return torch.optim.AdamW(groups, settings.lr, betas=(settings.momentum, 0.999), fused=fused)


def peak_lr(settings: TrainingSettings, batch: int) -> float:
    """The linear rule (Goyal et al. 2017): the rate grows in proportion to the batch."""
    return settings.lr * batch / settings.lr_batch
