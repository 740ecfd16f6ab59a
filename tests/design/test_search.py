"""Networks found for a budget."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.design import (
    Budget,
    DesignError,
    DesignSpace,
    LatencyMeter,
    design_networks,
    latency_search,
    sample_networks,
)

RESNET50 = Architecture.from_name("resnet50")
SMALL = Architecture.from_name("resnext29_8x4d+template=16", 10)
#: FACTS: the paper's table 2 and the networks that come of it, multiply-adds in billions.
TABLE_2 = {1: (64, "4.089"), 2: (40, "4.125"), 4: (24, "4.160"), 8: (14, "4.267"), 32: (4, "4.230")}


def test_the_widths_of_table_2() -> None:
    space = DesignSpace(RESNET50, frozenset({"width"}), cardinalities=tuple(TABLE_2))
    block = int(DesignSpace(RESNET50, frozenset()).block_params[0])
    found = design_networks(space, Budget(block_params=block))
    widths = {d.arch.cardinality: (d.arch.base_width, f"{d.cost.macs / 1e9:.3f}") for d in found}
    assert widths == TABLE_2
    assert found[0].arch == RESNET50
    assert found[0].deviation == 0


def test_a_block_wider_than_all_that_are_looked_at_is_no_nearest() -> None:
    """One path like those of the paper's CIFAR network has 222 channels."""
    like = Architecture.from_name("resnext29_8x64d", 10)
    budget = Budget(block_params=int(DesignSpace(like, frozenset()).block_params[0]))
    space = DesignSpace(like, frozenset({"width"}), cardinalities=(1, 8))
    assert [d.arch.base_width for d in design_networks(space, budget)] == [222, 64]
    with pytest.raises(DesignError, match=r"with cardinality 1 the paths .* are wider than 2048"):
        design_networks(space, Budget(block_params=10**9))


def test_the_ends_of_the_widths_that_are_looked_at() -> None:
    one_path = replace(RESNET50, blocks=(1, 1, 1, 1))
    for width in (1, 2048):
        block = int(DesignSpace(replace(one_path, base_width=width), frozenset()).block_params[0])
        (found,) = design_networks(DesignSpace(one_path, frozenset({"width"})), Budget(block_params=block))
        assert (found.arch.base_width, found.deviation) == (width, 0)


def test_budgets_that_one_network_meets() -> None:
    space = DesignSpace(SMALL, frozenset({"width"}))
    (exact,) = design_networks(space, Budget(params=count_cost(SMALL).params, tolerance=0.0))
    assert (exact.arch, exact.deviation) == (SMALL, 0)
    assert len(design_networks(space, Budget(params=count_cost(SMALL).params, tolerance=9.0))) == 20
    assert (Budget().tolerance, Budget().latency_tolerance) == (0.03, 0.06)
    narrowest = space.member(0, 0)
    (alone,) = sample_networks(space, Budget(params=count_cost(narrowest).params), 1)
    assert (alone.arch, alone.deviation) == (narrowest, 0)


def test_a_sample_of_all_has_each_network_once() -> None:
    space = DesignSpace(SMALL, frozenset({"width"}))
    drawn = sample_networks(space, Budget(), len(space.pairs))
    assert {design.arch.base_width for design in drawn} == set(range(1, 129))
    some = sample_networks(space, Budget(), 5)
    assert some == sample_networks(space, Budget(), 5, seed=0)


def test_a_budget_is_met_by_all_that_are_listed() -> None:
    space = DesignSpace(SMALL, frozenset({"cardinality", "width", "depth"}))
    target = count_cost(SMALL)
    budget = Budget(params=target.params, macs=target.macs, tolerance=0.02)
    found = design_networks(space, budget, limit=15)
    assert found[0].deviation == 0
    assert [d.deviation for d in found] == sorted(d.deviation for d in found)
    for d in found:
        cost = count_cost(d.arch)
        worst = max(abs(cost.params / target.params - 1), abs(cost.macs / target.macs - 1))
        assert worst == pytest.approx(d.deviation)
        assert worst <= 0.02
    assert len({d.arch.cardinality for d in found}) > 3
    # And none is left out: brute force over a part of the space.
    part = replace(SMALL, blocks=(1, 1, 1), cardinality=2)
    widths = [w for w in range(1, 129) if _misses(part, w, target.macs) <= 0.1]
    space = DesignSpace(part, frozenset({"width"}))
    listed = design_networks(space, Budget(macs=target.macs, tolerance=0.1), limit=200)
    assert sorted(d.arch.base_width for d in listed) == widths
    assert widths


def _misses(base: Architecture, width: int, macs: int) -> float:
    return abs(count_cost(replace(base, base_width=width)).macs / macs - 1)


