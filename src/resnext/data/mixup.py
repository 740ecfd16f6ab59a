"""MixUp and CutMix: each image of a batch is mixed with the one before it, and their labels alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Mixing:
    """MixUp or CutMix for each training step; with equal chances if both are on (alpha above 0).

    Lambda, the share of the image itself, is drawn from Beta(alpha, alpha) once for each step: a pure
    function of (`seed`, step). Sources: Zhang et al. 2017 and Yun et al. 2019; partners and boxes as in
    torchvision.

    Attributes:
        mixup: Alpha of MixUp; 0 is off.
        cutmix: Alpha of CutMix; 0 is off.
        classes: Number of classes.
        seed: Seed of the draws.

    >>> mixing = Mixing(mixup=0.2, cutmix=1.0, classes=10, seed=0)
    >>> images, targets = mixing(torch.rand(4, 3, 8, 8), torch.tensor([1, 2, 3, 4]), step=0)
    >>> images.shape, targets.shape
    (torch.Size([4, 3, 8, 8]), torch.Size([4, 10]))
    """

    mixup: float
    cutmix: float
    classes: int
    seed: int

    def __call__(self, images: Tensor, labels: Tensor, step: int) -> tuple[Tensor, Tensor]:
        """Mixed images and soft targets of one step.

        Args:
            images: Normalised images, float (B, C, H, W).
            labels: int64 (B,).
            step: Number of the training step.

        Returns:
            Images (B, C, H, W) and targets float32 (B, classes), whose rows sum to 1.
        """
        random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(self.seed, spawn_key=(step,))))
        if random.random() < self._mixup_probability():
            return mixup(images, labels, self.classes, float(random.beta(self.mixup, self.mixup)))
        lam = float(random.beta(self.cutmix, self.cutmix))
        *_, height, width = images.shape
        x, y = int(random.integers(width)), int(random.integers(height))
        return cutmix(images, labels, self.classes, lam, x, y)

    def _mixup_probability(self) -> float:
        is_mixup, is_cutmix = self.mixup > 0, self.cutmix > 0
        return is_mixup / (is_mixup + is_cutmix)


def mixup(images: Tensor, labels: Tensor, classes: int, lam: float) -> tuple[Tensor, Tensor]:
    """`lam` of each image plus `1 - lam` of the one before it.

    Args:
        images: float (B, C, H, W).
        labels: int64 (B,).
        classes: Number of classes.
        lam: Share of the image itself, from 0 to 1.

    Returns:
        Images (B, C, H, W) and targets float32 (B, classes).
    """
    mixed = _previous(images).mul_(1 - lam).add_(images, alpha=lam)
    return mixed, _soft_targets(labels, classes, lam)


def cutmix(images: Tensor, labels: Tensor, classes: int, lam: float, x: int, y: int) -> tuple[Tensor, Tensor]:
    """Each image with a box from the one before it. The part of the box inside the image weighs its label.

    Args:
        images: float (B, C, H, W).
        labels: int64 (B,).
        classes: Number of classes.
        lam: Share of the area outside the box, from 0 to 1, as if the box were whole.
        x: Column of the centre of the box, in pixels.
        y: Row of the centre of the box, in pixels.

    Returns:
        Images (B, C, H, W) and targets float32 (B, classes).
    """
    *_, height, width = images.shape
    half = math.sqrt(1 - lam) / 2
    half_width, half_height = int(half * width), int(half * height)
    left, right = max(0, x - half_width), min(width, x + half_width)
    top, bottom = max(0, y - half_height), min(height, y + half_height)
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = _previous(images)[..., top:bottom, left:right]
    return mixed, _soft_targets(labels, classes, 1 - (right - left) * (bottom - top) / (width * height))


def _previous(images: Tensor) -> Tensor:
    """The image before each image, in new memory (`roll` would lose the memory format on a GPU)."""
    return torch.cat([images[-1:], images[:-1]])


def _soft_targets(labels: Tensor, classes: int, lam: float) -> Tensor:
    one_hot = F.one_hot(labels, classes).to(torch.float32)
    return one_hot.roll(1, 0).mul_(1 - lam).add_(one_hot, alpha=lam)
