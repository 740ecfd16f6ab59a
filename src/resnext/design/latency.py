"""Times of networks on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, partial

import torch

from resnext.arch import Architecture
from resnext.models import Network, create
from resnext.timing import interleave

#: Networks that are timed in one turn: this many fit in memory.
TOGETHER = 8
#: Turns of the first yardstick alone, of which the fastest counts: a busy moment would slow all times down.
FIRST_TURNS = 5
_YARDSTICK = "yardstick"


class LatencyMeter:
    """Times images through networks on the CPU: float32, channels last.

    A machine changes its pace by tens of percent within minutes (heat, neighbours). So every turn times
    the network `yardstick` too, and all times are given at one pace, that of the fastest of `FIRST_TURNS`
    turns of the yardstick alone: times of different turns can be compared. Small and large networks do not
    slow down alike, so the yardstick should take about as long as the networks that are timed: `adopt`
    changes it.

    Args:
        yardstick: The network that is timed in every turn.
        size_px: Side of the images; None for the side that the stem of each network was made for.
        images: Images in one call.
        rounds: Times that each network is called in a turn.

    >>> arch = Architecture.from_name("resnext11_4x4d+template=8", classes=10)
    >>> meter = LatencyMeter(arch, size_px=8, rounds=3)
    >>> meter.measure({0: arch})[0] > 0
    True
    """

    def __init__(
        self, yardstick: Architecture, size_px: int | None = None, images: int = 1, rounds: int = 15
    ) -> None:
        self.size_px, self.images, self.rounds = size_px, images, rounds
        self.yardstick = yardstick
        self._reference_ms: float | None = None
        self.drift = 0.0
        """The largest share by which the machine's pace differed from the one that times are given at."""

    @torch.inference_mode()
    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        """The median time of one call of each network, in milliseconds, by the keys of `archs`."""
        found: dict[int, float] = {}
        keys = list(archs)
        for start in range(0, len(keys), TOGETHER):
            found |= self._turn({key: archs[key] for key in keys[start : start + TOGETHER]})
        return found

    def adopt(self, yardstick: Architecture, ms: float) -> None:
        """Make this network the yardstick from now on; `measure` has given `ms` for it."""
        self.yardstick, self._reference_ms = yardstick, ms
        self.__dict__.pop("_yardstick", None)

    def _turn(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        reference_ms = self._reference_ms = self._reference_ms or self._fastest_ms()
        calls = {str(key): self._call(arch) for key, arch in archs.items()}
        timings = interleave({_YARDSTICK: self._yardstick} | calls, self.rounds)
        yardstick = timings.pop(_YARDSTICK)
        now_ms = 1000 * yardstick.median_s
        self.drift = max(self.drift, abs(now_ms / reference_ms - 1))
        return {int(key): reference_ms * own.ratio_to(yardstick).median for key, own in timings.items()}

    def _fastest_ms(self) -> float:
        """The time of the yardstick in the fastest of some turns, in milliseconds."""
        turns = (interleave({_YARDSTICK: self._yardstick}, self.rounds) for _ in range(FIRST_TURNS))
        return min(1000 * turn[_YARDSTICK].median_s for turn in turns)

    @cached_property
    def _yardstick(self) -> partial[torch.Tensor]:
        return self._call(self.yardstick)

    def _call(self, arch: Architecture) -> partial[torch.Tensor]:
        network: Network = create(arch).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size_px = self.size_px or arch.size_px
        images = torch.zeros(self.images, arch.in_channels, size_px, size_px)
        return partial(network, images.contiguous(memory_format=torch.channels_last))
