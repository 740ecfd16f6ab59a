"""Networks described, drawn and solved for a budget; counted networks are the judge."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from resnext.arch import BOTTLENECKS, FORMS, STEMS, Architecture
from resnext.cost import count_cost, count_parts
from resnext.design import (
    Budget,
    Clock,
    DesignError,
    Space,
    describe,
    design_networks,
    draw_block,
    latency,
    sample_networks,
)
from resnext.timing import Timing

RESNET50 = Architecture.from_name("resnet50")
SMALL = Architecture.from_name("resnext29_8x4d+template=16", 10)
#: FACTS: the paper's table 2 and the networks that come of it, multiply-adds in billions.
TABLE_2 = {1: (64, "4.089"), 2: (40, "4.125"), 4: (24, "4.160"), 8: (14, "4.267"), 32: (4, "4.230")}


def test_the_widths_of_table_2() -> None:
    space = Space(RESNET50, frozenset({"width"}), cardinalities=tuple(TABLE_2))
    block = int(Space(RESNET50, frozenset()).block_params[0])
    found = design_networks(space, Budget(block_params=block))
    widths = {d.arch.cardinality: (d.arch.base_width, f"{d.cost.macs / 1e9:.3f}") for d in found}
    assert widths == TABLE_2
    assert found[0].arch == RESNET50
    assert found[0].deviation == 0


def test_a_block_wider_than_all_that_are_looked_at_is_no_nearest() -> None:
    """One path like those of the paper's CIFAR network has 222 channels."""
    like = Architecture.from_name("resnext29_8x64d", 10)
    budget = Budget(block_params=int(Space(like, frozenset()).block_params[0]))
    space = Space(like, frozenset({"width"}), cardinalities=(1, 8))
    assert [d.arch.base_width for d in design_networks(space, budget)] == [222, 64]
    with pytest.raises(DesignError, match=r"with cardinality 1 the paths .* are wider than 2048"):
        design_networks(space, Budget(block_params=10**9))


@pytest.mark.parametrize("transform", BOTTLENECKS)
@pytest.mark.parametrize("stem", STEMS)
def test_solved_costs_are_counted_costs(transform: str, stem: str) -> None:
    blocks = (1, 1, 2, 1) if stem == "imagenet" else (1, 2, 1)
    base = replace(SMALL, transform=transform, stem=stem, blocks=blocks, cardinality=1)
    space = Space(base, frozenset({"width"}), 32, cardinalities=(1, 3, 4, 7, 8))
    for pair in np.random.default_rng(0).integers(0, len(space.pairs), 4):
        arch = space.member(0, int(pair))
        cost = count_cost(arch, 32)
        assert space.cost(0, int(pair)) == cost, arch.name


def test_random_members_of_the_whole_space() -> None:
    """Over all depths up to 200, 64 cardinalities and 128 widths; benchmarks/design.py counts 200."""
    space = Space(RESNET50, frozenset({"cardinality", "width", "depth"}))
    assert space.costs.shape == (57, 64 * 128, 4)
    random = np.random.default_rng(1)
    for _ in range(10):
        depth, pair = int(random.integers(57)), int(random.integers(64 * 128))
        arch = space.member(depth, pair)
        assert Architecture.from_name(arch.name) == arch
        assert space.cost(depth, pair) == count_cost(arch), arch.name


def test_a_budget_is_met_by_all_that_are_listed() -> None:
    space = Space(SMALL, frozenset({"cardinality", "width", "depth"}))
    target = count_cost(SMALL)
    budget = Budget(params=target.params, macs=target.macs, tolerance=0.02)
    found = design_networks(space, budget, most=15)
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
    space = Space(part, frozenset({"width"}))
    listed = design_networks(space, Budget(macs=target.macs, tolerance=0.1), most=200)
    assert sorted(d.arch.base_width for d in listed) == widths
    assert widths


def _misses(base: Architecture, width: int, macs: int) -> float:
    return abs(count_cost(replace(base, base_width=width)).macs / macs - 1)


def test_nothing_meets_the_budget() -> None:
    space = Space(SMALL, frozenset({"width"}))
    with pytest.raises(DesignError, match="nearest:") as caught:
        design_networks(space, Budget(params=1000))
    assert str(caught.value).count("\n") == 3
    assert "resnext29_8x1d+template=16" in str(caught.value)


def test_a_sample_is_random_and_under_the_budget() -> None:
    space = Space(SMALL, frozenset({"cardinality", "width", "depth"}))
    budget = Budget(macs=count_cost(SMALL).macs)
    found = sample_networks(space, budget, 40, seed=3)
    assert len({d.arch for d in found}) == 40
    assert all(d.cost.macs <= budget.macs for d in found)
    assert [d.arch for d in sample_networks(space, budget, 40, seed=3)] == [d.arch for d in found]
    assert [d.arch for d in sample_networks(space, budget, 40, seed=4)] != [d.arch for d in found]
    assert len({d.arch.depth for d in found}) > 3
    with pytest.raises(DesignError, match="only 0 networks"):
        sample_networks(space, Budget(params=1), 1)


