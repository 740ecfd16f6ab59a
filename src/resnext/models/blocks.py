"""Blocks: `relu(transform(x) + shortcut(x))`, one final class for each transformation.

Module names (`conv1`, `bn1`, ..., `downsample`) are torchvision's, so that weights fit unchanged.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

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


class Bottleneck(Block, ABC):
    """1x1, 3x3, 1x1, with a batch norm after each (the last one before the shortcut is added).

    The stride is in the 3x3.
    """

    bn3: nn.BatchNorm2d

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3


class Layered(Bottleneck):
    """A bottleneck whose paths are written as three layers; a subclass may say what the 3x3 is
    and how the last 1x1 merges."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        inner, out = stage.inner_channels, stage.out_channels
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = self.middle(stage, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, out, 1, groups=self.merging_groups(stage), bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    def middle(self, stage: StageTemplate, stride: int) -> nn.Module:
        """The 3x3, in as many groups as there are paths."""
        inner = stage.inner_channels
        return nn.Conv2d(inner, inner, 3, stride, padding=1, groups=stage.cardinality, bias=False)

    def merging_groups(self, stage: StageTemplate) -> int:
        """Groups of the last 1x1; one sums the paths."""
        return 1

    def transform(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        y: Tensor = self.bn3(self.conv3(x))
        return y


class Grouped(Layered):
    """Form (c) of the paper's figure 3: 1x1, grouped 3x3, 1x1.

    The paths are the groups: their split, transformation and sum are three dense layers. Forms (a)
    and (b) are the same function; this one is the shortest and the fastest. Cardinality 1 is
    ResNet's bottleneck.
    """


class Path(nn.Module):
    """One path by itself: 1x1 to its width d, then 3x3."""

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
    """One path by itself, with its own 1x1 to the block's output; its batch norm follows the sum."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int) -> None:
        super().__init__(in_channels, stage, stride)
        self.conv3 = nn.Conv2d(stage.path_width, stage.out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        y: Tensor = self.conv3(super().forward(x))
        return y


class Concatenated(Bottleneck):
    """Form (b) of the paper's figure 3: the paths' outputs are concatenated, one 1x1 merges them."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        self.paths = nn.ModuleList(Path(in_channels, stage, stride) for _ in range(stage.cardinality))
        self.conv3 = nn.Conv2d(stage.inner_channels, stage.out_channels, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(stage.out_channels)

    def transform(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn3(self.conv3(torch.cat([path(x) for path in self.paths], dim=1)))
        return y


class Branches(Bottleneck):
    """Form (a) of the paper's figure 3, its definition: C paths from input to output, summed."""

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        self.paths = nn.ModuleList(WholePath(in_channels, stage, stride) for _ in range(stage.cardinality))
        self.bn3 = nn.BatchNorm2d(stage.out_channels)

    def transform(self, x: Tensor) -> Tensor:
        y: Tensor = self.bn3(torch.stack([path(x) for path in self.paths]).sum(dim=0))
        return y


class MultiResolution(Bottleneck):
    """Each of `SCALES` equal shares of the channels sees the map through one 3x3 more than the one before.

    Res2Net's block (Gao et al. 2021) with C paths at every scale. Of the published blocks that look at
    several scales at equal cost it gains most over ResNeXt-50 under one recipe, 0.85 points of top-1
    (their table 1); SKNet's gain is mostly its attention, and those with maps of low resolution
    (OctConv, bL-ResNet) save cost instead. Module names are timm's.
    """

    SCALES = 4

    def __init__(self, in_channels: int, stage: StageTemplate, stride: int, shortcut: nn.Module):
        super().__init__(shortcut)
        share, out = stage.inner_channels, stage.out_channels
        self.conv1 = nn.Conv2d(in_channels, share * self.SCALES, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(share * self.SCALES)
        self.convs = nn.ModuleList(
            nn.Conv2d(share, share, 3, stride, padding=1, groups=stage.cardinality, bias=False)
            for _ in range(self.SCALES - 1)
        )
        self.bns = nn.ModuleList(nn.BatchNorm2d(share) for _ in self.convs)
        # A block that opens a stage cannot add a share that the stride has made smaller to the next.
        self.opens = stride > 1 or in_channels != out
        self.pool = nn.AvgPool2d(3, stride, padding=1) if self.opens else nn.Identity()
        self.conv3 = nn.Conv2d(share * self.SCALES, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)

    def transform(self, x: Tensor) -> Tensor:
        *shares, last = F.relu(self.bn1(self.conv1(x)), inplace=True).chunk(self.SCALES, dim=1)
        seen: list[Tensor] = []
        for share, conv, bn in zip(shares, self.convs, self.bns, strict=True):
            share = share if self.opens or not seen else share + seen[-1]
            seen.append(F.relu(bn(conv(share)), inplace=True))
        y: Tensor = self.bn3(self.conv3(torch.cat([*seen, self.pool(last)], dim=1)))
        return y


class Separable(Layered):
    """The 3x3 as a depthwise separable convolution: one filter a channel, then a 1x1 across channels.

    As in Xception (Chollet 2017) nothing stands between the two: a ReLU there costs accuracy (their
    figure 10). The width that keeps the cost of a ResNeXt is `resnext design`'s to find.
    """

    def middle(self, stage: StageTemplate, stride: int) -> nn.Module:
        inner = stage.inner_channels
        return nn.Sequential(
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
            nn.Conv2d(inner, inner, 1, bias=False),
        )


class Inception(Layered):
    """The same paths, but each puts out its own share of the channels: merged by depth concatenation.

    Inception's way, for comparison. With equal paths it is three layers too: the last 1x1 is grouped.
    """

    def merging_groups(self, stage: StageTemplate) -> int:
        return stage.cardinality


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


TRANSFORMS: dict[str, Callable[[int, StageTemplate, int, nn.Module], Block]] = {
    "grouped": Grouped,
    "concatenated": Concatenated,
    "branches": Branches,
    "multi_resolution": MultiResolution,
    "separable": Separable,
    "inception": Inception,
    "basic": Basic,
}
