"""Times of networks on this machine."""

from __future__ import annotations

import pytest

from resnext.arch import Architecture
from resnext.design import (
    LatencyMeter,
    latency,
)
from resnext.timing import Timing

RESNET50 = Architecture.from_name("resnet50")
SMALL = Architecture.from_name("resnext29_8x4d+template=16", 10)


def test_times_are_given_at_the_pace_of_the_first_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that becomes half as quick, and quick again within a turn, changes no time."""
    paces = iter([(1, 1, 1), (2, 2, 2), (4, 1, 1)])

    def one_pace(calls: dict[str, object], rounds: int) -> dict[str, Timing]:
        assert list(calls) == ["yardstick", "0"]
        pace = next(paces)
        return {name: Timing(tuple(s * p for p in pace)) for name, s in (("yardstick", 0.01), ("0", 0.03))}

    monkeypatch.setattr(latency, "interleave", one_pace)
    meter = LatencyMeter(SMALL, 8)
    for drift in (0, 1, 1):
        assert meter.measure({0: SMALL}) == {0: pytest.approx(30)}
        assert meter.drift == pytest.approx(drift)
    meter.adopt(RESNET50, 20.0)  # what was measured of it; the second network takes three times as long
    paces = iter([(8, 8, 8)])
    assert meter.measure({0: SMALL}) == {0: pytest.approx(60)}
    assert meter.drift == pytest.approx(3)
