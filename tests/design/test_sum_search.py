"""Networks for a time, found by sums of their parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import resnext
from resnext.arch import Architecture
from resnext.cost import count_cost, count_parts
from resnext.design import (
    Budget,
    DesignError,
    DesignSpace,
    EngineMeter,
    design_networks,
    latency_search,
    time_designs,
)
from resnext.design.latency import Call
from resnext.design.space import MEASURES
from resnext.design.sum_search import PartSums

BASE = Architecture.from_name("resnext20_8x4d+template=16", 10)
SPACE = DesignSpace(BASE, frozenset({"cardinality", "width"}), 16)


class MadeUp(EngineMeter):
    """A library that is slow where a path's width is odd, and whose networks take `share` of the sum of their
    parts."""

    share = 0.7

    def __init__(self) -> None:
        super().__init__(BASE, "made-up", self._never, 16)
        self.asked: list[Architecture] = []
        self.built: list[Architecture] = []

    @staticmethod
    def _never(*_: object) -> Call:
        raise AssertionError("nothing is built")

    def part_ms(self, arch: Architecture) -> dict[str, float]:
        self.asked.append(arch)
        return self._parts_of(arch)

    def measure(self, things: Mapping[int, Architecture]) -> dict[int, float]:
        self.built += things.values()
        return {key: self.ms(arch) for key, arch in things.items()}

    def adopt(self, yardstick: Architecture, ms: float) -> None:
        assert ms == self.ms(yardstick)

    def ms(self, arch: Architecture) -> float:
        return self.share * sum(self._parts_of(arch).values())

    @staticmethod
    def _parts_of(arch: Architecture) -> dict[str, float]:
        slow = 3.0 if arch.base_width % 2 else 1.0
        return {
            part.name: 0.05 + (slow if part.name.startswith("layer") else 1.0) * 1e-6 * part.cost.macs
            for part in count_parts(arch, 16)
        }


def test_a_member_that_was_timed_takes_the_sum_of_its_parts() -> None:
    """Whatever its depth; and one that was not follows from its costs and its nearest neighbour."""
    space = DesignSpace(BASE, frozenset({"cardinality", "width", "depth"}), 16, (1, 8))
    sums, meter = PartSums(space), MadeUp()
    for pair in (3, 40, 131, 200):
        sums.learn(pair, meter.part_ms(sums.sample(pair)))
        assert sums.knows(pair)
    predicted = sums.predict()
    assert predicted.shape == space.costs.shape[:2]
    for depth in (0, 3, 10):
        for pair in (3, 40, 131, 200):
            whole = sum(meter._parts_of(space.member(depth, pair)).values())
            assert predicted[depth, pair] == pytest.approx(whole)
    near = sum(meter._parts_of(space.member(3, 42)).values())
    assert predicted[3, 42] == pytest.approx(near, rel=0.2)
    assert not sums.knows(42)
    assert (predicted > 0).all()


def test_networks_for_a_time_in_an_engine() -> None:
    meter = MadeUp()
    found = design_networks(SPACE, Budget(latency_ms=20.0), limit=3, meter=meter)
    assert len(found) == 3
    assert all(abs(meter.ms(d.arch) / 20.0 - 1) <= 0.06 for d in found)
    assert [d.latency_ms for d in found] == pytest.approx([meter.ms(d.arch) for d in found])
    pairs = [(arch.cardinality, arch.base_width) for arch in meter.asked]
    assert len(pairs) == len(set(pairs))  # each is timed once
    assert len({*meter.built}) < len(pairs) < len(SPACE.pairs) / 50
    # None is much larger than what was looked for, though the space has such.
    assert max(meter.ms(arch) for arch in meter.asked) < 10 * 20.0


def test_what_is_built_corrects_the_sums() -> None:
    """All but the first network, the smallest, are chosen by the corrected sums, and so are near."""
    meter = MadeUp()
    design_networks(SPACE, Budget(latency_ms=20.0), limit=4, meter=meter)
    first, *others = dict.fromkeys(meter.built)
    assert count_cost(first, 16).macs == SPACE.costs[:, :, MEASURES.index("macs")].min()
    assert np.median([abs(meter.ms(arch) / 20.0 - 1) for arch in others]) < 0.05


class SlowCalls(MadeUp):
    """An engine that takes as long to call as a small network to compute, part by part or as a whole."""

    call_ms = 2.0

    def part_ms(self, arch: Architecture) -> dict[str, float]:
        return {name: ms + self.call_ms for name, ms in super().part_ms(arch).items()}

    def ms(self, arch: Architecture) -> float:
        return super().ms(arch) + self.call_ms


def test_calls_of_parts_that_take_longer_than_the_parts() -> None:
    meter = SlowCalls()
    found = design_networks(SPACE, Budget(latency_ms=20.0), limit=2, meter=meter)
    assert len(found) == 2
    assert all(abs(meter.ms(d.arch) / 20.0 - 1) <= 0.06 for d in found)


@pytest.mark.parametrize("drift", [0.49, 0.51])
def test_an_engine_on_a_busy_machine(drift: float) -> None:
    meter = MadeUp()
    meter.drift = drift
    if drift < latency_search.MAX_DRIFT:
        assert design_networks(SPACE, Budget(latency_ms=20.0), limit=1, meter=meter)
        return
    with pytest.raises(DesignError, match=r"pace changed by 51 %"):
        design_networks(SPACE, Budget(latency_ms=20.0), limit=1, meter=meter)


def test_no_network_is_so_fast() -> None:
    with pytest.raises(DesignError, match="nearest:"):
        design_networks(SPACE, Budget(latency_ms=1e-3), limit=1, meter=MadeUp())


@pytest.mark.parametrize("engine", ["onnx", pytest.param("openvino-int8", marks=pytest.mark.slow)])
def test_by_the_clock_of_this_machine(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy it is."""
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path))
    monkeypatch.setattr(latency_search, "MAX_DRIFT", float("inf"))
    base = replace(BASE, blocks=(1, 1, 1))
    space = DesignSpace(base, frozenset({"width"}), 8, (2,), range(2, 5))
    meter = resnext.latency_meter(base, engine, size_px=8)
    found = design_networks(space, Budget(latency_ms=1.0, latency_tolerance=1e6), limit=1, meter=meter)
    assert found[0].latency_ms
    assert found[0].latency_ms > 0
    [again] = time_designs(found, meter)
    assert again.latency_ms
