"""Blocks with one module for each path: forms (a) and (b) of the paper's figure 3."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import StageTemplate
from resnext.models.block import Bottleneck


class Path(nn.Module):
    """One path up to its width d: 1x1, then 3x3."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int) -> None:
        super().__init__()
        width = stage.path_width
        self.conv1 = nn.Conv2d(in_channels, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, d, H / stride, W / stride)."""
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)), inplace=True)


class WholePath(Path):
    """One path with its own 1x1 to the block's output; the batch norm follows the sum of all paths."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int) -> None:
        super().__init__(in_channels, stage, stride)
        self.conv3 = nn.Conv2d(stage.path_width, stage.out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        y: Tensor = self.conv3(super().forward(x))
        return y


class Concatenated(Bottleneck):
    """Form (b): the outputs of the paths are concatenated, one 1x1 merges them."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        self.paths = nn.ModuleList(Path(in_channels, stage, stride) for _ in range(stage.cardinality))
        self.conv3 = nn.Conv2d(stage.inner_channels, stage.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(stage.out_channels)

    def transform(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn3(self.conv3(torch.cat([path(x) for path in self.paths], dim=1)))
        return y


class Branches(Bottleneck):
    """Form (a), the definition: C paths from input to output, summed."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        self.paths = nn.ModuleList(WholePath(in_channels, stage, stride) for _ in range(stage.cardinality))
        self.bn3 = nn.BatchNorm2d(stage.out_channels)

    def transform(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn3(torch.stack([path(x) for path in self.paths]).sum(dim=0))
        return y
