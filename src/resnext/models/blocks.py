"""The blocks, one class for each row of `resnext.arch.TRANSFORMS`, and the table of all."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import StageTemplate
from resnext.models.block import Block, Bottleneck
from resnext.models.multi_resolution import MultiResolution
from resnext.models.paths import Branches, Concatenated


class Layered(Bottleneck):
    """A bottleneck of three layers, 1x1, 3x3, 1x1, with a batch norm after each and the stride in the 3x3.

    A subclass may replace the 3x3 (`middle`) and choose how the last 1x1 merges (`merging_groups`).
    """

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
        """The 3x3, with one group for each path."""
        inner = stage.inner_channels
        return nn.Conv2d(inner, inner, 3, stride, padding=1, groups=stage.cardinality, bias=False)

    def merging_groups(self, stage: StageTemplate) -> int:
        """Groups of the last 1x1; one group sums the paths."""
        return 1

    def transform(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        x = F.relu(self.bn2(self.conv2(x)), inplace=True)
        y: Tensor = self.bn3(self.conv3(x))
        return y


class Grouped(Layered):
    """Form (c) of the paper's figure 3: 1x1, grouped 3x3, 1x1.

    The paths are the groups: their split, transformation and sum are three layers. Forms (a) and (b) are
    the same function; this one is the shortest and the fastest. Cardinality 1 is ResNet's bottleneck.
    """


class Separable(Layered):
    """The 3x3 as a depthwise separable convolution: one filter for each channel, then a 1x1 across channels.

    As in Xception (Chollet 2017) there is nothing between the two: a ReLU there costs accuracy (their
    figure 10). `resnext design` finds the width that keeps the cost of a ResNeXt.
    """

    def middle(self, stage: StageTemplate, stride: int) -> nn.Module:
        inner = stage.inner_channels
        return nn.Sequential(
            nn.Conv2d(inner, inner, 3, stride, padding=1, groups=inner, bias=False),
            nn.Conv2d(inner, inner, 1, bias=False),
        )


class Inception(Layered):
    """Equal paths that each compute a share of the output channels, concatenated: the last 1x1 is grouped.

    Inception concatenates too, but paths of different kinds and sizes, which this block does not have.
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


#: The class of each row of `resnext.arch.TRANSFORMS`.
BLOCKS: dict[str, Callable[[int, StageTemplate, int, nn.Module], Block]] = {
    "grouped": Grouped,
    "concatenated": Concatenated,
    "branches": Branches,
    "multi_resolution": MultiResolution,
    "separable": Separable,
    "inception": Inception,
    "basic": Basic,
}
