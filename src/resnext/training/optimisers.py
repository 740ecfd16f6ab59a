"""Optimisers, built on torch's own."""

from __future__ import annotations

import torch
from torch import nn

from resnext.training.settings import TrainingSettings

#: Modules whose `weight` is a kernel; every other parameter is a scale or a shift.
KERNELS = (nn.Conv2d, nn.Linear)


def build_optimiser(network: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """SGD with Nesterov momentum or AdamW; what decays is decided by a module's class."""
    kernels = [m.weight for m in network.modules() if isinstance(m, KERNELS)]
    rest = [p for p in network.parameters() if all(p is not k for k in kernels)]
    decay_of_rest = settings.weight_decay if settings.decays == "all" else 0.0
    groups = [
        {"params": kernels, "weight_decay": settings.weight_decay},
        {"params": rest, "weight_decay": decay_of_rest},
    ]
    if settings.optimiser == "sgd":
        nesterov = settings.momentum > 0
        return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=nesterov)
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.momentum, 0.999))


def peak_lr(settings: TrainingSettings, batch: int) -> float:
    """The linear rule (Goyal et al. 2017): the rate grows in proportion to the batch."""
    return settings.lr * batch / settings.lr_batch
