"""Calls timed in turns, each in a process of its own.

Engines keep threads that spin while they wait for the next call. Where several engines share a process, those
of one take the cores from the next one, and all of them seem slower than to a user, who has one.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

from resnext.timing import Timing, repeats_for

#: Processes that share no threads with this one.
SPAWN = multiprocessing.get_context("spawn")
#: Seconds in which the threads of the last call come to rest, and that a turn takes at least: a call that is
#: shorter is repeated, so that the wakening of cores is no large part of it.
REST_S, LEAST_S = 0.1, 0.1

Call = Callable[[Any], object]


class OwnProcess:
    """A call in a process of its own.

    Args:
        make: Makes the call, in that process; it must be picklable.
    """

    def __init__(self, make: Callable[[], Call]) -> None:
        self._pipe, there = SPAWN.Pipe()
        self._process = SPAWN.Process(target=_serve, args=(make, there), daemon=True)
        self._process.start()
        there.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: TracebackType | None) -> None:
        self._process.terminate()
        self._process.join()

    def seconds(self, given: object) -> float:
        """Seconds of a call, after one that brings its weights back into the caches."""
        time.sleep(REST_S)
        self._pipe.send(given)
        seconds: float = self._pipe.recv()
        return seconds


def _serve(make: Callable[[], Call], pipe: Connection) -> None:
    call = make()
    while True:
        given = pipe.recv()
        call(given)
        repeats = repeats_for(partial(call, given), LEAST_S)
        start = time.perf_counter()
        for _ in range(repeats):
            call(given)
        pipe.send((time.perf_counter() - start) / repeats)


def in_turns(processes: Mapping[str, OwnProcess], given: object, rounds: int) -> dict[str, Timing]:
    """Times of each, one in a round, after one call of each that does not count."""
    names = list(processes)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for process in processes.values():
        process.seconds(given)
    for number in range(rounds):
        start = number % len(names)
        for name in (*names[start:], *names[:start]):
            seconds[name].append(processes[name].seconds(given))
    return {name: Timing(tuple(own)) for name, own in seconds.items()}
