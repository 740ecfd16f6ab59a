"""Long work reported as events: a generator that yields its progress and returns its result.

Standard library only.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from typing import Generic, TypeVar

Event = TypeVar("Event")
Result = TypeVar("Result")


class EventStream(Generic[Event, Result]):
    """The events of a generator, and what it returned once they are over.

    Args:
        work: A generator that yields events and returns a result.

    >>> def count(n):
    ...     yield from range(n)
    ...     return f"counted to {n}"
    >>> stream = EventStream(count(2))
    >>> list(stream), stream.result
    ([0, 1], 'counted to 2')
    """

    def __init__(self, work: Generator[Event, None, Result]) -> None:
        self._work = work
        self.result: Result

    def __iter__(self) -> Iterator[Event]:
        self.result = yield from self._work


def ignore(event: object) -> None:
    """Do nothing with an event."""


def run_to_end(work: Generator[Event, None, Result], on_event: Callable[[Event], object] = ignore) -> Result:
    """The result of `work`; `on_event` is called with each of its events."""
    stream = EventStream(work)
    for event in stream:
        on_event(event)
    return stream.result