def test_nothing_meets_the_budget() -> None:
    space = DesignSpace(SMALL, frozenset({"width"}))
    with pytest.raises(DesignError, match="nearest:") as caught:
        design_networks(space, Budget(params=1000))
    assert str(caught.value).count("\n") == 3
    assert caught.value.exit_code == 4
    assert "resnext29_8x1d+template=16" in str(caught.value)


def test_a_sample_is_random_and_under_the_budget() -> None:
    space = DesignSpace(SMALL, frozenset({"cardinality", "width", "depth"}))
    budget = Budget(macs=count_cost(SMALL).macs)
    found = sample_networks(space, budget, 40, seed=3)
    assert len({d.arch for d in found}) == 40
    assert all(d.cost.macs <= budget.macs for d in found)
    assert [d.arch for d in sample_networks(space, budget, 40, seed=3)] == [d.arch for d in found]
    assert [d.arch for d in sample_networks(space, budget, 40, seed=4)] != [d.arch for d in found]
    assert len({d.arch.depth for d in found}) > 3
    with pytest.raises(DesignError, match="only 0 networks"):
        sample_networks(space, Budget(params=1), 1)


class Formula(LatencyMeter):
    """A machine whose times follow the multiply-adds."""

    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        return {key: self.ms(arch) for key, arch in archs.items()}

    def adopt(self, yardstick: Architecture, ms: float) -> None:
        assert ms == self.ms(yardstick)

    @staticmethod
    def ms(arch: Architecture) -> float:
        return 0.2 + 1e-6 * count_cost(arch, 8).macs


def test_networks_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    base = replace(SMALL, blocks=(1, 1, 1))
    space = DesignSpace(base, frozenset({"cardinality", "width"}), 8)
    found = design_networks(space, Budget(latency_ms=4.0), limit=3, meter=Formula(base, 8))
    assert len(found) == 3
    assert all(d.latency_ms == pytest.approx(Formula.ms(d.arch)) for d in found)
    assert all(abs(Formula.ms(d.arch) / 4.0 - 1) <= 0.06 for d in found)
    (nearest,) = design_networks(space, Budget(latency_ms=4.0), limit=1, meter=Formula(base, 8))
    assert nearest.deviation == min(d.deviation for d in found)
    with pytest.raises(DesignError, match="ms"):
        design_networks(space, Budget(latency_ms=1e-4), limit=1, meter=Formula(base, 8))
    # And by this machine's clock, whose times are its own, however busy it is.
    monkeypatch.setattr(latency_search, "MAX_DRIFT", float("inf"))
    assert design_networks(space, Budget(latency_ms=4.0, latency_tolerance=0.9), limit=1)


@pytest.mark.parametrize("target_ms", [4.0, 1e-4])
def test_a_machine_that_is_too_busy_says_so(target_ms: float) -> None:
    """And not that no network takes so long, which its times cannot tell."""
    base = replace(SMALL, blocks=(1, 1, 1))
    space = DesignSpace(base, frozenset({"cardinality", "width"}), 8)
    meter, budget = Formula(base, 8), Budget(latency_ms=target_ms)
    meter.drift = 0.5
    with contextlib.suppress(DesignError):
        assert design_networks(space, budget, limit=1, meter=meter)
    meter.drift = 0.51
    with pytest.raises(DesignError, match=r"pace changed by 51 %.*again when nothing else runs"):
        design_networks(space, budget, limit=1, meter=meter)


class Twice(Formula):
    """The same machine, but every network that is timed a second time takes 4 % longer."""

    def __init__(self, *words: Any) -> None:
        super().__init__(*words)
        self.timed: set[Architecture] = set()

    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        found = {key: self.ms(arch) * (1.04 if arch in self.timed else 1.0) for key, arch in archs.items()}
        self.timed |= set(archs.values())
        return found


def test_a_time_is_the_mean_of_two() -> None:
    base = replace(SMALL, blocks=(1, 1, 1))
    space = DesignSpace(base, frozenset({"cardinality", "width"}), 8)
    found = design_networks(space, Budget(latency_ms=4.0), limit=3, meter=Twice(base, 8))
    assert [d.latency_ms for d in found] == pytest.approx([1.02 * Formula.ms(d.arch) for d in found])
    assert [d.deviation for d in found] == pytest.approx([abs(d.latency_ms / 4.0 - 1) for d in found])


@pytest.mark.parametrize(
    "name", ["resnext50_8x4d+transform=multi_resolution", "resnext50_1x111d+transform=separable"]
)
def test_the_review_s_improvements_cost_what_resnext50_does(name: str) -> None:
    target = count_cost(Architecture.from_name("resnext50_32x4d")).macs
    assert abs(count_cost(Architecture.from_name(name)).macs / target - 1) <= 0.03
