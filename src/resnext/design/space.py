"""A space of networks and the cost of all its members at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from resnext.arch import TRANSFORMS, Architecture, implied_blocks, implied_depths
from resnext.cost import Cost, count_parts

Dimension = Literal["cardinality", "width", "depth"]
#: What cardinality and width range over where they may vary.
CARDINALITIES, WIDTHS = range(1, 65), range(1, 129)
#: The same for width where one path may have to be as wide as all paths of another network together.
WIDE = range(1, 2049)
#: The measures of `Cost` that members are counted in, in this order.
MEASURES = ("params", "macs", "activations", "bytes")
#: The (C, d) of the networks that are counted; five determine the cost of all.
COUNTED = ((1, 1), (1, 2), (2, 1), (2, 2), (1, 3))


@dataclass(frozen=True)
class DesignSpace:
    """The networks that differ from `base` in some dimensions only.

    With C paths of width d, a block costs a + b d + c C + e C d + f C d^2 in every measure, whatever its
    transformation, attention and shortcut: its layers have 1, d or C d channels on either side, and occur
    once or C times. So five counted networks give the exact cost of all; sums over blocks are sums of
    coefficients.

    Args:
        base: The network that gives everything that does not vary.
        vary: Dimensions that differ among the members: "cardinality" (1 to 64), "width" (1 to 128), and
            "depth" (every depth up to 200 that implies its numbers of blocks).
        size_px: Side of the images; None for the side that the stem of `base` was made for.
        cardinalities: The cardinalities instead of 1 to 64; they vary then.
        widths: The widths instead of 1 to 128, where "width" varies.

    >>> base = Architecture.from_name("resnext50_32x4d")
    >>> space = DesignSpace(base, frozenset({"width"}), cardinalities=(1, 8, 32))
    >>> len(space.pairs)
    384
    >>> space.member(0, 259).name, space.cost(0, 259).params
    ('resnext50_32x4d', 25028904)
    """

    base: Architecture
    vary: frozenset[Dimension]
    size_px: int | None = None
    cardinalities: tuple[int, ...] | None = None
    widths: Iterable[int] = WIDTHS

    @cached_property
    def depths(self) -> tuple[tuple[int, ...], ...]:
        """The numbers of blocks that members have."""
        if "depth" not in self.vary:
            return (self.base.blocks,)
        base = self.base
        every = implied_depths(base.transform, base.stem)
        return tuple(implied_blocks(depth, base.transform, base.stem) for depth in every)

    @cached_property
    def pairs(self) -> NDArray[np.int64]:
        """(P, 2): the (C, d) that members have."""
        widths = list(self.widths) if "width" in self.vary else [self.base.base_width]
        allowed = [(c, d) for c in self._cardinalities() if self._allows(c) for d in widths]
        return np.array(allowed, dtype=np.int64).reshape(-1, 2)

    def _cardinalities(self) -> Iterable[int]:
        if self.cardinalities is not None:
            return self.cardinalities
        return CARDINALITIES if "cardinality" in self.vary else [self.base.cardinality]

    def _allows(self, cardinality: int) -> bool:
        rule = TRANSFORMS[self.base.transform].cardinality
        return rule.allows(cardinality, self.base.stages[0].out_channels)

    @cached_property
    def costs(self) -> NDArray[np.int64]:
        """(depths, P, 4): the parameters, multiply-adds, activations and bytes of every member."""
        opening, rest, ends = self._coefficients
        features = _features(self.pairs)
        totals = []
        for blocks in self.depths:
            stages = range(len(blocks))
            whole = sum(opening[s] + (blocks[s] - 1) * rest[s] for s in stages)  # (measures, 5)
            totals.append(features @ np.transpose(whole) + ends)
        counted: NDArray[np.int64] = np.rint(totals).astype(np.int64)
        return counted

    @cached_property
    def block_params(self) -> NDArray[np.int64]:
        """(P,): parameters of a block of the first stage that does not open it."""
        _, rest, _ = self._coefficients
        params = _features(self.pairs) @ rest[0][MEASURES.index("params")]
        counted: NDArray[np.int64] = np.rint(params).astype(np.int64)
        return counted

    @cached_property
    def block_costs(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(stages, P, 4): the measures of the block that opens each stage, and of each other one."""
        opening, rest, _ = self._coefficients
        features = _features(self.pairs)
        return features @ opening.transpose(0, 2, 1), features @ rest.transpose(0, 2, 1)

    @cached_property
    def _coefficients(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Coefficients of the first block of each stage, and of its other blocks, both (stages, measures, 5);
        and the cost of stem and head (measures,)."""
        stages = max(len(blocks) for blocks in self.depths)
        points = [(c, d) for c, d in COUNTED if self._allows(c)]
        counted = [self._count(stages, c, d) for c, d in points]
        features = _features(np.array(points))

        def solve(name: str) -> NDArray[np.float64]:
            values = np.array([parts[name] for parts in counted])
            found: NDArray[np.float64] = np.linalg.lstsq(features, values, rcond=None)[0].T
            return found

        opening = np.array([solve(f"layer{s + 1}.0") for s in range(stages)])
        rest = np.array([solve(f"layer{s + 1}.1") for s in range(stages)])
        any_one, *_ = counted
        return opening, rest, np.array(any_one["stem"]) + np.array(any_one["head"])

    def _count(self, stages: int, cardinality: int, width: int) -> dict[str, list[int]]:
        """The measures of each part of the network with two blocks in each stage."""
        arch = replace(self.base, blocks=(2,) * stages, cardinality=cardinality, base_width=width)
        return {part.name: _vector(part.cost) for part in count_parts(arch, self.size_px)}

    def member(self, depth: int, pair: int) -> Architecture:
        """The network at the index (depth, pair) of `costs`."""
        cardinality, width = (int(v) for v in self.pairs[pair])
        return replace(self.base, blocks=self.depths[depth], cardinality=cardinality, base_width=width)

    def cost(self, depth: int, pair: int) -> Cost:
        """The cost of that network."""
        return Cost(**dict(zip(MEASURES, self.costs[depth, pair].tolist(), strict=True)))

    def index(self, place: int | np.int64) -> tuple[int, int]:
        """(depth, pair) of the member at `place` in the flattened first two dimensions of `costs`."""
        depth, pair = np.unravel_index(place, self.costs.shape[:2])
        return int(depth), int(pair)


def _features(pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P, 5): 1, d, C, C d and C d^2 of each (C, d)."""
    c, d = pairs[:, 0].astype(np.float64), pairs[:, 1].astype(np.float64)
    return np.stack([np.ones_like(d), d, c, c * d, c * d * d], axis=1)


def _vector(cost: Cost) -> list[int]:
    return [getattr(cost, name) for name in MEASURES]
