"""The rendezvous of the processes of a group, and the messages they exchange, through the shared store.

A collective operation waits silently for a process that does not come. So what the processes must agree on
before they train, and the reason why one of them ended, goes through the store, where a missing process is
named within a minute.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import socket
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from torch.distributed import PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from resnext.errors import ResnextError
from resnext.training import heartbeat, launcher
from resnext.training.heartbeat import (
    FAILURE,
    Heartbeat,
    LivenessTimeout,
    OnPeerLost,
    PeerFailed,
    PeerLost,
    read_end,
    read_text,
    store_errors_as_peer_lost,
    write_end,
)

T = TypeVar("T")

#: Numbers the groups that this process joins one after the other (a program may train, then evaluate).
_group_numbers = itertools.count()


class PeersDiffer(ResnextError):
    """The processes were not started alike; the message names what differs and where."""

    exit_code = 2


class Rendezvous:
    """The meeting of the process `rank` with the others of a group of `size`.

    Raises `PeerLost` if the store cannot be reached, and `LaunchError` if the launcher does not say where it
    is.
    """

    def __init__(self, rank: int, size: int, on_peer_lost: OnPeerLost) -> None:
        self.rank, self.size = rank, size
        number = next(_group_numbers)
        self._store = _connect(rank, number)
        self._heartbeat = Heartbeat(rank, size, _connect(rank, number), on_peer_lost)
        self._has_joined = False
        self._messages = itertools.count(1)

    def start(self) -> None:
        self._heartbeat.start()

    def stop(self) -> None:
        self._heartbeat.stop()

    def announce_end(self, error: BaseException) -> None:
        """Tell the others why this process ends before them.

        If the store ends with this process, wait so that they can read it.
        """
        with contextlib.suppress(RuntimeError):  # the store is gone with its process
            end = write_end(self._store, self.rank, error)
            if not end.is_resumable:
                if not isinstance(error, PeerFailed):  # the process that it names has left the message
                    self._store.set(FAILURE, f"rank {self.rank} has failed: {end.why}")
                if self.rank == 0 and not launcher.has_agent_store():
                    time.sleep(2 * heartbeat.BEAT_S)

    @property
    def suspect(self) -> str:
        """The process that has been silent for a while, as a sentence."""
        return self._heartbeat.suspect

    def find_failure(self) -> str:
        """The message of a process that ended with an error which a resumed run would meet again, if any."""
        if self._heartbeat.failure:
            return self._heartbeat.failure
        with contextlib.suppress(RuntimeError):  # the store is gone with its process
            return read_text(self._store, FAILURE)
        return ""

    def check_equal(self, facts: dict[str, str]) -> None:
        """Raises `PeersDiffer` if `facts` differ between processes, `PeerLost` if one does not answer."""
        own = {"host": socket.gethostname()} | facts
        collect = self._collect if self._has_joined else self._join
        heard = collect(own)
        if problem := self.broadcast_object(lambda: differences(heard)):
            raise PeersDiffer("the processes were not started alike", *problem)

    def broadcast_object(self, make: Callable[[], T]) -> T:
        """The result of `make` on rank 0, for all processes; see `ProcessGroup.broadcast_object`."""
        key = f"shared/{next(self._messages)}"
        if self.rank == 0:
            self._store.set(key, json.dumps(make()))
        value: T = json.loads(self._wait(key, 0))
        return value

    def store(self, timeout: timedelta) -> Store:
        """A part of the store for torch.distributed, which nothing here writes to."""
        store = PrefixStore("group", self._store)
        store.set_timeout(timeout)
        return store

    def _join(self, own: dict[str, str]) -> list[dict[str, str]]:
        """The facts of all processes on rank 0, and an empty list elsewhere, once all have come."""
        token, heard = self._call_roll(own) if self.rank == 0 else (self._answer_roll(own), [])
        self._store = PrefixStore(token, self._store)
        self._heartbeat.messages = PrefixStore(token, self._heartbeat.store)
        self._has_joined = True
        return heard

    def _collect(self, own: dict[str, str]) -> list[dict[str, str]]:
        """As `_join`, for processes that have joined before."""
        number = next(self._messages)
        if self.rank > 0:
            self._store.set(f"facts/{number}/{self.rank}", json.dumps(own))
            return []
        others = range(1, self.size)
        return [own, *(json.loads(self._wait(f"facts/{number}/{rank}", rank)) for rank in others)]

    def _call_roll(self, own: dict[str, str]) -> tuple[str, list[dict[str, str]]]:
        """Rank 0: receive the facts of all others, and hand out one token.

        Dead processes of an earlier start may have left facts in the store. They are answered too, but only
        living processes acknowledge the token, and keys under it belong to this start alone.
        """
        token, heard = uuid.uuid4().hex, [own] + [{}] * (self.size - 1)
        missing = set(range(1, self.size))
        timeouts: dict[int, LivenessTimeout] = {}
        while missing:
            for rank in sorted(missing):
                try:
                    timeouts.setdefault(rank, LivenessTimeout(self._store, rank)).check()
                except PeerLost:
                    self._check_ended(rank)  # it may have left a message
                    raise
                if self._store.check([f"{token}/{rank}"]):
                    missing.remove(rank)
                elif self._store.check([f"facts/{rank}"]):
                    answered, heard[rank] = json.loads(self._store.get(f"facts/{rank}"))
                    self._store.set(f"answer/{rank}", json.dumps([answered, token]))
            time.sleep(heartbeat.POLL_S)
        return token, heard

    def _answer_roll(self, own: dict[str, str]) -> str:
        """The other ranks: send the facts until rank 0 answers with the token, and acknowledge it."""
        name, answer, timeout = uuid.uuid4().hex, f"answer/{self.rank}", LivenessTimeout(self._store, 0)
        with store_errors_as_peer_lost():
            while True:
                self._store.set(f"facts/{self.rank}", json.dumps([name, own]))
                if self._store.check([answer]):
                    answered, token = json.loads(self._store.get(answer))
                    if answered == name:
                        self._store.set(f"{token}/{self.rank}", "heard")
                        return str(token)
                self._check_ended(0)
                timeout.check()
                time.sleep(heartbeat.POLL_S)

    def _check_ended(self, rank: int) -> None:
        """Raises `PeerLost` or `PeerFailed` if `rank` has left a message that it ended."""
        if end := read_end(self._store, rank):
            kind = PeerLost if end.is_resumable else PeerFailed
            raise kind(f"rank {rank} has ended: {end.why}")

    def _wait(self, key: str, rank: int) -> str:
        """The text that `rank` sets, however long it takes while its heartbeats come."""
        timeout = LivenessTimeout(self._heartbeat.store, rank)
        with store_errors_as_peer_lost():
            while not self._store.check([key]):
                self._check_ended(rank)
                timeout.check()
                time.sleep(heartbeat.POLL_S)
            return str(self._store.get(key).decode())


def differences(facts: list[dict[str, str]]) -> list[str]:
    """What differs from rank 0, a line each. The facts of every rank name its
    `host`."""
    if not facts:
        return []
    own = facts[0]
    return [
        f"  {name}: {theirs.get(name)} on rank {rank} ({theirs['host']}), "
        f"{own.get(name)} on rank 0 ({own['host']})"
        for rank, theirs in enumerate(facts)
        for name in sorted(own.keys() | theirs.keys())
        if name != "host" and theirs.get(name) != own.get(name)
    ]


def _connect(rank: int, number: int) -> PrefixStore:
    """A connection to the store for the `number`-th group of this process."""
    host, port = launcher.address()
    try:
        if rank == 0 and not launcher.has_agent_store():
            _serve(host, port)
        store = _open(host, port, is_master=False)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PeerLost(
            f"rank {rank} ({socket.gethostname()}): rank 0 at {host}:{port} cannot be reached "
            f"({reason}). Is it started, and the port open?"
        ) from None
    # The answers and heartbeats of an earlier group of these processes must not be taken for those of this
    # one.
    return PrefixStore(f"resnext/{launcher.count_restarts()}/{number}", store)


def _open(host: str, port: int, is_master: bool) -> TCPStore:
    timeout = timedelta(seconds=heartbeat.CONNECT_S)
    return TCPStore(host, port, is_master=is_master, timeout=timeout, wait_for_workers=False)


@functools.cache
def _serve(host: str, port: int) -> TCPStore:
    """The store of all groups of this process, kept as long as it lives."""
    return _open(host, port, is_master=True)
