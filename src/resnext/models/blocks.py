"""Blocks: `relu(transform(x) + shortcut(x))`, one final class for each transformation.

Module names (`conv1`, `bn1`, ..., `downsample`) are torchvision's, so that weights fit unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import StageTemplate


class StochasticDepth(nn.Module):
    """In training, each picture's input (B, C, H, W) becomes 0 with probability `rate`, else it is
    divided by 1 - `rate` (Huang et al. 2016, with the scaling moved into training)."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = 1 - self.rate
        return x * torch.empty(len(x), 1, 1, 1, dtype=x.dtype, device=x.device).bernoulli_(kept).div_(kept)

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class Block(nn.Module, ABC):
    """Owns the sum, the shortcut and the last ReLU; a subclass owns the transformation."""

    def __init__(self, shortcut: nn.Module) -> None:
        super().__init__()
        self.downsample = shortcut
        self.drop_path: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        return F.relu(self.drop_path(self.transform(x)) + self.downsample(x), inplace=True)

    @property
    @abstractmethod
    def last_norm(self) -> nn.BatchNorm2d:
        """The norm that ends the transformation."""

    @abstractmethod
    def transform(self, x: Tensor) -> Tensor:
        """The aggregated transformation, shaped like the block's output."""


class Grouped(Block):
    """Bottleneck in form (c) of the paper's figure 3: 1x1, grouped 3x3, 1x1.

    The paths are the groups: their split, transformation and sum are three dense layers. Forms (a)
    and (b) are the same function; this one is the shortest and the fastest. Cardinality 1 is
    ResNet's bottleneck. The stride is in the 3x3.
    """

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        inner, out = stage.inner_channels, stage.out_channels
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, padding=1, groups=stage.cardinality, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3

    def transform(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        y: Tensor = self.bn3(self.conv3(x))
        return y


class Basic(Block):
    """Two 3x3 convolutions: ResNet-18 and 34."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        inner, out = stage.inner_channels, stage.out_channels
        self.conv1 = nn.Conv2d(in_channels, inner, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, out, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out)

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn2

    def transform(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y: Tensor = self.bn2(self.conv2(x))
        return y


TRANSFORMS: dict[str, type[Grouped] | type[Basic]] = {"grouped": Grouped, "basic": Basic}
