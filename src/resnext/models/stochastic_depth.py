"""Stochastic depth: blocks that are left out at random in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class StochasticDepth(nn.Module):
    """In training, zeros the input of each image with probability `rate` and divides the rest by 1 - `rate`.

    Huang et al. 2016, with the scaling moved into training. Shapes: (B, C, H, W) -> (B, C, H, W).
    """

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
