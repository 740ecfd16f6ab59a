"""Where the time of a training goes, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from resnext.run.timed_loader import TimedLoader, WaitTimes


def test_reading_and_delivering_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("resnext.run.timed_loader.time.perf_counter", lambda: clock[0])

    def take(seconds: float, items: Iterator[int]) -> Iterator[int]:
        for item in items:
            clock[0] += seconds
            yield item

    loader = TimedLoader(take(3, iter(range(2))), lambda batches: take(2, batches))
    for _ in loader.time_preparation(take(7, iter([0]))):
        clock[0] += 100  # not spent waiting
    next(loader)
    assert loader.waits == WaitTimes(10, 2)
    clock[0] += 100
    next(loader)
    assert loader.waits == WaitTimes(13, 4)
    assert loader.waits.text(100) == "13 % waiting for images, 4 % for their transfer"
