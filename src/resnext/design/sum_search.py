"""`SumSearch`: networks that take a given time where it takes long to build one, by sums of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resnext.arch import Architecture
from resnext.design.budget import Budget, Design
from resnext.design.latency_search import LatencySearch, fit_times
from resnext.design.space import DesignSpace

if TYPE_CHECKING:
    from resnext.design.engine_meter import EngineMeter

#: How often the parts of the members that look best are timed before any of them is built as a whole.
REFINEMENTS = 3
#: Members whose parts are timed on the way up to the target, about.
EXPLORED = 6


class PartSums:
    """The time of every member of a space as the sum of its parts: those that were timed, and those that
    follow from them.

    Blocks whose cardinality and width was not timed take what their costs let expect (`fit_times`), times
    the ratio of what was timed to what was expected at the nearest cardinality and width, on a scale of
    factors: libraries have fast kernels for some widths and slow ones for others.

    Args:
        space: The space.

    >>> base = Architecture.from_name("resnext11_4x4d+template=8", classes=10)
    >>> sums = PartSums(DesignSpace(base, frozenset({"width"}), 8))
    >>> sums.names, sums.sample(3).name
    (['layer1.0', 'layer2.0', 'layer3.0'], 'resnext11_4x4d+template=8')
    >>> sums.learn(3, {"stem": 0.1, "layer1.0": 1.0, "layer2.0": 2.0, "layer3.0": 3.0, "head": 0.2})
    >>> round(float(sums.predict()[0, 3]), 6)
    6.3
    """

    def __init__(self, space: DesignSpace) -> None:
        self.space = space
        most = np.array(space.depths).max(axis=0)
        #: Blocks of the network that has one of each kind, and their names.
        self.blocks = tuple(int(blocks) for blocks in np.minimum(most, 2))
        self.names = [f"layer{s}.{n}" for s, blocks in enumerate(self.blocks, 1) for n in range(blocks)]
        kinds = [(s, n) for s, blocks in enumerate(self.blocks) for n in range(blocks)]
        self._costs = np.array([space.block_costs[n][s] for s, n in kinds])  # (kinds, P, measures)
        counts = [[1 if n == 0 else blocks[s] - 1 for s, n in kinds] for blocks in space.depths]
        self._counts = np.array(counts, dtype=np.float64)  # (depths, kinds)
        self._ends_ms = 0.0
        self._ms: dict[int, NDArray[np.float64]] = {}

    def sample(self, pair: int) -> Architecture:
        """The network with one block of each kind at the cardinality and width number `pair`."""
        return replace(self.space.member(0, pair), blocks=self.blocks)

    def learn(self, pair: int, ms: Mapping[str, float]) -> None:
        """Take the times of the parts of `sample(pair)`, by their names."""
        self._ends_ms = ms["stem"] + ms["head"]
        self._ms[pair] = np.array([ms[name] for name in self.names])

    def knows(self, pair: int) -> bool:
        """Whether the parts at this cardinality and width were timed."""
        return pair in self._ms

    def predict(self) -> NDArray[np.float64]:
        """(depths, P): milliseconds of every member; something must have been learnt."""
        kinds, pairs, measures = self._costs.shape
        known = list(self._ms)
        timed = np.array([self._ms[pair] for pair in known]).T  # (kinds, known)
        places = [kind * pairs + pair for kind in range(kinds) for pair in known]
        expected = fit_times(self._costs.reshape(-1, measures), places, timed.ravel()).reshape(kinds, pairs)
        expected = np.maximum(expected, timed.min() / 100)  # no block takes no time
        ratios = timed / expected[:, known]
        blocks_ms = expected * ratios[:, self._nearest(known)]
        sums: NDArray[np.float64] = self._ends_ms + self._counts @ blocks_ms
        return sums

    def _nearest(self, known: list[int]) -> NDArray[np.int64]:
        """(P,): for each pair the place in `known` of the nearest one."""
        points = np.log(self.space.pairs.astype(np.float64))
        apart = ((points[:, None] - points[None, known]) ** 2).sum(axis=2)
        nearest: NDArray[np.int64] = apart.argmin(axis=1)
        return nearest


class SumSearch(LatencySearch):
    """A search that times parts of networks, and builds the most promising networks to correct the sums.

    What a network takes as a whole differs from the sum of its parts, since the engine does not convert
    values between its blocks. This share is much the same for the members of a space: the median of those
    that were built corrects the sums of all.

    Args:
        space: The space.
        budget: As for `LatencySearch`.
        places: As for `LatencySearch`.
        meter: Measures the times of networks and of their parts.
    """

    def __init__(
        self, space: DesignSpace, budget: Budget, places: NDArray[np.int64], meter: EngineMeter
    ) -> None:
        super().__init__(space, budget, places, meter)
        self._engine = meter
        self.sums = PartSums(space)

    def run(self, limit: int) -> list[Design]:
        blocks = sum(self._arch(len(self.places) // 2).blocks)
        self._engine.expect((EXPLORED + 2 * limit) * len(self.sums.names) + (limit + 1) * blocks // 2)
        return super().run(limit)

    def _explore(self) -> None:
        """Time the parts of ever larger members, up to the target, and build the smallest and the nearest.

        The sum of the smallest is off by most: each of its parts takes as long to call as to compute.
        """
        super()._explore()
        self._measure(self._promising(1))

    def _probe(self, number: int) -> float:
        self._time_parts([number])
        if not self.measured:
            self.meter.yardstick = self._arch(number)
            self._measure([number])
        return float(self._predict()[number])

    def _promising(self, limit: int) -> list[int]:
        wanted = max(1, limit - len(self._fitting()))
        for _ in range(REFINEMENTS):
            chosen = super()._promising(wanted)
            if not self._time_parts(chosen):
                return chosen
        return super()._promising(wanted)

    def _time_parts(self, numbers: list[int]) -> bool:
        """Time the parts of these members; False if all were timed before."""
        pairs = dict.fromkeys(self._pair(number) for number in numbers)
        new = [pair for pair in pairs if not self.sums.knows(pair)]
        for pair in new:
            self.sums.learn(pair, self._engine.part_ms(self.sums.sample(pair)))
        return bool(new)

    def _pair(self, number: int) -> int:
        return self.space.index(self.places[number])[1]

    def _sums(self) -> NDArray[np.float64]:
        """The sums of all members that are searched among, not corrected."""
        sums: NDArray[np.float64] = self.sums.predict().reshape(-1)[self.places]
        return sums

    def _predict(self) -> NDArray[np.float64]:
        sums = self._sums()
        ratios = [ms / sums[number] for number, ms in self.measured.items()]
        return sums * float(np.median(ratios)) if ratios else sums
