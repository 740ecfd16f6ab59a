"""`Batcher`: one thread that computes what waits, as many images at once as there are."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Taken = TypeVar("Taken", contravariant=True)
Given = TypeVar("Given", covariant=True)
#: Longest time of a batch, unless said otherwise, and most items of the first, whose time is not known.
LONGEST_S, FIRST = 0.5, 4
#: Weight of the newest batch in the mean time of an image.
NEWEST = 0.2


class Computes(Protocol[Taken, Given]):
    """What computes items of one kind together, such as a network."""

    def compute(self, items: Sequence[Taken]) -> Sequence[Given]:
        """The answer to each of `items`, in order."""


class Batches(Protocol[Item, Answer]):
    """What computes items of many requests together."""

    @property
    def seconds_each(self) -> float:
        """Mean time of an item of late; 0 before the first."""

    def submit(self, computer: Computes[Item, Answer], item: Item) -> Future[Answer] | asyncio.Future[Answer]:
        """The answer to `item` in the future."""

    def close(self) -> None:
        """Compute what waits, then end."""


@dataclass(frozen=True)
class _Waiting(Generic[Item, Answer]):
    computer: Computes[Item, Answer]
    item: Item
    since: float = field(default_factory=time.monotonic)
    future: Future[Answer] = field(default_factory=Future)


class Batcher(Generic[Item, Answer]):
    """Computes items in one thread, in the order in which they come.

    When the thread is free it takes all items that wait for the same computer as the oldest, up to `size`. It
    takes them from a queue without the help of any other thread, so that it rests only while nothing waits.
    A batch has no more items than take about `longest_s` at the pace of late: more would be no faster where
    one item takes long, and whoever comes next, or wants to stop, would wait.

    Args:
        size: Most items of a batch.
        wait_s: How long the oldest item waits for others while the thread is free and its batch is not full;
            0 begins at once. Larger values suit devices that compute a large batch as fast as a small one.
        longest_s: Longest time of a batch.
        on_batch: Called in the thread with the number of items and the seconds that they took.

    >>> class Doubling:
    ...     def compute(self, items):
    ...         return [2 * item for item in items]
    >>> batcher, doubling = Batcher(8), Doubling()
    >>> futures = [batcher.submit(doubling, number) for number in range(3)]
    >>> [future.result() for future in futures]
    [0, 2, 4]
    >>> batcher.close()
    """

    def __init__(
        self,
        size: int,
        wait_s: float = 0.0,
        on_batch: Callable[[int, float], object] = lambda *_: None,
        longest_s: float = LONGEST_S,
    ) -> None:
        self.longest_s = longest_s
        self.size = size
        self.wait_s = wait_s
        self._on_batch = on_batch
        self._seconds_each = 0.0
        self._waiting: deque[_Waiting[Item, Answer]] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def seconds_each(self) -> float:
        """Mean time of an item of late; 0 before the first."""
        return self._seconds_each

    @property
    def most(self) -> int:
        """Most items of the next batch."""
        if not self._seconds_each:
            return min(self.size, FIRST)
        return max(1, min(self.size, int(self.longest_s / self._seconds_each)))

    def submit(self, computer: Computes[Item, Answer], item: Item) -> Future[Answer]:
        """The answer to `item` in the future. What is cancelled before its batch begins is not computed.

        Raises:
            RuntimeError: The batcher is closed.
        """
        waiting = _Waiting(computer, item)
        with self._changed:
            if self._is_closed:
                raise RuntimeError("the batcher is closed")
            self._waiting.append(waiting)
            self._changed.notify()
        return waiting.future

    def close(self) -> None:
        """Compute what waits, then end the thread."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while (batch := self._take()) is not None:
            begun = [one for one in batch if one.future.set_running_or_notify_cancel()]
            if begun:
                self._compute(begun)

    def _take(self) -> list[_Waiting[Item, Answer]] | None:
        """The next batch, once there is one; None when the batcher is closed and nothing waits."""
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return None
                self._changed.wait()
            until = self._waiting[0].since + self.wait_s
            most = self.most
            while len(self._waiting) < most and not self._is_closed:
                if (left := until - time.monotonic()) <= 0:
                    break
                self._changed.wait(left)
            computer = self._waiting[0].computer
            batch: list[_Waiting[Item, Answer]] = []
            others: deque[_Waiting[Item, Answer]] = deque()
            for one in self._waiting:
                (batch if one.computer is computer and len(batch) < most else others).append(one)
            self._waiting = others
            return batch

    def _compute(self, batch: list[_Waiting[Item, Answer]]) -> None:
        start = time.perf_counter()
        try:
            answers = batch[0].computer.compute([one.item for one in batch])
        except BaseException as error:  # it is raised where the answer is awaited, and the thread goes on
            for one in batch:
                one.future.set_exception(error)
            return
        seconds = time.perf_counter() - start
        each = seconds / len(batch)
        self._seconds_each += (NEWEST if self._seconds_each else 1.0) * (each - self._seconds_each)
        self._on_batch(len(batch), seconds)
        for one, answer in zip(batch, answers, strict=True):
            one.future.set_result(answer)
