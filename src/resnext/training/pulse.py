"""Who of the processes that train together lives: told and watched through their store."""

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

from torch.distributed import Store  # type: ignore[attr-defined]

from resnext.training import launcher

#: Each process shows that it lives so often; one that has not for so long is lost.
BEAT_S, SILENT_S = 1.0, 30.0
POLL_S = 0.05
#: How long a process that has never answered is waited for.
PATIENCE_S = 55.0
#: So long a process has to notice for itself that another one has told of its failure.
NOTICE_S = 10.0
#: Where in the store that one says who has failed, and why.
FAILURE = "failure"
#: Ends of a process after which the run can go on.
RESUMABLE = ("PeerLost", "Stopped", "GeneratorExit", "KeyboardInterrupt")
#: What a scheduler sees of a process that ends because another is lost, or has failed.
EXIT_RESUMABLE, EXIT_FAILED = 75, 4


class PeerLost(Exception):
    """Another process has died or cannot be reached; the run can go on from its last checkpoint."""


class PeerFailed(Exception):
    """Another process has ended with an error of its own, which the run would meet again."""


class Pulse(threading.Thread):
    """Shows that this process lives, and watches: the leader everybody, the others the leader.

    A process that waits inside a collective operation for one that is lost, or has failed, cannot be woken.
    So it is ended, once `on_loss` was told who it is, and whether the run can go on. `store` is a connection
    of its own: waiting on one blocks all its users. In `words`, once it is set, one that fails says so, and
    `failure` is what it has said.
    """

    def __init__(self, rank: int, size: int, store: Store, on_loss: Callable[[str, bool], None]) -> None:
        super().__init__(name="pulse", daemon=True)
        self.rank, self.watched = rank, range(1, size) if rank == 0 else range(1)
        self.store, self.on_loss = store, on_loss
        self.words: Store | None = None
        self.failure, self.suspect = "", ""
        self._stop_asked = threading.Event()
        self._seen: dict[int, tuple[bytes, float]] = {}
        self._heard = math.inf

    def stop(self) -> None:
        self._stop_asked.set()
        self.join(timeout=BEAT_S)

    def run(self) -> None:
        self._answered = time.monotonic()
        threading.Thread(target=self._watch_the_store, name="store", daemon=True).start()
        count = 0
        while not self._stop_asked.wait(BEAT_S):
            count += 1
            if time.monotonic() - self._heard > NOTICE_S:  # the store is not asked: it may be gone by now
                self._give_up(self.failure, resumable=False)
            try:
                if self.words is not None and not self.failure:
                    self.failure = read_word(self.words, FAILURE)
                    self._heard = time.monotonic() if self.failure else math.inf
                self.store.set(f"pulse/{self.rank}", f"{count} {socket.gethostname()}")
                self._watch()
                self._answered = time.monotonic()
            except RuntimeError as error:  # DistError among them
                self.suspect = f"rank 0 does not answer: {str(error).splitlines()[0]}"

    def _watch_the_store(self) -> None:
        """A thread that asks a store on a host that is cut off waits for ever: another one looks at it."""
        while not self._stop_asked.wait(BEAT_S):
            silent_s = time.monotonic() - self._answered
            if silent_s > SILENT_S:
                host, port = launcher.address()
                self._give_up(f"rank 0 at {host}:{port} has not answered for {silent_s:.0f} s")

    def _watch(self) -> None:
        for rank in self.watched:
            if not self.store.check([f"pulse/{rank}"]):
                continue
            beat, now = self.store.get(f"pulse/{rank}"), time.monotonic()
            if self._seen.get(rank, (b"", now))[0] != beat:
                self._seen[rank] = beat, now
            silent_s = now - self._seen[rank][1]
            if silent_s > 3 * BEAT_S:
                self.suspect = _silent(rank, beat, silent_s)
            if silent_s > SILENT_S:
                why = read_word(self.words or self.store, f"ended/{rank}")
                message = f"rank {rank} has ended: {why}" if why else self.suspect
                self._give_up(message, resumable=not why or is_resumable(why))

    def _give_up(self, message: str, resumable: bool = True) -> None:
        if self._stop_asked.is_set():
            return
        print(f"resnext: rank {self.rank}: {message}", file=sys.__stderr__, flush=True)
        with contextlib.suppress(Exception):
            self.on_loss(message, resumable)
        os._exit(EXIT_RESUMABLE if resumable else EXIT_FAILED)


class Patience:
    """Raises `PeerLost` once `rank` has shown no life for too long."""

    def __init__(self, store: Store, rank: int) -> None:
        self.store, self.rank = store, rank
        self.beat, self.since = b"", time.monotonic()

    def check(self) -> None:
        pulse, now = f"pulse/{self.rank}", time.monotonic()
        beat = self.store.get(pulse) if self.store.check([pulse]) else b""
        if beat != self.beat:
            self.beat, self.since = beat, now
        elif now - self.since > (SILENT_S if self.beat else PATIENCE_S):
            raise PeerLost(_silent(self.rank, self.beat, now - self.since))


def is_resumable(why: str) -> bool:
    """Of what an ended process has told: can the run go on?"""
    return why.split(":")[0] in RESUMABLE


def read_word(store: Store, key: str) -> str:
    """What stands in `store` under `key`; empty if nothing does."""
    return store.get(key).decode() if store.check([key]) else ""


@contextmanager
def naming_the_store() -> Iterator[None]:
    """Errors of a store that is gone become `PeerLost` inside."""
    try:
        yield
    except RuntimeError as error:
        raise PeerLost(f"rank 0 has ended or cannot be reached ({str(error).splitlines()[0]})") from None


def _silent(rank: int, beat: bytes, seconds: float) -> str:
    host = f" ({beat.decode().split(' ', 1)[1]})" if beat else ""
    return f"rank {rank}{host} has not answered for {seconds:.0f} s"
