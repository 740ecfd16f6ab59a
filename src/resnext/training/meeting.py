"""How the processes of a group meet: a roll call, and few words, through a store that all can reach.

A collective operation waits in silence for who does not come. So what the processes have to agree on before
they train, and who ended why, goes through the store, where who does not answer can be named within a minute.
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

from resnext.training import launcher, pulse
from resnext.training.pulse import (
    FAILURE,
    Patience,
    PeerFailed,
    PeerLost,
    Pulse,
    is_resumable,
    naming_the_store,
    read_word,
)

T = TypeVar("T")

_numbers = itertools.count()  # of the groups that this process joins, one after the other, as its peers do


class PeersDiffer(Exception):
    """The processes were not started alike; the message names what differs and where."""


class Meeting:
    """One process's place among `size`. `on_loss` is called with who was lost and whether the run can go on,
    before this process ends itself. Raises `PeerLost` where the store cannot be reached, and `LaunchError`
    where the launcher does not say where it is."""

    def __init__(self, rank: int, size: int, on_loss: Callable[[str, bool], None]) -> None:
        self.rank, self.size = rank, size
        number, self._shared = next(_numbers), 0
        self._store = _connect(rank, number)
        self._pulse = Pulse(rank, size, _connect(rank, number), on_loss)

    def begin(self) -> None:
        self._pulse.start()

    def end(self) -> None:
        self._pulse.stop()

    def tell_end(self, error: BaseException) -> None:
        """Leave word of why this process ends before the others do; and where the store goes with it, time to
        hear it."""
        why = f"{type(error).__name__}: {error}"
        with contextlib.suppress(RuntimeError):  # the store is gone with its process
            self._store.set(f"ended/{self.rank}", why)
            if not is_resumable(why):
                if not isinstance(error, PeerFailed):  # else that peer has told it
                    self._store.set(FAILURE, f"rank {self.rank} has failed: {why}")
                if self.rank == 0 and not launcher.keeps_a_store():
                    time.sleep(2 * pulse.BEAT_S)

    @property
    def suspect(self) -> str:
        """Who has been silent lately, in words."""
        return self._pulse.suspect

    def find_failure(self) -> str:
        """Who has ended with an error that the run would meet again; empty if nobody has told so."""
        if self._pulse.failure:
            return self._pulse.failure
        with contextlib.suppress(RuntimeError):  # the store is gone with its process
            return read_word(self._store, FAILURE)
        return ""

    def compare(self, facts: dict[str, str]) -> None:
        """Raises `PeersDiffer` where `facts` differ from the leader's, `PeerLost` for who does not answer."""
        own = {"host": socket.gethostname()} | facts
        heard: list[dict[str, str]] = []
        if self.rank == 0:
            token, heard = self._call_the_roll(own)
        else:
            token = self._answer_the_roll(own)
        self._store = PrefixStore(token, self._store)
        self._pulse.words = PrefixStore(token, self._pulse.store)
        if problem := self.share(lambda: differences(heard)):
            raise PeersDiffer(f"the processes were not started alike\n{problem}")

    def share(self, make: Callable[[], T]) -> T:
        """What `make` gives the leader, to all, as JSON; the others do not call it and wait as long as it
        takes. Where it raises, they raise `PeerFailed` with the reason, or `PeerLost`."""
        self._shared += 1
        key = f"shared/{self._shared}"
        if self.rank == 0:
            self._store.set(key, json.dumps(make()))
        value: T = json.loads(self._wait(key, 0))
        return value

    def store(self, timeout: timedelta) -> Store:
        """Of the store, what nobody here speaks through."""
        store = PrefixStore("group", self._store)
        store.set_timeout(timeout)
        return store

    def _call_the_roll(self, own: dict[str, str]) -> tuple[str, list[dict[str, str]]]:
        """The leader's side: hear everybody's facts, and give all one token.

        What dead processes of an earlier start left in the store is answered too, but only the living
        acknowledge; keys under the token are of this start alone.
        """
        token, heard = uuid.uuid4().hex, [own] + [{}] * (self.size - 1)
        missing = set(range(1, self.size))
        patience: dict[int, Patience] = {}
        while missing:
            for rank in sorted(missing):
                try:
                    patience.setdefault(rank, Patience(self._store, rank)).check()
                except PeerLost:
                    self._check_ended(rank)  # it may have left word
                    raise
                if self._store.check([f"{token}/{rank}"]):
                    missing.remove(rank)
                elif self._store.check([f"facts/{rank}"]):
                    answered, heard[rank] = json.loads(self._store.get(f"facts/{rank}"))
                    self._store.set(f"answer/{rank}", json.dumps([answered, token]))
            time.sleep(pulse.POLL_S)
        return token, heard

    def _answer_the_roll(self, own: dict[str, str]) -> str:
        """The others' side: tell the facts until they are answered, and acknowledge."""
        name, answer, patience = uuid.uuid4().hex, f"answer/{self.rank}", Patience(self._store, 0)
        with naming_the_store():
            while True:
                self._store.set(f"facts/{self.rank}", json.dumps([name, own]))
                if self._store.check([answer]):
                    answered, token = json.loads(self._store.get(answer))
                    if answered == name:
                        self._store.set(f"{token}/{self.rank}", "heard")
                        return str(token)
                self._check_ended(0)
                patience.check()
                time.sleep(pulse.POLL_S)

    def _check_ended(self, rank: int) -> None:
        """Raises `PeerLost` or `PeerFailed` where `rank` has left word that it ended."""
        if why := read_word(self._store, f"ended/{rank}"):
            kind = PeerLost if is_resumable(why) else PeerFailed
            raise kind(f"rank {rank} has ended: {why}")

    def _wait(self, key: str, rank: int) -> str:
        """The value that `rank` sets, however long it takes, while it shows that it lives."""
        patience = Patience(self._pulse.store, rank)
        with naming_the_store():
            while not self._store.check([key]):
                self._check_ended(rank)
                patience.check()
                time.sleep(pulse.POLL_S)
            return str(self._store.get(key).decode())


def differences(facts: list[dict[str, str]]) -> str:
    """What is not as on rank 0, for people; empty if nothing is. Each rank's facts name its `host`."""
    own = facts[0]
    return "\n".join(
        f"  {name}: {theirs.get(name)} on rank {rank} ({theirs['host']}), "
        f"{own.get(name)} on rank 0 ({own['host']})"
        for rank, theirs in enumerate(facts)
        for name in sorted(own.keys() | theirs.keys())
        if name != "host" and theirs.get(name) != own.get(name)
    )


def _connect(rank: int, number: int) -> PrefixStore:
    """A connection to the store, for the process's group of that number."""
    host, port = launcher.address()
    try:
        if rank == 0 and not launcher.keeps_a_store():
            _serve(host, port)
        store = _open(host, port, is_master=False)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise PeerLost(
            f"rank {rank} ({socket.gethostname()}): rank 0 at {host}:{port} cannot be reached "
            f"({reason}). Is it started, and the port open?"
        ) from None
    # What is left of an earlier group of these processes would pass for a peer's answer, or its pulse.
    return PrefixStore(f"resnext/{launcher.count_restarts()}/{number}", store)


def _open(host: str, port: int, is_master: bool) -> TCPStore:
    timeout = timedelta(seconds=pulse.PATIENCE_S)
    return TCPStore(host, port, is_master=is_master, timeout=timeout, wait_for_workers=False)


@functools.cache
def _serve(host: str, port: int) -> TCPStore:
    """The store of all groups that the processes form one after the other, kept as long as this one lives."""
    return _open(host, port, is_master=True)