class Formula(Clock):
    """A machine whose times follow the multiply-adds."""

    def measure(self, archs: Mapping[int, Architecture]) -> dict[int, float]:
        return {key: self.ms(arch) for key, arch in archs.items()}

    def adopt(self, yardstick: Architecture, ms: float) -> None:
        assert ms == self.ms(yardstick)

    @staticmethod
    def ms(arch: Architecture) -> float:
        return 0.2 + 1e-6 * count_cost(arch, 8).macs


def test_networks_for_a_time() -> None:
    base = replace(SMALL, blocks=(1, 1, 1))
    space = Space(base, frozenset({"cardinality", "width"}), 8)
    found = design_networks(space, Budget(latency_ms=4.0), most=3, clock=Formula(base, 8))
    assert len(found) == 3
    assert all(d.latency_ms == pytest.approx(Formula.ms(d.arch)) for d in found)
    assert all(abs(Formula.ms(d.arch) / 4.0 - 1) <= 0.06 for d in found)
    (nearest,) = design_networks(space, Budget(latency_ms=4.0), most=1, clock=Formula(base, 8))
    assert nearest.deviation == min(d.deviation for d in found)
    with pytest.raises(DesignError, match="ms"):
        design_networks(space, Budget(latency_ms=1e-4), most=1, clock=Formula(base, 8))
    # And by this machine's clock, whose times are its own.
    assert design_networks(space, Budget(latency_ms=4.0, latency_tolerance=0.9), most=1)


def test_times_are_told_at_the_pace_of_the_first_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that becomes half as quick, and quick again within a turn, changes no time."""
    paces = iter([(1, 1, 1), (2, 2, 2), (4, 1, 1)])

    def one_pace(calls: dict[str, object], rounds: int) -> dict[str, Timing]:
        assert list(calls) == ["yardstick", "0"]
        pace = next(paces)
        return {name: Timing(tuple(s * p for p in pace)) for name, s in (("yardstick", 0.01), ("0", 0.03))}

    monkeypatch.setattr(latency, "interleave", one_pace)
    clock = Clock(SMALL, 8)
    for drift in (0, 1, 1):
        assert clock.measure({0: SMALL}) == {0: pytest.approx(30)}
        assert clock.drift == pytest.approx(drift)
    clock.adopt(RESNET50, 20.0)  # what was told of it; the second network takes three times as long
    paces = iter([(8, 8, 8)])
    assert clock.measure({0: SMALL}) == {0: pytest.approx(60)}
    assert clock.drift == pytest.approx(3)


@pytest.mark.parametrize(
    "name", ["resnext50_8x4d+transform=multi_resolution", "resnext50_1x111d+transform=separable"]
)
def test_the_review_s_improvements_cost_what_resnext50_does(name: str) -> None:
    target = count_cost(Architecture.from_name("resnext50_32x4d")).macs
    assert abs(count_cost(Architecture.from_name(name)).macs / target - 1) <= 0.03


def test_a_description_is_the_paper_s_table_1() -> None:
    table = describe(Architecture.from_name("resnext50_32x4d"))
    rows = {row.stage: (row.output_px, row.template, row.repeats) for row in table.rows}
    assert rows["stage 1"] == (56, ("1x1, 128", "3x3, 128, C=32", "1x1, 256"), 3)
    assert rows["stage 2"] == (28, ("1x1, 256", "3x3, 256, C=32", "1x1, 512"), 4)
    assert rows["stage 3"] == (14, ("1x1, 512", "3x3, 512, C=32", "1x1, 1024"), 6)
    assert rows["stage 4"] == (7, ("1x1, 1024", "3x3, 1024, C=32", "1x1, 2048"), 3)
    assert table.cost == count_cost(Architecture.from_name("resnext50_32x4d"))
    assert table.cost.params == 25_028_904
    assert json.loads(json.dumps(table.to_json()))["rows"][1]["cost"]["params"] == sum(
        part.cost.params for part in count_parts(Architecture.from_name("resnext50_32x4d"))[1:4]
    )


@pytest.mark.parametrize("transform", BOTTLENECKS)
def test_every_block_is_drawn(transform: str) -> None:
    paths = 1 if transform == "separable" else 32
    arch = replace(Architecture.from_name("resnext50_32x4d"), transform=transform, cardinality=paths)
    root = ElementTree.fromstring(draw_block(arch))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    if transform in FORMS:
        assert texts.count("256, 1x1, 4") == 6  # three paths drawn in (a) and in (b)
        assert "128, 3x3, 128, 32 groups" in texts
        assert "... 32 paths ..." in texts
        assert [t for t in texts if t and t.startswith("(")] == [
            "(a) branches",
            "(b) concatenated",
            "(c) grouped",
        ]
    forms = 3 if transform in FORMS else 1
    assert texts.count("+") == forms + (transform in FORMS)  # the shortcut of each, and the paths of (a)
    assert texts.count("256-d out") == forms
    bare = ElementTree.fromstring(draw_block(replace(arch, shortcut="none")))
    texts = [element.text for element in bare.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("+") == (transform in FORMS)
    assert texts.count("256-d out") == forms
