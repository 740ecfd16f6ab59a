"""`Block`, the base class of all blocks: `relu(attention(transform(x)) + shortcut(x))`.

Module names (`conv1`, `bn1`, ..., `downsample`, `se`) are torchvision's and timm's, so that weights fit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module, ABC):
    """Has the shortcut, the attention, the sum and the last ReLU; a subclass has the transformation.

    A subclass is made from `(in_channels, stage, stride, shortcut)`. Every module with parameters needs a
    rule in `resnext.models.initialisation`; convolutions, batch norms and linear layers have one.
    """

    def __init__(self, shortcut: nn.Module) -> None:
        super().__init__()
        self.downsample = shortcut
        self.se: nn.Module = nn.Identity()  # the attention, whatever its kind: timm's name
        self.drop_path: nn.Module = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, in, H, W) -> (B, out, H / stride, W / stride)."""
        return F.relu(self.drop_path(self.se(self.transform(x))) + self.downsample(x), inplace=True)

    @property
    @abstractmethod
    def last_norm(self) -> nn.BatchNorm2d:
        """The batch norm that ends the transformation."""

    @abstractmethod
    def transform(self, x: Tensor) -> Tensor:
        """The aggregated transformation, shaped like the block's output."""


class Bottleneck(Block, ABC):
    """A block whose transformation ends with a 1x1 convolution and the batch norm `bn3`."""

    bn3: nn.BatchNorm2d

    @property
    def last_norm(self) -> nn.BatchNorm2d:
        return self.bn3
