"""MixUp and CutMix: each picture of a batch mixed with its neighbour, labels in the same shares."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Mixing:
    """One of the two for each step, with equal chances where both are on (an alpha above 0).

    The share that stays is drawn from Beta(alpha, alpha), once for a step: a pure function of
    (`seed`, step). Sources: Zhang et al. 2017, Yun et al. 2019; partners and boxes as in torchvision.
    """

    mixup: float
    cutmix: float
    classes: int
    seed: int

    def __call__(self, pictures: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """(B, C, H, W) and int64 (B,) -> the same shape and float32 (B, classes)."""
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(step,))))
        if random.random() < self._share_of_mixup():
            return mixup(pictures, labels, self.classes, float(random.beta(self.mixup, self.mixup)))
        kept = float(random.beta(self.cutmix, self.cutmix))
        height, width = pictures.shape[-2:]
        x, y = int(random.integers(width)), int(random.integers(height))
        return cutmix(pictures, labels, self.classes, kept, x, y)

    def _share_of_mixup(self) -> float:
        return (self.mixup > 0) / ((self.mixup > 0) + (self.cutmix > 0))


def mixup(pictures: Tensor, labels: Tensor, classes: int, kept: float) -> tuple[Tensor, Tensor]:
    """`kept` of each picture plus the rest of the one before it."""
    mixed = _before(pictures).mul_(1 - kept).add_(pictures, alpha=kept)
    return mixed, _targets(labels, classes, kept)


def cutmix(
    pictures: Tensor, labels: Tensor, classes: int, kept: float, x: int, y: int
) -> tuple[Tensor, Tensor]:
    """A box of about 1 - `kept` of the area, with its centre at (`x`, `y`), from the picture before.

    What of the box lies inside the picture decides the shares of the labels.
    """
    height, width = pictures.shape[-2:]
    half = math.sqrt(1 - kept) / 2
    half_width, half_height = int(half * width), int(half * height)
    left, right = max(0, x - half_width), min(width, x + half_width)
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    mixed = pictures.clone()
    mixed[..., top:bottom, left:right] = _before(pictures)[..., top:bottom, left:right]
    return mixed, _targets(labels, classes, 1 - (right - left) * (bottom - top) / (width * height))


def _before(pictures: Tensor) -> Tensor:
    """Each picture's neighbour, in new memory (`roll` would lose the layout on a GPU)."""
    return torch.cat([pictures[-1:], pictures[:-1]])


def _targets(labels: Tensor, classes: int, kept: float) -> Tensor:
    one_hot = F.one_hot(labels, classes).to(torch.float32)
    return one_hot.roll(1, 0).mul_(1 - kept).add_(one_hot, alpha=kept)
