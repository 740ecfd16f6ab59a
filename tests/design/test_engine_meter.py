"""Times of networks and of their parts in an engine, which is made up here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from resnext.arch import Architecture
from resnext.cost import count_parts
from resnext.design import EngineMeter, latency
from resnext.design.parts import cut_parts, network_for_timing
from resnext.timing import Timing

SMALL = Architecture.from_name("resnext20_4x4d+template=8", 10)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESNEXT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


class MadeUpCall:
    """Takes a millisecond for each 1000 parameters."""

    def __init__(self, module: nn.Module) -> None:
        self.ms = sum(one.numel() for one in module.parameters()) / 1000

    def __call__(self) -> None:
        raise AssertionError("no clock is looked at")


class MadeUpEngine:
    """Builds calls, and notes of what."""

    def __init__(self) -> None:
        self.built: list[tuple[str, tuple[int, ...]]] = []

    def __call__(self, module: nn.Module, pixels: Tensor) -> MadeUpCall:
        self.built.append((str(module), tuple(pixels.shape)))
        return MadeUpCall(module)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> MadeUpEngine:
    def read(calls: dict[str, MadeUpCall], rounds: int, least_s: float) -> dict[str, Timing]:
        return {name: Timing((call.ms / 1000,) * rounds) for name, call in calls.items()}

    monkeypatch.setattr(latency, "interleave", read)
    return MadeUpEngine()


def test_parts_are_those_that_costs_are_counted_for() -> None:
    """And one after the other they are the network."""
    parts, counted = cut_parts(SMALL, 16), count_parts(SMALL, 16)
    assert list(parts) == [part.name for part in counted]
    assert [part.shape for part in parts.values()][1:] == [part.output for part in counted][:-1]
    images = torch.randn(2, 3, 16, 16)
    values = images
    for part in parts.values():
        values = part.module(values)
    torch.testing.assert_close(values, network_for_timing(SMALL)(images))


def test_each_distinct_part_is_timed_once(engine: MadeUpEngine) -> None:
    meter = EngineMeter(SMALL, "made-up", engine, 16, images=3)
    ms = meter.part_ms(SMALL)
    assert ms.keys() == cut_parts(SMALL, 16).keys()
    assert ms == {
        name: pytest.approx(MadeUpCall(part.module).ms) for name, part in cut_parts(SMALL, 16).items()
    }
    assert all(shape[0] == 3 for _, shape in engine.built)
    yardstick, *timed = sorted(Counter(engine.built).values(), reverse=True)
    assert (yardstick, {*timed}) == (2, {1})  # one block is the yardstick too
    before = len(engine.built)
    deeper = replace(SMALL, blocks=tuple(2 * blocks for blocks in SMALL.blocks))
    again = meter.part_ms(deeper)
    assert all(again[name] == ms[name] for name in ms)
    wider = meter.part_ms(replace(SMALL, base_width=8))
    new = {module for module, _ in engine.built[before:]}
    known = {module for module, _ in engine.built[:before]}
    assert wider["stem"] == ms["stem"]
    assert new
    assert not new & known


def test_parts_are_kept_by_engine_batch_and_size(engine: MadeUpEngine, cache: Path) -> None:
    first = EngineMeter(SMALL, "made-up", engine, 16).part_ms(SMALL)
    built = len(engine.built)
    assert EngineMeter(SMALL, "made-up", engine, 16).part_ms(SMALL) == first
    assert len(engine.built) == built
    others: list[Callable[[], EngineMeter]] = [
        lambda: EngineMeter(SMALL, "another", engine, 16),
        lambda: EngineMeter(SMALL, "made-up", engine, 16, images=2),
        lambda: EngineMeter(SMALL, "made-up", engine, 24),
    ]
    for other in others:
        other().part_ms(SMALL)
        assert len(engine.built) > built
        built = len(engine.built)
    (cache / "parts.json").write_text("{")
    EngineMeter(SMALL, "made-up", engine, 16).part_ms(SMALL)
    assert len(engine.built) > built


def test_networks_are_built_once_while_a_search_needs_them(engine: MadeUpEngine) -> None:
    meter = EngineMeter(SMALL, "made-up", engine, 16)
    wide = replace(SMALL, base_width=8)
    found = meter.measure({3: SMALL, 5: wide})
    assert found == {
        key: pytest.approx(MadeUpCall(network_for_timing(arch)).ms) for key, arch in ((3, SMALL), (5, wide))
    }
    meter.adopt(wide, found[5])
    assert meter.measure({3: SMALL, 5: wide}) == {key: pytest.approx(ms) for key, ms in found.items()}
    assert len(engine.built) == 2


def test_progress_ends_where_it_was_expected_to(engine: MadeUpEngine) -> None:
    seen: list[tuple[int, int, float]] = []
    meter = EngineMeter(SMALL, "made-up", engine, 16, progress=lambda *words: seen.append(words))
    meter.measure({n: replace(SMALL, base_width=n) for n in (4, 5, 6)})
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)
    assert {total for _, total, _ in seen} == {seen[-1][0]}
    assert seen[-1][2] == 0
    assert seen[0][2] > 0
