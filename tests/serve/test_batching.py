"""Batches: order, sizes, what is cancelled, and that nothing waits while the engine is free."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

import pytest

from resnext.serve.batching import Batcher


class Gate:
    """Doubles numbers once it is opened, and notes its batches."""

    def __init__(self) -> None:
        self.begun, self.open = threading.Event(), threading.Event()
        self.batches: list[list[int]] = []

    def compute(self, items: Sequence[int]) -> list[int]:
        self.batches.append(list(items))
        self.begun.set()
        assert self.open.wait(10)
        if -1 in items:
            raise ValueError("a bug")
        return [2 * item for item in items]


def test_what_came_while_a_batch_was_computed_is_the_next_batch() -> None:
    gate, batcher = Gate(), Batcher[int, int](size=3)
    first = batcher.submit(gate, 0)
    assert gate.begun.wait(10)  # an image alone does not wait for others
    rest = [batcher.submit(gate, number) for number in range(1, 6)]
    gate.open.set()
    assert [one.result(10) for one in (first, *rest)] == [0, 2, 4, 6, 8, 10]
    batcher.close()
    assert gate.batches == [[0], [1, 2, 3], [4, 5]]
    assert batcher.seconds_each > 0
    with pytest.raises(RuntimeError, match="closed"):
        batcher.submit(gate, 1)


def test_each_computer_gets_its_own_items_in_the_order_of_the_oldest() -> None:
    gate, one, other, batcher = Gate(), Gate(), Gate(), Batcher[int, int](size=8)
    batcher.submit(gate, 0)
    assert gate.begun.wait(10)
    futures = [batcher.submit(computer, n) for n, computer in enumerate([one, other, one, other, one])]
    for each in (gate, one, other):
        each.open.set()
    assert [future.result(10) for future in futures] == [0, 2, 4, 6, 8]
    batcher.close()
    assert (one.batches, other.batches) == ([[0, 2, 4]], [[1, 3]])


def test_what_is_cancelled_is_not_computed_and_an_error_ends_one_batch_only() -> None:
    gate, batcher = Gate(), Batcher[int, int](size=2)
    batcher.submit(gate, 0)
    assert gate.begun.wait(10)
    cancelled, bad, with_it, good = (batcher.submit(gate, number) for number in (7, -1, 1, 2))
    assert cancelled.cancel()
    gate.open.set()
    for future in (bad, with_it):
        if future is bad:
            with pytest.raises(ValueError, match="a bug"):
                future.result(10)
    assert good.result(10) == 4
    batcher.close()
    assert all(7 not in batch for batch in gate.batches)


def test_with_a_wait_the_first_image_waits_for_a_full_batch() -> None:
    gate, batcher = Gate(), Batcher[int, int](size=3, wait_s=60)
    gate.open.set()
    futures = [batcher.submit(gate, number) for number in range(3)]
    assert [one.result(10) for one in futures] == [0, 2, 4]
    late = batcher.submit(gate, 5)
    batcher.close()  # nothing more comes: it is computed at once
    assert late.result(0) == 10
    assert gate.batches == [[0, 1, 2], [5]]


def test_closing_computes_what_waits() -> None:
    gate, batcher = Gate(), Batcher[int, int](size=1)
    futures = [batcher.submit(gate, number) for number in range(5)]
    gate.open.set()
    batcher.close()
    assert [one.result(0) for one in futures] == [0, 2, 4, 6, 8]


def test_a_batch_is_no_longer_than_it_may_take() -> None:
    class Slow(Gate):
        def compute(self, items: Sequence[int]) -> list[int]:
            answers = super().compute(items)
            time.sleep(0.02 * len(items))
            return answers

    slow, batcher = Slow(), Batcher[int, int](size=100, longest_s=0.06)
    slow.open.set()
    futures = [batcher.submit(slow, number) for number in range(12)]
    assert [one.result(10) for one in futures] == [2 * number for number in range(12)]
    batcher.close()
    assert max(map(len, slow.batches[1:])) <= 3
    assert Batcher[int, int](size=100).most == 4  # the pace is not known yet
