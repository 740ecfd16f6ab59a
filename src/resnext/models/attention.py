"""The attentions, one class for each row of `resnext.arch.ATTENTIONS`, and the table of all."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from resnext.arch import squeezed_channels


class NoAttention(nn.Identity):
    """The input unchanged."""

    def __init__(self, channels: int) -> None:
        super().__init__()


class SqueezeExcitation(nn.Module):
    """Scales each channel by a factor between 0 and 1 computed from the means of all (Hu et al. 2018).

    Shapes: (B, C, H, W) -> (B, C, H, W). Module names and the reduced width are timm's.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        squeezed = squeezed_channels(channels)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        hidden = F.relu(self.fc1(means), inplace=True)
        return x * torch.sigmoid(self.fc2(hidden))


#: The class of each row of `resnext.arch.ATTENTIONS`, made from the output channels of a block.
ATTENTION_MODULES: dict[str, Callable[[int], nn.Module]] = {
    "none": NoAttention,
    "se": SqueezeExcitation,
}
