"""Networks of a space that meet a budget: all of them at once, or a random sample."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from resnext.arch import Architecture
from resnext.cost import Cost
from resnext.design.latency import Clock
from resnext.design.space import MEASURES, WIDE, Space

#: Measures of a network that a budget can name.
TARGETS = ("params", "macs", "activations")
#: Times that networks are chosen and measured before a time is given up.
ROUNDS = 4


class DesignError(Exception):
    """A budget that no member of the space meets; the message names the nearest."""


@dataclass(frozen=True)
class Budget:
    """What a network may cost; None is free. Targets are met within the share `tolerance`."""

    params: int | None = None
    macs: int | None = None
    activations: int | None = None
    block_params: int | None = None
    """Parameters of a block of the first stage: the rule of the paper's table 2 takes the nearest width
    for each cardinality, whatever the tolerance."""
    latency_ms: float | None = None
    """Median time on this machine of what one `Clock` asks of a network."""
    tolerance: float = 0.03
    latency_tolerance: float = 0.06
    """As `tolerance`, of the time: two measurements of one network differ by several percent."""


@dataclass(frozen=True)
class Design:
    """A network that meets a budget to within the share `deviation`; `latency_ms` if it was measured."""

    arch: Architecture
    cost: Cost
    deviation: float
    latency_ms: float | None = None


def design_networks(space: Space, budget: Budget, most: int = 20, clock: Clock | None = None) -> list[Design]:
    """Up to `most` members that meet `budget`, the nearest first; for a rule of `block_params`, one for each
    cardinality and depth, all of them in their order, of whatever width. A `latency_ms` is told by `clock`
    (None: one of the space's base, for one picture).

    Raises `DesignError` with the nearest three if there is none.
    """
    if budget.block_params is not None:
        return _like(replace(space, widths=WIDE), budget.block_params)
    deviations = _deviations(space, budget)
    order = np.argsort(deviations, axis=None, kind="stable")
    met = order[deviations.flat[order] <= budget.tolerance]
    if budget.latency_ms is not None:
        return _by_latency(space, budget, met, most, clock or Clock(space.base, space.size_px))
    if len(met) == 0:
        raise DesignError(_nothing([_design(space, p, float(deviations.flat[p])) for p in order[:3]]))
    return [_design(space, place, float(deviations.flat[place])) for place in met[:most]]


def sample_networks(space: Space, budget: Budget, count: int, seed: int = 0) -> list[Design]:
    """`count` different members under `budget`, each as likely as any other, for studies of populations.

    Raises `DesignError` if there are not so many.
    """
    under = np.ones(space.costs.shape[:2], dtype=bool)
    for name in TARGETS:
        number, limit = MEASURES.index(name), getattr(budget, name)
        if limit is not None:
            under &= space.costs[:, :, number] <= limit
    places = np.flatnonzero(under)
    if len(places) < count:
        raise DesignError(
            f"only {len(places)} networks cost no more, and {count} were asked for; raise the budget"
        )
    drawn = np.random.default_rng(seed).choice(places, count, replace=False)
    return [_design(space, place, 0.0) for place in np.sort(drawn)]


def time_designs(designs: list[Design], clock: Clock) -> list[Design]:
    """The same with the time that `clock` measures, side by side on this machine."""
    measured = clock.measure(dict(enumerate(d.arch for d in designs)))
    return [replace(design, latency_ms=measured[i]) for i, design in enumerate(designs)]


def _deviations(space: Space, budget: Budget) -> NDArray[np.float64]:
    """(depths, P): the largest share that a member misses a target by."""
    worst = np.zeros(space.costs.shape[:2])
    for name in TARGETS:
        number, target = MEASURES.index(name), getattr(budget, name)
        if target is not None:
            worst = np.maximum(worst, np.abs(space.costs[:, :, number] / target - 1))
    return worst


def _design(space: Space, place: int | np.int64, deviation: float, ms: float | None = None) -> Design:
    """The member at `place` in the flattened costs."""
    depth, pair = (int(i) for i in np.unravel_index(place, space.costs.shape[:2]))
    return Design(space.member(depth, pair), space.cost(depth, pair), deviation, ms)


def _like(space: Space, block_params: int) -> list[Design]:
    """For each cardinality the width whose block is nearest (paper, table 2). Raises `DesignError` where that
    is beyond the widths looked at."""
    off = np.abs(space.block_params / block_params - 1)
    found = []
    for cardinality in np.unique(space.pairs[:, 0]):
        own = np.flatnonzero(space.pairs[:, 0] == cardinality)
        best = own[np.argmin(off[own])]
        if "width" in space.vary and best == own[-1] and space.block_params[best] < block_params:
            raise DesignError(
                f"with cardinality {cardinality} the paths of a block like that are wider than "
                f"{space.pairs[best, 1]}, the widest looked at; say a larger --cardinality"
            )
        for depth in range(len(space.depths)):
            place = depth, int(best)
            found.append(Design(space.member(*place), space.cost(*place), float(off[best])))
    return found


def _by_latency(
    space: Space, budget: Budget, met: NDArray[np.int64], most: int, clock: Clock
) -> list[Design]:
    """Measure, predict from what was measured, measure the most promising, until enough fit."""
    target = budget.latency_ms
    assert target is not None
    if len(met) == 0:
        raise DesignError("no network meets the other targets; widen the tolerance or leave one out")
    costs = space.costs.reshape(-1, len(MEASURES))[met].astype(np.float64)
    measured = _explore(space, met, costs, clock, target)
    fitting: list[int] = []
    for _ in range(ROUNDS):
        _adopt_nearest(clock, space, met, measured, target)
        predicted = _predict(costs, measured)
        near = [int(p) for p in np.argsort(np.abs(predicted / target - 1)) if int(p) not in measured]
        chosen = _varied(space, met, near, most)
        measured |= clock.measure({place: _arch(space, met[place]) for place in chosen})
        fitting = [p for p, ms in measured.items() if abs(ms / target - 1) <= budget.latency_tolerance]
        if len(fitting) >= most:
            break
    nearest = sorted(measured, key=lambda p: abs(measured[p] / target - 1))
    _adopt_nearest(clock, space, met, measured, target)
    # Once more, side by side, and the mean of both: what was near by chance falls out.
    fits = set(fitting)
    again = clock.measure({p: _arch(space, met[p]) for p in [p for p in nearest if p in fits][: 2 * most]})
    designs = [_timed(space, met[p], (measured[p] + ms) / 2, target) for p, ms in again.items()]
    kept = sorted((d for d in designs if d.deviation <= budget.latency_tolerance), key=lambda d: d.deviation)
    if not kept:
        raise DesignError(_nothing([_timed(space, met[p], measured[p], target) for p in nearest[:3]]))
    return kept[:most]


def _adopt_nearest(
    clock: Clock, space: Space, met: NDArray[np.int64], measured: dict[int, float], target: float
) -> None:
    nearest = min(measured, key=lambda p: abs(measured[p] / target - 1))
    clock.adopt(_arch(space, met[nearest]), measured[nearest])


def _explore(
    space: Space, met: NDArray[np.int64], costs: NDArray[np.float64], clock: Clock, target: float
) -> dict[int, float]:
    """Milliseconds of networks of ever more multiply-adds, up to the first that takes longer than
    `target`: the largest of a space may fit into no memory."""
    macs = costs[:, MEASURES.index("macs")]
    by_macs = np.argsort(macs, kind="stable")
    measured: dict[int, float] = {}
    wanted = float(macs.min())
    while wanted <= macs.max():
        place = int(by_macs[np.searchsorted(macs[by_macs], wanted)])
        measured |= clock.measure({place: _arch(space, met[place])})
        if measured[place] > target:
            break
        wanted = 2 * float(macs[place])
    return measured


def _arch(space: Space, place: int | np.int64) -> Architecture:
    depth, pair = (int(i) for i in np.unravel_index(place, space.costs.shape[:2]))
    return space.member(depth, pair)


def _timed(space: Space, place: int | np.int64, ms: float, target: float) -> Design:
    return _design(space, place, abs(ms / target - 1), ms)


def _predict(costs: NDArray[np.float64], measured: dict[int, float]) -> NDArray[np.float64]:
    """Milliseconds as the share of each measure that fits best; shares are not negative."""
    from scipy.optimize import nnls

    known = list(measured)
    features = np.hstack([costs / costs.max(axis=0), np.ones((len(costs), 1))])
    weight = 1 / np.array([measured[p] for p in known])  # relative errors count
    shares, _ = nnls(features[known] * weight[:, None], np.ones(len(known)))
    predicted: NDArray[np.float64] = features @ shares
    return predicted


def _varied(space: Space, met: NDArray[np.int64], near: list[int], most: int) -> list[int]:
    """The first `most` of `near`, but of one cardinality no more than its share."""
    if not near:
        return []
    pairs = np.unravel_index(met[near], space.costs.shape[:2])[1]
    cardinality: list[int] = space.pairs[pairs, 0].tolist()
    share = max(1, -(-most // len(set(cardinality))))
    taken: dict[int, int] = {}
    chosen = []
    for place, c in zip(near, cardinality, strict=True):
        if taken.get(c, 0) < share:
            taken[c] = taken.get(c, 0) + 1
            chosen.append(place)
        if len(chosen) == most:
            break
    return chosen


def _nothing(near: list[Design]) -> str:
    lines = [
        f"  {d.arch.name}: {d.cost.params / 1e6:.2f} M parameters, {d.cost.macs / 1e6:,.0f} M multiply-adds, "
        f"{d.cost.activations / 1e6:.2f} M activations"
        + ("" if d.latency_ms is None else f", {d.latency_ms:.2f} ms")
        for d in near
    ]
    return "nothing meets the budget; nearest:\n" + "\n".join(lines)
