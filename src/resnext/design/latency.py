"""Times of networks on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial

import torch

from resnext.arch import USUAL_PX, Architecture
from resnext.models import Network, create
from resnext.timing import interleave

#: Networks that are timed in one turn: so many fit in memory.
TOGETHER = 8
_YARDSTICK = "yardstick"


class Clock:
    """Times `pictures` pictures of `size_px` through networks: float32, channels last, on the CPU.

    A machine changes its pace by tens of percent within minutes (heat, neighbours). So every turn times
    the network `yardstick` too, and all times are told at the pace that it had in the first turn:
    times of different turns can be compared. Small and large networks do not slow down alike, so the
    yardstick should take about as long as what is timed: `adopt` changes it.
    """

    def __init__(
        self, yardstick: Architecture, size_px: int | None, pictures: int = 1, rounds: int = 15
    ) -> None:
        self.size_px, self.pictures, self.rounds = size_px, pictures, rounds
        self.yardstick = yardstick
        self._reference_ms: float | None = None
        self.drift = 0.0
        """The largest share by which the machine's pace was off that of the first turn."""

    @torch.inference_mode()
    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        """The median in milliseconds of each network."""
        found: dict[int, float] = {}
        keys = list(archs)
        for start in range(0, len(keys), TOGETHER):
            calls = {str(key): self._call(archs[key]) for key in keys[start : start + TOGETHER]}
            timings = interleave({_YARDSTICK: self._yardstick} | calls, self.rounds)
            yardstick = timings.pop(_YARDSTICK)
            now_ms = 1000 * yardstick.median_s
            reference_ms = self._reference_ms = self._reference_ms or now_ms
            self.drift = max(self.drift, abs(now_ms / reference_ms - 1))
            found |= {int(key): reference_ms * own.ratio_to(yardstick).median for key, own in timings.items()}
        return found

    def adopt(self, yardstick: Architecture, ms: float) -> None:
        """Measure by this network from now on, for which `measure` has given `ms`."""
        self.yardstick, self._reference_ms = yardstick, ms
        self.__dict__.pop("_yardstick", None)

    @cached_property
    def _yardstick(self) -> partial[torch.Tensor]:
        return self._call(self.yardstick)

    def _call(self, arch: Architecture) -> partial[torch.Tensor]:
        network: Network = create(arch).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size_px = self.size_px or USUAL_PX[arch.stem]
        pictures = torch.zeros(self.pictures, arch.in_channels, size_px, size_px)
        return partial(network, pictures.contiguous(memory_format=torch.channels_last))
