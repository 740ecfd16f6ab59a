"""The search for networks that take a given time: measure, predict from that, measure again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from resnext.arch import Architecture
from resnext.design.budget import Budget, Design, DesignError, no_design
from resnext.design.space import MEASURES, DesignSpace

if TYPE_CHECKING:
    from resnext.design.latency import LatencyMeter

#: Times that networks are chosen and measured before the search ends.
ROUNDS = 4
#: Largest share by which the machine's pace may change meanwhile: small and large networks do not slow down
#: alike, so times that were taken at other paces than that cannot be compared.
MAX_DRIFT = 0.5


class LatencySearch:
    """Some members of a space, and the times of those that have been measured.

    Args:
        space: The space.
        budget: `latency_ms` and `latency_tolerance` count here.
        places: Members to search among, in the flattened costs of the space.
        meter: Measures the times.
    """

    def __init__(
        self, space: DesignSpace, budget: Budget, places: NDArray[np.int64], meter: LatencyMeter
    ) -> None:
        if budget.latency_ms is None:
            raise ValueError("the budget has no latency_ms")
        if len(places) == 0:
            raise DesignError("no network meets the other targets; widen the tolerance or leave one out")
        self.space, self.places, self.meter = space, places, meter
        self.target, self.tolerance = budget.latency_ms, budget.latency_tolerance
        self.costs = space.costs.reshape(-1, len(MEASURES))[places].astype(np.float64)
        self.measured: dict[int, float] = {}
        """Milliseconds by number in `places`."""

    def run(self, limit: int) -> list[Design]:
        """Up to `limit` members that take the time, the nearest first.

        Raises:
            DesignError: No member takes the time, or the machine is too busy to tell.
        """
        self._explore()
        for _ in range(ROUNDS):
            self._adopt_nearest()
            self._measure(self._promising(limit))
            if len(self._fitting()) >= limit:
                break
        self._adopt_nearest()
        designs = self._measured_twice(self._fitting()[: 2 * limit])
        if self.meter.drift > MAX_DRIFT:
            raise DesignError(
                f"this machine's pace changed by {100 * self.meter.drift:.0f} % while networks were timed, "
                "so their times say nothing: run the same command again when nothing else runs here"
            )
        kept = sorted((d for d in designs if d.deviation <= self.tolerance), key=lambda d: d.deviation)
        if not kept:
            raise no_design([self._design(n, self.measured[n]) for n in self._by_deviation()[:3]])
        return kept[:limit]

    def _explore(self) -> None:
        """Measure networks of ever more multiply-adds, up to the first that takes longer than the target.

        So the search never tries the largest networks of a space, which may not fit into memory, unless
        smaller ones are too fast.
        """
        macs = self.costs[:, MEASURES.index("macs")]
        by_macs = np.argsort(macs, kind="stable")
        wanted = float(macs.min())
        while wanted <= macs.max():
            number = int(by_macs[np.searchsorted(macs[by_macs], wanted)])
            if self._probe(number) > self.target:
                break
            wanted = 2 * float(macs[number])

    def _probe(self, number: int) -> float:
        """About how long a member takes, in milliseconds."""
        self._measure([number])
        return self.measured[number]

    def _measure(self, numbers: list[int]) -> None:
        self.measured |= self.meter.measure({number: self._arch(number) for number in numbers})

    def _measured_twice(self, numbers: list[int]) -> list[Design]:
        """The members `numbers` with the mean of their first time and of a second one, measured side by side.

        A member whose first time was near the target by chance drops out in this way.
        """
        again = self.meter.measure({number: self._arch(number) for number in numbers})
        return [self._design(number, (self.measured[number] + ms) / 2) for number, ms in again.items()]

    def _adopt_nearest(self) -> None:
        nearest = self._by_deviation()[0]
        self.meter.adopt(self._arch(nearest), self.measured[nearest])

    def _by_deviation(self) -> list[int]:
        return sorted(self.measured, key=lambda number: abs(self.measured[number] / self.target - 1))

    def _fitting(self) -> list[int]:
        """Those measured within the tolerance, the nearest first."""
        return [n for n in self._by_deviation() if abs(self.measured[n] / self.target - 1) <= self.tolerance]

    def _promising(self, limit: int) -> list[int]:
        """Up to `limit` members that have not been measured, with the predicted times nearest to the target.

        Each cardinality gets at most an equal share of them.
        """
        order = np.argsort(np.abs(self._predict() / self.target - 1))
        near = [int(number) for number in order if int(number) not in self.measured]
        cardinality = self._cardinalities(near)
        share = -(-limit // max(1, len(set(cardinality))))
        taken: dict[int, int] = {}
        chosen = []
        for number, c in zip(near, cardinality, strict=True):
            if taken.get(c, 0) < share:
                taken[c] = taken.get(c, 0) + 1
                chosen.append(number)
            if len(chosen) == limit:
                break
        return chosen

    def _cardinalities(self, numbers: list[int]) -> list[int]:
        pairs = self.places[numbers] % len(self.space.pairs)
        cardinalities: list[int] = self.space.pairs[pairs, 0].tolist()
        return cardinalities

    def _predict(self) -> NDArray[np.float64]:
        """Predicted milliseconds of every member."""
        known = list(self.measured)
        return fit_times(self.costs, known, np.array([self.measured[number] for number in known]))

    def _arch(self, number: int) -> Architecture:
        return self.space.member(*self.space.index(self.places[number]))

    def _design(self, number: int, ms: float) -> Design:
        index = self.space.index(self.places[number])
        return Design(self.space.member(*index), self.space.cost(*index), abs(ms / self.target - 1), ms)


def fit_times(
    costs: NDArray[np.float64], known: Sequence[int], ms: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Predicted times of all from those of some: a weighted sum of measures and a constant.

    The weights are not negative and fit the known times best.

    Args:
        costs: (N, measures).
        known: The places of those whose times are known.
        ms: Their times, in any unit.

    Returns:
        (N,) times in this unit.
    """
    from scipy.optimize import nnls

    features = np.hstack([costs / costs.max(axis=0), np.ones((len(costs), 1))])
    # Relative errors count, so each time is divided by itself.
    shares, _ = nnls(features[known] / ms[:, None], np.ones(len(ms)))
    predicted: NDArray[np.float64] = features @ shares
    return predicted
