"""Times of networks on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import torch

from resnext.arch import Architecture
from resnext.models import Network, create
from resnext.timing import interleave

#: Networks that are timed in one turn: so many fit in memory.
TOGETHER = 8


@dataclass(frozen=True)
class Clock:
    """Times `pictures` pictures of `size_px` through networks: float32, channels last, on the CPU."""

    size_px: int | None
    pictures: int = 1
    rounds: int = 15

    @torch.inference_mode()
    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        """The median in milliseconds of each network."""
        found: dict[int, float] = {}
        keys = list(archs)
        for start in range(0, len(keys), TOGETHER):
            calls = {str(key): self._call(archs[key]) for key in keys[start : start + TOGETHER]}
            found |= {int(key): 1000 * t.median_s for key, t in interleave(calls, self.rounds).items()}
        return found

    def _call(self, arch: Architecture) -> partial[torch.Tensor]:
        network: Network = create(arch).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size_px = self.size_px or {"imagenet": 224, "cifar": 32}[arch.stem]
        pictures = torch.zeros(self.pictures, arch.in_channels, size_px, size_px)
        return partial(network, pictures.contiguous(memory_format=torch.channels_last))
