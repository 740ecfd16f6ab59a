"""What a block adds to its transformation, one class or function for each kind.

A, B and C are the ResNet paper's letters (He et al. 2016, section 4.1); ResNeXt uses B throughout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class Shape:
    """What a shortcut has to bridge: (B, in, H, W) -> (B, out, H / stride, W / stride).

    `opens_bottlenecks`: the block is the first of a stage of bottlenecks, where the authors' networks
    always project; it matters only if a narrow template meets the stem's width by chance.
    """

    in_channels: int
    out_channels: int
    stride: int
    opens_bottlenecks: bool

    @property
    def changes(self) -> bool:
        return self.stride != 1 or self.in_channels != self.out_channels


class ZeroPad(nn.Module):
    """Shortcut A where shapes differ: every `stride`-th pixel, new channels filled with zeros."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.stride = shape.stride
        self.grow = shape.out_channels - shape.in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        # A negative pad drops channels: it happens where a narrow template follows the 64-wide stem.
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grow))


class NoShortcut(nn.Module):
    """Nothing to add: the residual ablation of the paper's section 5.1."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros((), dtype=x.dtype, device=x.device)


def project(shape: Shape) -> nn.Module:
    """Shortcut C: 1x1 convolution with the block's stride and a batch norm, no ReLU, everywhere."""
    return nn.Sequential(
        nn.Conv2d(shape.in_channels, shape.out_channels, 1, shape.stride, bias=False),
        nn.BatchNorm2d(shape.out_channels),
    )


def project_openings(shape: Shape) -> nn.Module:
    """Shortcut B: a projection where the shape changes or a bottleneck stage opens, else identity."""
    return project(shape) if shape.changes or shape.opens_bottlenecks else nn.Identity()


def zero_pad(shape: Shape) -> nn.Module:
    """Shortcut A: no parameters anywhere."""
    return ZeroPad(shape) if shape.changes else nn.Identity()


def no_shortcut(shape: Shape) -> nn.Module:
    """No residual connection."""
    return NoShortcut()


SHORTCUTS: dict[str, Callable[[Shape], nn.Module]] = {
    "projection": project_openings,
    "projection_all": project,
    "zero_pad": zero_pad,
    "none": no_shortcut,
}
