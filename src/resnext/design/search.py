"""Networks of a space that meet a budget: the nearest, or a random sample."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from resnext.design.budget import Budget, Design, DesignError, no_design
from resnext.design.latency import LatencyMeter
from resnext.design.space import MEASURES, WIDE, DesignSpace

#: Measures of a network that a budget can name.
TARGETS = ("params", "macs", "activations")


def design_networks(
    space: DesignSpace, budget: Budget, limit: int = 20, meter: LatencyMeter | None = None
) -> list[Design]:
    """Members of `space` that meet `budget`, the nearest first.

    Args:
        space: Where to search.
        budget: What to meet. For `block_params` there is one network for each cardinality and depth, in
            their order, with the width whose block is nearest.
        limit: Largest number of networks.
        meter: Measures `latency_ms`; None for one that times a single image.

    Raises:
        DesignError: No member meets the budget; the message has the nearest three.

    >>> from resnext.arch import Architecture
    >>> resnet50 = Architecture.from_name("resnet50")
    >>> block_params = int(DesignSpace(resnet50, frozenset()).block_params[0])
    >>> space = DesignSpace(resnet50, frozenset({"width"}), cardinalities=(1, 2, 32))
    >>> [found.arch.name for found in design_networks(space, Budget(block_params=block_params))]
    ['resnet50', 'resnext50_2x40d', 'resnext50_32x4d']
    """
    if budget.block_params is not None:
        return _like_block(replace(space, widths=WIDE), budget.block_params)
    deviations = _deviations(space, budget)
    order = np.argsort(deviations, axis=None, kind="stable")
    met = order[deviations.flat[order] <= budget.tolerance]
    if budget.latency_ms is not None:
        return (meter or LatencyMeter(space.base, space.size_px)).search(space, budget, met).run(limit)
    if len(met) == 0:
        raise no_design([_design(space, place, float(deviations.flat[place])) for place in order[:3]])
    return [_design(space, place, float(deviations.flat[place])) for place in met[:limit]]


def sample_networks(space: DesignSpace, budget: Budget, count: int, seed: int = 0) -> list[Design]:
    """Different members that cost no more than `budget`, drawn uniformly, for studies of populations.

    Args:
        space: Where to draw from.
        budget: Upper limits of `params`, `macs` and `activations`.
        count: Number of networks.
        seed: Where the random draws start.

    Raises:
        DesignError: Fewer than `count` members cost no more.

    >>> from resnext.arch import Architecture
    >>> base = Architecture.from_name("resnext11_4x4d+template=16", classes=10)
    >>> space = DesignSpace(base, frozenset({"cardinality", "width"}), size_px=16)
    >>> all(found.cost.params <= 100_000 for found in sample_networks(space, Budget(params=100_000), 5))
    True
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


def time_designs(designs: list[Design], meter: LatencyMeter) -> list[Design]:
    """The same designs with the times that `meter` measures, side by side on this machine.

    Args:
        designs: What to time.
        meter: Measures the times.

    >>> from resnext.arch import Architecture
    >>> base = Architecture.from_name("resnext11_4x4d+template=8", classes=10)
    >>> space = DesignSpace(base, frozenset({"width"}), size_px=8)
    >>> designs = design_networks(space, Budget(params=20_000, tolerance=0.1), limit=2)
    >>> timed = time_designs(designs, LatencyMeter(base, size_px=8, rounds=3))
    >>> all(design.latency_ms > 0 for design in timed)
    True
    """
    measured = meter.measure(dict(enumerate(design.arch for design in designs)))
    return [replace(design, latency_ms=measured[i]) for i, design in enumerate(designs)]


def _deviations(space: DesignSpace, budget: Budget) -> NDArray[np.float64]:
    """(depths, P): the largest share by which a member misses a target."""
    worst = np.zeros(space.costs.shape[:2])
    for name in TARGETS:
        number, target = MEASURES.index(name), getattr(budget, name)
        if target is not None:
            worst = np.maximum(worst, np.abs(space.costs[:, :, number] / target - 1))
    return worst


def _design(space: DesignSpace, place: int | np.int64, deviation: float) -> Design:
    """The member at `place` in the flattened costs."""
    index = space.index(place)
    return Design(space.member(*index), space.cost(*index), deviation)


def _like_block(space: DesignSpace, block_params: int) -> list[Design]:
    """For each cardinality the width whose block is nearest (paper, table 2).

    Raises `DesignError` where that is beyond the widths of the space.
    """
    off = np.abs(space.block_params / block_params - 1)
    found = []
    for cardinality in np.unique(space.pairs[:, 0]):
        best = _nearest_width(space, block_params, int(cardinality))
        for depth in range(len(space.depths)):
            found.append(Design(space.member(depth, best), space.cost(depth, best), float(off[best])))
    return found


def _nearest_width(space: DesignSpace, block_params: int, cardinality: int) -> int:
    """The pair with this cardinality whose block is nearest. Raises `DesignError`."""
    own = np.flatnonzero(space.pairs[:, 0] == cardinality)
    best = int(own[np.argmin(np.abs(space.block_params[own] / block_params - 1))])
    if "width" in space.vary and best == own[-1] and space.block_params[best] < block_params:
        raise DesignError(
            f"with cardinality {cardinality} the paths of a block like that are wider than "
            f"{space.pairs[best, 1]}, the widest that is tried; give a larger --cardinality"
        )
    return best
