"""A space of networks and the cost of all its members at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from resnext.arch import Architecture, implied_blocks, implied_depths
from resnext.cost import Cost, count_parts

Dimension = Literal["cardinality", "width", "depth"]
#: What cardinality and width range over where they may vary.
CARDINALITIES, WIDTHS = range(1, 65), range(1, 129)
#: What width ranges over where one is looked for that is like all paths of another network.
WIDE = range(1, 2049)
#: The measures of `Cost` that members are counted in, in this order.
MEASURES = ("params", "macs", "activations", "bytes")


@dataclass(frozen=True)
class Space:
    """The networks that differ from `base` in the dimensions that `vary`, at `size_px`.

    With C paths of width d, a block costs a + b d + c C + e C d + f C d^2 in every measure, whatever its
    transformation: its layers have 1, d or C d channels on either side, and stand there once or C times.
    So five counted networks give the exact cost of all; sums over blocks are sums of coefficients.
    """

    base: Architecture
    vary: frozenset[Dimension]
    size_px: int | None = None
    cardinalities: tuple[int, ...] | None = None
    """Instead of all; they vary then."""
    widths: Iterable[int] = WIDTHS
    """What width ranges over where it varies."""

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
        base = self.base
        cardinalities: Iterable[int] = [base.cardinality]
        if self.cardinalities is not None:
            cardinalities = self.cardinalities
        elif "cardinality" in self.vary:
            cardinalities = CARDINALITIES
        widths: Iterable[int] = self.widths if "width" in self.vary else [base.base_width]
        allowed = [(c, d) for c in cardinalities for d in widths if self._allows(c)]
        return np.array(allowed, dtype=np.int64).reshape(-1, 2)

    def _allows(self, cardinality: int) -> bool:
        if self.base.transform in ("basic", "separable"):
            return cardinality == 1
        return self.base.transform != "inception" or self.base.stages[0].out_channels % cardinality == 0

    @cached_property
    def costs(self) -> NDArray[np.int64]:
        """(depths, P, measures): the cost of every member."""
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
    def _coefficients(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Of opening blocks and of the others (stages, measures, 5), and the cost of stem and head."""
        stages = max(len(blocks) for blocks in self.depths)
        points = [(1, 1), (1, 2), (2, 1), (2, 2), (1, 3)]
        points = [(c, d) for c, d in points if self._allows(c)]
        counted = []
        for cardinality, width in points:
            arch = replace(self.base, blocks=(2,) * stages, cardinality=cardinality, base_width=width)
            counted.append({part.name: _vector(part.cost) for part in count_parts(arch, self.size_px)})
        features = _features(np.array(points))

        def solve(name: str) -> NDArray[np.float64]:
            values = np.array([parts[name] for parts in counted])
            found: NDArray[np.float64] = np.linalg.lstsq(features, values, rcond=None)[0].T
            return found

        opening = np.array([solve(f"layer{s + 1}.0") for s in range(stages)])
        rest = np.array([solve(f"layer{s + 1}.1") for s in range(stages)])
        return opening, rest, np.array(counted[0]["stem"]) + np.array(counted[0]["head"])

    def member(self, depth: int, pair: int) -> Architecture:
        """The network at a place of `costs`."""
        cardinality, width = (int(v) for v in self.pairs[pair])
        return replace(self.base, blocks=self.depths[depth], cardinality=cardinality, base_width=width)

    def cost(self, depth: int, pair: int) -> Cost:
        """What that network costs."""
        return Cost(**dict(zip(MEASURES, self.costs[depth, pair].tolist(), strict=True)))


def _features(pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """(P, 5): 1, d, C, C d and C d^2 of each (C, d)."""
    c, d = pairs[:, 0].astype(np.float64), pairs[:, 1].astype(np.float64)
    return np.stack([np.ones_like(d), d, c, c * d, c * d * d], axis=1)


def _vector(cost: Cost) -> list[int]:
    return [getattr(cost, name) for name in MEASURES]
