"""What is made ahead is what would have been made, in its order, by one thread that ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from resnext.data.ahead import ahead


def test_items_come_in_order_and_the_thread_ends() -> None:
    before = threading.active_count()
    assert list(ahead(iter(range(100)), 3)) == list(range(100))
    assert list(ahead(iter(()), 3)) == []
    assert threading.active_count() == before


def test_what_comes_next_is_made_before_it_is_asked_for() -> None:
    made = threading.Semaphore(0)
    seen = []

    def items() -> Iterator[int]:
        for number in range(10):
            seen.append(number)
            made.release()
            yield number

    numbers = ahead(items(), 2)
    assert next(numbers) == 0
    for _ in range(3):  # the one that was asked for, and two ahead
        assert made.acquire(timeout=10)
    numbers.close()
    assert seen == [0, 1, 2]


def test_an_error_comes_in_the_place_of_its_item() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise OSError("the disk is gone")

    numbers = ahead(items(), 2)
    assert next(numbers) == 1
    with pytest.raises(OSError, match="the disk is gone"):
        next(numbers)
    assert list(numbers) == []


def test_a_generator_that_is_closed_early_can_be_closed_by_its_maker() -> None:
    def items() -> Iterator[int]:
        yield from range(1000)

    source = items()
    numbers = ahead(source, 2)
    assert next(numbers) == 0
    numbers.close()
    assert next(source) in (1, 2, 3)  # no thread has it, or this would raise
