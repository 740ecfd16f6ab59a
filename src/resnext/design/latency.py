"""Times of networks on this machine."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from functools import cached_property, partial
from typing import ClassVar, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from resnext.arch import Architecture
from resnext.design.budget import Budget
from resnext.design.latency_search import LatencySearch
from resnext.design.space import DesignSpace
from resnext.models import Network, create
from resnext.timing import Timing, interleave

#: Turns of the first yardstick alone, of which the fastest counts: a busy moment would slow all times down.
FIRST_TURNS = 5
#: A turn whose pace differs by more than this share is repeated, after so many seconds, until the meter has
#: paused for so many in all. A processor may change its pace by half for a minute (its clock, or its host's
#: other guests).
NEAR, PAUSE_S, PATIENCE_S = 0.2, 5.0, 90.0
#: Least seconds of what is timed in a round: parts of a network take tenths of a millisecond.
LEAST_SECONDS = 0.005
_YARDSTICK = "yardstick"
Timed = TypeVar("Timed")
Call = Callable[[], object]


class PacedMeter(ABC, Generic[Timed]):
    """Times things in turns, at one pace of the machine.

    A machine changes its pace by tens of percent within minutes (heat, neighbours). So every turn times
    the `yardstick` too, and all times are given at one pace, that of the fastest of `FIRST_TURNS` turns of
    the yardstick alone: times of different turns can be compared. Small and large things do not slow down
    alike, so the yardstick should take about as long as what is timed: `adopt` changes it.

    Args:
        yardstick: What is timed in every turn.
        rounds: Times that each is called in a turn.
    """

    #: How many are timed in one turn: this many networks fit in memory.
    together: ClassVar[int] = 8

    def __init__(self, yardstick: Timed, rounds: int) -> None:
        self.rounds = rounds
        self.yardstick = yardstick
        self._reference_ms: float | None = None
        self._patience_s = PATIENCE_S
        self.drift = 0.0
        """The largest share by which the machine's pace differed from the one that times are given at."""

    @torch.inference_mode()
    def measure(self, things: Mapping[int, Timed]) -> dict[int, float]:
        """The median time of one call of each, in milliseconds, by the keys of `things`."""
        found: dict[int, float] = {}
        keys = list(things)
        for start in range(0, len(keys), self.together):
            found |= self._turn({key: things[key] for key in keys[start : start + self.together]})
        return found

    def adopt(self, yardstick: Timed, ms: float) -> None:
        """Make this the yardstick from now on; `measure` has given `ms` for it."""
        self.yardstick, self._reference_ms = yardstick, ms
        self.__dict__.pop("_yardstick", None)

    def _turn(self, things: Mapping[int, Timed]) -> dict[int, float]:
        reference_ms = self._reference_ms = self._reference_ms or self._fastest_ms()
        calls = {str(key): self._call(one) for key, one in things.items()}
        timings, drift = self._at_pace({_YARDSTICK: self._yardstick} | calls, reference_ms)
        yardstick = timings.pop(_YARDSTICK)
        self.drift = max(self.drift, drift)
        return {int(key): reference_ms * own.ratio_to(yardstick).median for key, own in timings.items()}

    def _at_pace(self, calls: Mapping[str, Call], reference_ms: float) -> tuple[dict[str, Timing], float]:
        """A turn that is nearest to the pace of the reference, and the share that its pace differs by."""

        def turn() -> tuple[dict[str, Timing], float]:
            timings = self._interleave(calls)
            return timings, abs(1000 * timings[_YARDSTICK].median_s / reference_ms - 1)

        best = turn()
        while best[1] > NEAR and self._patience_s > 0:
            self._patience_s -= PAUSE_S
            time.sleep(PAUSE_S)
            best = min(best, turn(), key=lambda one: one[1])
        return best

    def _fastest_ms(self) -> float:
        """The time of the yardstick in the fastest of some turns, in milliseconds."""
        turns = (self._interleave({_YARDSTICK: self._yardstick}) for _ in range(FIRST_TURNS))
        return min(1000 * turn[_YARDSTICK].median_s for turn in turns)

    def _interleave(self, calls: Mapping[str, Call]) -> dict[str, Timing]:
        return interleave(calls, self.rounds, least_s=LEAST_SECONDS)

    @cached_property
    def _yardstick(self) -> Call:
        return self._call(self.yardstick)

    @abstractmethod
    def _call(self, one: Timed) -> Call:
        """What is called to time `one`."""


class LatencyMeter(PacedMeter[Architecture]):
    """Times images through networks in torch on the CPU: float32, channels last.

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
        super().__init__(yardstick, rounds)
        self.size_px, self.images = size_px, images

    def search(self, space: DesignSpace, budget: Budget, places: NDArray[np.int64]) -> LatencySearch:
        """The search for members of `space` that take a time by this meter; see `LatencySearch`."""
        return LatencySearch(space, budget, places, self)

    def _call(self, one: Architecture) -> Call:
        network: Network = create(one).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        images = self._pixels(one).contiguous(memory_format=torch.channels_last)
        return partial(network, images)

    def _pixels(self, arch: Architecture) -> torch.Tensor:
        size_px = self.size_px or arch.size_px
        return torch.zeros(self.images, arch.in_channels, size_px, size_px)
