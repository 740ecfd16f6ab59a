"""Batches of the training loop, with the time it waited for them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class WaitTimes:
    """Seconds that training waited: for images to be read and decoded, and for their transfer to the
    device."""

    data_s: float = 0.0
    transfer_s: float = 0.0

    def __add__(self, other: WaitTimes) -> WaitTimes:
        return WaitTimes(self.data_s + other.data_s, self.transfer_s + other.transfer_s)

    def __sub__(self, other: WaitTimes) -> WaitTimes:
        return WaitTimes(self.data_s - other.data_s, self.transfer_s - other.transfer_s)

    @property
    def total_s(self) -> float:
        return self.data_s + self.transfer_s

    def text(self, seconds: float) -> str:
        """The shares of `seconds`, for people."""
        data, transfer = 100 * self.data_s / seconds, 100 * self.transfer_s / seconds
        return f"{data:.0f} % waiting for images, {transfer:.0f} % for their transfer"


class TimedIterator(Iterator[T]):
    """`items`, and the total `seconds` that were spent waiting for them."""

    def __init__(self, items: Iterator[T]) -> None:
        self.items = items
        self.seconds = 0.0

    def __next__(self) -> T:
        start = time.perf_counter()
        try:
            return next(self.items)
        finally:
            self.seconds += time.perf_counter() - start


class TimedLoader(Iterator[T]):
    """Batches that `to_device` turns into the network's input, with the time that is spent waiting for them.

    On a GPU the transfer continues while the host goes on, so that only the host's part of it is counted.
    """

    def __init__(self, batches: Iterator[Any], to_device: Callable[[Iterator[Any]], Iterator[T]]) -> None:
        self._read = TimedIterator(batches)
        self._delivered = TimedIterator(to_device(self._read))
        self._preparation: TimedIterator[Any] = TimedIterator(iter(()))

    def time_preparation(self, work: Iterator[R]) -> Iterator[R]:
        """`work`, which comes before the first batch; its time counts as waiting for data."""
        self._preparation = preparation = TimedIterator(work)
        return preparation

    def __next__(self) -> T:
        return next(self._delivered)

    @property
    def waits(self) -> WaitTimes:
        """The times since the loader was made."""
        return WaitTimes(
            self._preparation.seconds + self._read.seconds, self._delivered.seconds - self._read.seconds
        )
