"""Heartbeats of the processes that train together, through the shared store.

torch.distributed's own timeouts end a collective operation after many minutes and do not say which process
was missing; `torchrun` notices a dead process on its own host only. Heartbeats name a process that died, or a
host that was cut off, within `SILENT_S`.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch.distributed import Store  # type: ignore[attr-defined]

from resnext.errors import ResnextError
from resnext.names import printable_lines
from resnext.training import launcher

#: Seconds between two heartbeats of a process, and seconds without one after which it counts as lost.
BEAT_S, SILENT_S = 1.0, 30.0
#: Seconds between two questions to the store, where a process waits for something in it.
POLL_S = 0.05
#: Seconds to wait for a process that has never shown a heartbeat.
CONNECT_S = 55.0
#: Seconds that a process has to notice the failure of another one by itself, before it is ended.
NOTICE_S = 10.0
#: Key in the store under which a failed process says so.
FAILURE = "failure"
#: Prefix, in the store, of the reason why a process ended, if the run can be resumed.
RESUMABLE = "resumable/"

#: Called before this process ends itself, with the reason and whether the run can be resumed.
OnPeerLost = Callable[[str, bool], None]


class PeerLost(ResnextError):
    """Another process died or cannot be reached; the run can be resumed from its last checkpoint."""

    exit_code = 75


class PeerFailed(ResnextError):
    """Another process ended with an error of its own, which a resumed run would meet again."""

    exit_code = 4


class Heartbeat(threading.Thread):
    """Sends this process's heartbeats and watches those of others: rank 0 watches all, the others rank 0.

    A process that waits inside a collective operation cannot be interrupted. If the process it waits for is
    lost or has failed, this thread calls `on_peer_lost` and ends the process.

    Args:
        rank: Number of this process among `size`.
        store: A connection to the store for this thread alone; waiting on a connection blocks all its users.
        on_peer_lost: See `OnPeerLost`.
    """

    def __init__(self, rank: int, size: int, store: Store, on_peer_lost: OnPeerLost) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.rank, self.watched = rank, range(1, size) if rank == 0 else range(1)
        self.store, self.on_peer_lost = store, on_peer_lost
        self.messages: Store | None = None
        """Part of the store in which a failed process leaves its message, once the processes have joined."""
        self.failure = ""
        """The message of a process that failed; empty while there is none."""
        self.suspect = ""
        """The process that has been silent for a while, as a sentence."""
        self._stop_asked = threading.Event()
        self._seen: dict[int, tuple[bytes, float]] = {}
        self._failure_seen = math.inf

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=BEAT_S)

    def run(self) -> None:
        self._answered = time.monotonic()
        threading.Thread(target=self._watch_the_store, name="store", daemon=True).start()
        count = 0
        while not self._stop_asked.wait(BEAT_S):
            count += 1
            # This does not ask the store, which may be gone by now.
            if time.monotonic() - self._failure_seen > NOTICE_S:
                self._end_process(self.failure, resumable=False)
            try:
                if self.messages is not None and not self.failure:
                    self.failure = read_text(self.messages, FAILURE)
                    self._failure_seen = time.monotonic() if self.failure else math.inf
                self.store.set(_key(self.rank), f"{count} {socket.gethostname()}")
                self._watch()
                self._answered = time.monotonic()
            except RuntimeError as error:  # torch's DistError is one too
                self.suspect = f"rank 0 does not answer: {str(error).splitlines()[0]}"

    def _watch_the_store(self) -> None:
        """Watch the store from a thread of its own: a request to a host that was cut off never returns."""
        while not self._stop_asked.wait(BEAT_S):
            silent_s = time.monotonic() - self._answered
            if silent_s > SILENT_S:
                host, port = launcher.address()
                self._end_process(f"rank 0 at {host}:{port} has not answered for {silent_s:.0f} s")

    def _watch(self) -> None:
        for rank in self.watched:
            if not self.store.check([_key(rank)]):
                continue
            beat, now = self.store.get(_key(rank)), time.monotonic()
            if self._seen.get(rank, (b"", now))[0] != beat:
                self._seen[rank] = beat, now
            silent_s = now - self._seen[rank][1]
            if silent_s > 3 * BEAT_S:
                self.suspect = _silent(rank, beat, silent_s)
            if silent_s > SILENT_S:
                end = read_end(self.messages or self.store, rank)
                message = f"rank {rank} has ended: {end.why}" if end else self.suspect
                self._end_process(message, resumable=end is None or end.is_resumable)

    def _end_process(self, message: str, resumable: bool = True) -> None:
        if self._stop_asked.is_set():
            return
        print(printable_lines(f"resnext: rank {self.rank}: {message}"), file=sys.__stderr__, flush=True)
        with contextlib.suppress(Exception):
            self.on_peer_lost(message, resumable)
        os._exit(PeerLost.exit_code if resumable else PeerFailed.exit_code)


class LivenessTimeout:
    """Raises `PeerLost` from `check` once `rank` has shown no heartbeat for too long."""

    def __init__(self, store: Store, rank: int) -> None:
        self.store, self.rank = store, rank
        self.beat, self.since = b"", time.monotonic()

    def check(self) -> None:
        key, now = _key(self.rank), time.monotonic()
        beat = self.store.get(key) if self.store.check([key]) else b""
        if beat != self.beat:
            self.beat, self.since = beat, now
        elif now - self.since > (SILENT_S if self.beat else CONNECT_S):
            raise PeerLost(_silent(self.rank, self.beat, now - self.since))


def is_resumable(error: BaseException) -> bool:
    """Whether a run that ends with `error` can be resumed: it was stopped, or another process was lost."""
    if isinstance(error, ResnextError):
        return error.exit_code == PeerLost.exit_code
    return isinstance(error, GeneratorExit | KeyboardInterrupt)


@dataclass(frozen=True)
class PeerEnd:
    """Why a process ended, as class and message of its error, and whether the run can be resumed."""

    why: str
    is_resumable: bool


def write_end(store: Store, rank: int, error: BaseException) -> PeerEnd:
    """Write to the store why the process `rank` ends."""
    end = PeerEnd(f"{type(error).__name__}: {error}", is_resumable(error))
    store.set(f"ended/{rank}", (RESUMABLE if end.is_resumable else "") + end.why)
    return end


def read_end(store: Store, rank: int) -> PeerEnd | None:
    """Why the process `rank` has ended; None if it has not said so."""
    text = read_text(store, f"ended/{rank}")
    return PeerEnd(text.removeprefix(RESUMABLE), text.startswith(RESUMABLE)) if text else None


def read_text(store: Store, key: str) -> str:
    """The text under `key`; empty if there is none."""
    return store.get(key).decode() if store.check([key]) else ""


@contextmanager
def store_errors_as_peer_lost() -> Iterator[None]:
    """A context that turns the errors of a store that is gone into `PeerLost`."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(f"rank 0 has ended or cannot be reached ({str(error).splitlines()[0]})") from None


def _key(rank: int) -> str:
    return f"heartbeat/{rank}"


def _silent(rank: int, beat: bytes, seconds: float) -> str:
    host = f" ({beat.decode().split(' ', 1)[1]})" if beat else ""
    return f"rank {rank}{host} has not answered for {seconds:.0f} s"
