"""The search for networks that take a given time, on machines whose times are written down."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from resnext.arch import Architecture
from resnext.design import Budget, Design, DesignError, DesignSpace, LatencyMeter, design_networks

BASE = replace(Architecture.from_name("resnext29_1x4d+template=16", 10), blocks=(1, 1, 1))
WIDTHS = DesignSpace(BASE, frozenset({"width"}), 8)
PATHS_AND_WIDTHS = replace(WIDTHS, cardinalities=(1, 2, 4))


def members(space: DesignSpace) -> dict[Architecture, int]:
    """All networks of a space, with their multiply-adds."""
    return {space.member(0, pair): space.cost(0, pair).macs for pair in range(len(space.pairs))}


class Machine(LatencyMeter):
    """A machine whose times are those of a function of the multiply-adds; it notes what it is asked for."""

    def __init__(self, space: DesignSpace, time: Callable[[int], float]) -> None:
        super().__init__(BASE, 8)
        self.times = {arch: time(macs) for arch, macs in members(space).items()}
        self.asked: list[list[Architecture]] = []
        self.adopted: list[tuple[Architecture, float, set[Architecture]]] = []

    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        self.asked.append(list(archs.values()))
        return {key: self.times[arch] for key, arch in archs.items()}

    def adopt(self, yardstick: Architecture, ms: float) -> None:
        self.adopted.append((yardstick, ms, {arch for archs in self.asked for arch in archs}))


def by_the_macs(macs: int) -> float:
    return 0.2 + 1e-6 * macs


def explored(space: DesignSpace, machine: Machine, target: float) -> list[list[Architecture]]:
    """The networks that are measured first: each has at least twice the multiply-adds of the one before."""
    steps: list[list[Architecture]] = []
    wanted = 0
    for arch, macs in sorted(members(space).items(), key=lambda member: member[1]):
        if macs >= wanted:
            steps.append([arch])
            wanted = 2 * macs
            if machine.times[arch] > target:
                break
    return steps


def search(space: DesignSpace, machine: Machine, target: float, limit: int, share: float) -> list[Design]:
    budget = Budget(latency_ms=target, latency_tolerance=share)
    return design_networks(space, budget, limit, machine)


@pytest.mark.parametrize("target", [8.0, 13.0, 20.0])
@pytest.mark.parametrize(
    ("space", "limit"), [(WIDTHS, 1), (WIDTHS, 3), (PATHS_AND_WIDTHS, 3), (PATHS_AND_WIDTHS, 7)]
)
def test_what_is_measured(space: DesignSpace, limit: int, target: float) -> None:
    """On a machine whose times follow the multiply-adds, all predictions are right from the first."""
    machine = Machine(space, by_the_macs)
    found = search(space, machine, target, limit, share=0.1)

    first = explored(space, machine, target)
    assert machine.asked[: len(first)] == first
    assert len(first) > 4

    def miss(arch: Architecture) -> float:
        return abs(machine.times[arch] / target - 1)

    # Then those with the nearest times, the same number of each cardinality.
    others = sorted((arch for arch in machine.times if [arch] not in first), key=miss)
    paths = {arch.cardinality for arch in others}
    most = -(-limit // len(paths))
    near = [
        arch
        for i, arch in enumerate(others)
        if sum(before.cardinality == arch.cardinality for before in others[:i]) < most
    ][:limit]
    assert machine.asked[len(first)] == near
    # All of them fit, so no more rounds are needed; the nearest are timed a second time.
    fit = sorted((arch for archs in machine.asked[:-1] for arch in archs if miss(arch) <= 0.1), key=miss)
    assert len(fit) >= limit
    assert machine.asked[len(first) + 1 :] == [fit[: 2 * limit]]
    assert [design.arch for design in found] == fit[:limit]
    assert [design.deviation for design in found] == pytest.approx([miss(arch) for arch in fit[:limit]])
    # The yardstick is the nearest so far.
    assert len(machine.adopted) == 2
    for arch, ms, known in machine.adopted:
        assert ms == machine.times[arch]
        assert miss(arch) == min(map(miss, known))


def test_networks_at_the_very_tolerance_fit_and_only_the_nearest_are_timed_again() -> None:
    machine = Machine(WIDTHS, lambda macs: 3.0)
    found = search(WIDTHS, machine, 4.0, limit=2, share=0.25)
    assert [design.deviation for design in found] == [0.25, 0.25]
    assert sum(map(len, machine.asked[:-1])) > 6
    assert len(machine.asked[-1]) == 4
    with pytest.raises(DesignError, match="nearest"):
        search(WIDTHS, machine, 4.0, limit=2, share=0.24)


def test_a_time_equal_to_the_target_is_not_longer() -> None:
    machine = Machine(WIDTHS, lambda macs: 4.0)
    search(WIDTHS, machine, 4.0, limit=1, share=0.1)
    assert machine.asked[:-2] == explored(WIDTHS, machine, 4.0)
    assert len(machine.asked) > 6


def test_a_space_of_one_network() -> None:
    alone = replace(WIDTHS, widths=(5,))
    (found,) = search(alone, Machine(alone, lambda macs: 4.0), 4.0, limit=3, share=0.1)
    assert (found.arch.base_width, found.latency_ms, found.deviation) == (5, 4.0, 0.0)


def test_where_nothing_fits_four_rounds_are_tried() -> None:
    machine = Machine(WIDTHS, by_the_macs)
    target = 10 * max(machine.times.values())
    with pytest.raises(DesignError, match="nearest") as caught:
        search(WIDTHS, machine, target, limit=3, share=0.1)
    first = explored(WIDTHS, machine, target)
    assert [len(archs) for archs in machine.asked] == [1] * len(first) + [3] * 4 + [0]
    slowest = max(machine.times, key=machine.times.__getitem__)
    assert slowest.name in str(caught.value).splitlines()[1]
