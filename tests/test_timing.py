"""Calls are timed in turns."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import pytest

from resnext import timing
from resnext.timing import interleave


def test_no_call_always_follows_the_same_other() -> None:
    called: list[str] = []
    interleave({name: lambda name=name: called.append(name) for name in "abc"}, 4)  # type: ignore[misc]
    assert "".join(called) == "abc" + "abc" + "bca" + "cab" + "abc"


def test_short_calls_are_repeated_in_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they take as long as is asked for; what is told is the time of one call."""
    clock, called = [0.0], {"short": 0, "long": 0}

    def call(name: str, seconds: float) -> None:
        clock[0] += seconds
        called[name] += 1

    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    calls = {"short": partial(call, "short", 0.25), "long": partial(call, "long", 4.0)}
    timings = interleave(calls, 3, least_s=1.5)
    assert called == {"short": 2 + 3 * 6, "long": 2 + 3}
    assert timings["short"].seconds == (0.25,) * 3
    assert timings["long"].seconds == (4.0,) * 3
