"""Times of networks on this machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from resnext.arch import Architecture
from resnext.design import (
    LatencyMeter,
    latency,
)
from resnext.timing import Timing

RESNET50 = Architecture.from_name("resnet50")
SMALL = Architecture.from_name("resnext29_8x4d+template=16", 10)


def test_times_are_given_at_the_pace_of_the_fastest_of_the_first_turns(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that is busy at first, becomes half as quick later, and quick again within a turn, changes no
    time."""
    alone = iter([(9, 8, 9), (1, 1, 1), (30, 30, 1), (2, 1, 2), (1.5, 1.5, 1.5)])
    paces = iter([(1, 1, 1), (2, 2, 2), (4, 1, 1)])

    def one_pace(calls: dict[str, object], rounds: int, least_s: float) -> dict[str, Timing]:
        pace = next(alone if list(calls) == ["yardstick"] else paces)
        seconds = {"yardstick": 0.01, "0": 0.03}
        return {name: Timing(tuple(seconds[name] * p for p in pace)) for name in calls}

    monkeypatch.setattr(latency, "interleave", one_pace)
    monkeypatch.setattr(latency, "PATIENCE_S", 0.0)
    meter = LatencyMeter(SMALL, 8)
    for drift in (0, 1, 1):
        assert meter.measure({0: SMALL}) == {0: pytest.approx(30)}
        assert meter.drift == pytest.approx(drift)
    assert next(alone, None) is None
    meter.adopt(RESNET50, 20.0)  # what was measured of it; the second network takes three times as long
    paces = iter([(8, 8, 8)])
    assert meter.measure({0: SMALL}) == {0: pytest.approx(60)}
    assert meter.drift == pytest.approx(3)


def test_a_turn_at_another_pace_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the pace is that of the reference again, or patience is at an end; the nearest turn counts."""
    paces, pauses = iter([1.0] * 5 + [1.5, 1.6, 1.1] + [2.0, 1.4, 1.5, 9.0]), list[float]()

    def read(calls: dict[str, object], rounds: int, least_s: float) -> dict[str, Timing]:
        pace = next(paces)
        # what is timed is slowed down less than the yardstick, so the turn that counts can be told
        seconds = {"yardstick": 0.01 * pace, "0": 0.03}
        return {name: Timing((seconds[name],)) for name in calls}

    monkeypatch.setattr(latency, "interleave", read)
    monkeypatch.setattr(latency, "time", SimpleNamespace(sleep=pauses.append))
    monkeypatch.setattr(latency, "PATIENCE_S", 4 * latency.PAUSE_S)
    meter = LatencyMeter(SMALL, 8)
    assert meter.measure({0: SMALL}) == {0: pytest.approx(30 / 1.1)}
    assert meter.drift == pytest.approx(0.1)
    assert meter.measure({0: SMALL}) == {0: pytest.approx(30 / 1.4)}
    assert meter.drift == pytest.approx(0.4)
    assert pauses == [latency.PAUSE_S] * 4
    assert next(paces) == 9.0


def test_what_is_timed_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to eight networks in a turn, each with one image of its size, fifteen times,
    for five milliseconds or more each time."""
    turns: list[dict[str, tuple[int, ...]]] = []

    def note(calls: dict[str, Any], rounds: int, least_s: float) -> dict[str, Timing]:
        assert (rounds, least_s) == (15, 0.005)
        turns.append({name: tuple(call.args[0].shape) for name, call in calls.items()})
        return {name: Timing((0.01,)) for name in calls}

    monkeypatch.setattr(latency, "interleave", note)
    assert list(LatencyMeter(SMALL).measure(dict.fromkeys(range(17), SMALL))) == list(range(17))
    alone = [{"yardstick": (1, 3, 32, 32)}] * 5
    together = [[*map(str, range(8))], [*map(str, range(8, 16))], ["16"]]
    assert turns == alone + [dict.fromkeys(["yardstick", *names], (1, 3, 32, 32)) for names in together]
    turns.clear()
    LatencyMeter(SMALL, 8, images=2).measure({0: SMALL})
    assert {shape for turn in turns for shape in turn.values()} == {(2, 3, 8, 8)}
