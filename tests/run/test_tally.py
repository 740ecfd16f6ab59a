"""Where the time of a training goes, by a clock that the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest

from resnext.run.saving import Every, Saver
from resnext.run.tally import Supply
from resnext.training.loop import State


def test_reading_and_delivering_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("resnext.run.tally.time.perf_counter", lambda: clock[0])

    def take(seconds: float, items: Iterator[int]) -> Iterator[int]:
        for item in items:
            clock[0] += seconds
            yield item

    supply = Supply(take(3, iter(range(2))), lambda batches: take(2, batches))
    for _ in supply.prepared(take(7, iter([0]))):
        clock[0] += 100  # not spent waiting
    next(supply)
    assert (supply.data_s, supply.transfer_s) == (10, 2)
    assert supply.take() == (10, 2)
    clock[0] += 100
    next(supply)
    assert supply.take() == (3, 2)


def test_a_save_is_due_after_so_much_time_or_so_many_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [50.0]
    monkeypatch.setattr("resnext.run.saving.time.monotonic", lambda: clock[0])

    class Steps:
        step = 4

    state, nowhere = Steps(), cast(Any, None)
    by_time = Saver(cast(State, state), nowhere, Every.parse("90s"), leads=True)
    by_steps = Saver(cast(State, state), nowhere, Every.parse("3"), leads=True)
    clock[0], state.step = 139.0, 6
    assert (by_time.is_due(), by_steps.is_due()) == (False, False)
    clock[0], state.step = 140.0, 7
    assert (by_time.is_due(), by_steps.is_due()) == (True, True)
