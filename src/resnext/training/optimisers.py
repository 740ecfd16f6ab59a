"""The optimiser of a run, one of torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from resnext.training.settings import TrainingSettings

#: Modules whose `weight` is a kernel; all other parameters are scales, shifts and biases.
KERNELS = (nn.Conv2d, nn.Linear)
#: Devices on which torch has fused updates.
FUSED = ("cpu", "cuda")


def build_optimiser(parts: Sequence[nn.Module], settings: TrainingSettings) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum, or AdamW.

    Args:
        parts: The layers of the network from input to output, for `frozen` and `layer_decay`.
        settings: Settings of the optimisation. Whether a parameter decays is decided by the class of its
            module.

    Returns:
        The optimiser; each parameter group has `lr_factor`, its share of the learning rate.

    >>> optimiser = build_optimiser([nn.Linear(2, 2)], TrainingSettings(decays="kernels"))
    >>> [(len(group["params"]), group["weight_decay"]) for group in optimiser.param_groups]
    [(1, 0.0005), (1, 0.0)]
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
    lr = peak_lr(settings, settings.lr_batch)
    if settings.optimiser == "sgd":
        momentum = settings.momentum
        return torch.optim.SGD(groups, lr, momentum, nesterov=momentum > 0, fused=fused)
    return torch.optim.AdamW(groups, lr, betas=(settings.momentum, 0.999), fused=fused)


def peak_lr(settings: TrainingSettings, batch: int) -> float:
    """The peak learning rate for a batch, by the linear scaling rule (Goyal et al. 2017).

    Raises:
        ValueError: `settings.lr` has not been chosen.
    """
    if settings.lr == "auto":
        raise ValueError("lr: auto is for recipes, whose run chooses it; give a number")
    return settings.lr * batch / settings.lr_batch
