"""The shortcuts: what a block adds to its transformation. One function for each name.

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
    always project; it matters only if a narrow template equals the width of the stem by chance.
    """

    in_channels: int
    out_channels: int
    stride: int
    opens_bottlenecks: bool

    @property
    def changes(self) -> bool:
        return self.stride != 1 or self.in_channels != self.out_channels

    @property
    def needs_projection(self) -> bool:
        return self.changes or self.opens_bottlenecks


class ZeroPad(nn.Module):
    """Every `stride`-th pixel, with zeros for new channels: shortcut A where shapes differ."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.stride = shape.stride
        self.grow = shape.out_channels - shape.in_channels

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, ceil(H / stride), ceil(W / stride))."""
        # A negative pad drops channels: it happens where a narrow template follows the 64-wide stem.
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.grow))


class NoShortcut(nn.Module):
    """A zero to add: the residual ablation of the paper's section 5.1."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros((), dtype=x.dtype, device=x.device)


def project(shape: Shape) -> nn.Module:
    """Shortcut C: 1x1 convolution with the block's stride and a batch norm, no ReLU, in every block."""
    return nn.Sequential(
        nn.Conv2d(shape.in_channels, shape.out_channels, 1, shape.stride, bias=False),
        nn.BatchNorm2d(shape.out_channels),
    )


def project_openings(shape: Shape) -> nn.Module:
    """Shortcut B: a projection where the shape changes or a bottleneck stage opens, else the identity."""
    return project(shape) if shape.needs_projection else nn.Identity()


def project_averages(shape: Shape) -> nn.Module:
    """ResNet-D's shortcut (He et al. 2019, "Bag of tricks"): shortcut B, whose projection first averages.

    A 1x1 convolution with stride 2 ignores three quarters of its input; the mean of 2x2 pixels does not.
    """
    if not shape.needs_projection:
        return nn.Identity()
    pool = nn.AvgPool2d(2, shape.stride, ceil_mode=True, count_include_pad=False)
    return nn.Sequential(
        pool if shape.stride > 1 else nn.Identity(),
        nn.Conv2d(shape.in_channels, shape.out_channels, 1, bias=False),
        nn.BatchNorm2d(shape.out_channels),
    )


def zero_pad(shape: Shape) -> nn.Module:
    """Shortcut A: no parameters in any block."""
    return ZeroPad(shape) if shape.changes else nn.Identity()


def no_shortcut(shape: Shape) -> nn.Module:
    """No residual connection."""
    return NoShortcut()


#: The function of each name in `resnext.arch.SHORTCUTS`.
SHORTCUT_MODULES: dict[str, Callable[[Shape], nn.Module]] = {
    "projection": project_openings,
    "projection_all": project,
    "zero_pad": zero_pad,
    "none": no_shortcut,
    "average_projection": project_averages,
}
