"""`EngineMeter`: times of networks, and of their parts, in the engine that they are deployed in."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.design.budget import Budget
from resnext.design.latency import Call, LatencyMeter, PacedMeter
from resnext.design.latency_search import MAX_DRIFT, LatencySearch
from resnext.design.parts import NetworkPart, cut_parts, network_for_timing
from resnext.design.space import DesignSpace
from resnext.design.sum_search import SumSearch
from resnext.engine.measurements import Measurements, measured_here
from resnext.parsing import Extensible, Range

#: What makes a call that computes a module on pixels (B, C, H, W) in an engine.
Compute = Callable[[nn.Module, Tensor], Call]
#: Libraries whose versions the times depend on.
LIBRARIES = ("torch", "onnx", "onnxruntime", "openvino", "nncf")
#: Parts whose times are kept: some hundred networks in some engines.
MOST_KEPT = 5000
#: Networks that are kept as they were built, since a search asks for the best of them again.
NETWORKS_KEPT = 12

Milliseconds = Annotated[float, Range(1e-9, 1e9)]


@dataclass(frozen=True)
class _KeptParts(Extensible):
    """parts.json: milliseconds of a part of a network, by what was measured."""

    schema: int = 1
    measured: dict[str, Milliseconds] = field(default_factory=dict)


_KEPT = Measurements[float]("parts.json", _KeptParts, MOST_KEPT)


class PartMeter(PacedMeter[NetworkPart]):
    """Times parts of networks.

    Args:
        yardstick: The part that is timed in every turn.
        compute: Makes the calls.
        images: Images in one call.
        rounds: Times that each part is called in a turn.
    """

    together: ClassVar[int] = 16

    def __init__(self, yardstick: NetworkPart, compute: Compute, images: int, rounds: int) -> None:
        super().__init__(yardstick, rounds)
        self._compute, self._images = compute, images

    def _call(self, one: NetworkPart) -> Call:
        return self._compute(one.module, torch.zeros(self._images, *one.shape))


class EngineMeter(LatencyMeter):
    """Times images through networks in an engine.

    To build a network there takes many seconds, so a search by this meter times the parts of networks, each
    distinct one once, and builds whole networks only to correct their sums. Times of parts are kept in
    `parts.json` of the cache folder.

    Args:
        yardstick: As for `LatencyMeter`.
        engine: Its name, which times are kept by.
        compute: Makes a call that computes a module in the engine.
        size_px: As for `LatencyMeter`.
        images: Images in one call.
        rounds: Times that each network is called in a turn; parts are called twice as often.
        progress: Called with the parts that were built and timed, those expected in all, and the seconds
            that the rest will take.
    """

    def __init__(
        self,
        yardstick: Architecture,
        engine: str,
        compute: Compute,
        size_px: int | None = None,
        images: int = 1,
        rounds: int = 15,
        progress: Callable[[int, int, float], None] | None = None,
    ) -> None:
        super().__init__(yardstick, size_px, images, rounds)
        self.engine, self._compute, self._progress = engine, compute, progress
        self._built: OrderedDict[Architecture, Call] = OrderedDict()
        self._timed: dict[str, float] = {}  # milliseconds of parts, by their keys
        self._done = self._expected = 0
        self._began_at: float | None = None

    def search(self, space: DesignSpace, budget: Budget, places: NDArray[np.int64]) -> LatencySearch:
        return SumSearch(space, budget, places, self)

    def expect(self, parts: int) -> None:
        """Tell about how many more parts will be built and timed; a whole network counts as half of its."""
        self._expected = self._done + parts

    def measure(self, things: Mapping[int, Architecture]) -> dict[int, float]:
        new = [arch for arch in things.values() if arch not in self._built]
        self._expected = max(self._expected, self._done + sum(map(units, new)))
        return super().measure(things)

    def part_ms(self, arch: Architecture) -> dict[str, float]:
        """Milliseconds of each part of `arch` by its name, as `cut_parts` has them.

        A part that was timed before, on this machine with these libraries, is not timed again.
        """
        self._began_at = self._began_at or time.monotonic()
        parts, kept = cut_parts(arch, self.size_px), _KEPT.read()
        keys = {name: self._key(part) for name, part in parts.items()}
        known = {**kept, **self._timed}
        new = {key: parts[name] for name, key in keys.items() if key not in known}
        if new:
            found = self._parts.measure(dict(enumerate(new.values())))
            measured = {key: found[place] for place, key in enumerate(new)}
            self.drift = max(self.drift, self._parts.drift)
            self._timed |= measured
            if self.drift <= MAX_DRIFT:
                _KEPT.keep({**kept, **measured})
        self._advance(len(new))
        known |= self._timed
        return {name: known[key] for name, key in keys.items()}

    @cached_property
    def _parts(self) -> PartMeter:
        """The meter of parts; a block in the middle of the first network is its yardstick."""
        parts = list(cut_parts(self.yardstick, self.size_px).values())
        return PartMeter(parts[len(parts) // 2], self._compute, self.images, 2 * self.rounds)

    def _key(self, part: NetworkPart) -> str:
        return measured_here([part.key, self.engine, self.images], torch.device("cpu"), LIBRARIES)

    def _call(self, one: Architecture) -> Call:
        if one not in self._built:
            self._began_at = self._began_at or time.monotonic()
            self._built[one] = self._compute(network_for_timing(one), self._pixels(one))
            self._advance(units(one))
        self._built.move_to_end(one)
        while len(self._built) > NETWORKS_KEPT:
            self._built.popitem(last=False)
        return self._built[one]

    def _advance(self, parts: int) -> None:
        self._done += parts
        if self._progress is not None and self._done and self._began_at is not None:
            total = max(self._expected, self._done)
            pace = (time.monotonic() - self._began_at) / self._done
            self._progress(self._done, total, pace * (total - self._done))


def units(arch: Architecture) -> int:
    """How much work it is to build a whole network: about as much as half of its parts."""
    return 1 + sum(arch.blocks) // 2
