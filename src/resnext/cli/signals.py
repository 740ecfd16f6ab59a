"""Signals that ask a command to stop: it ends as on Ctrl-C, and its exit code says which signal it was."""

from __future__ import annotations

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from resnext.data.workers import STOP_SIGNALS

#: Launchers signal a process and its group: a second signal within this time is the same request.
SAME_REQUEST_S = 1.0


class SignalsInterrupt:
    """A context in which signals that ask for a stop raise `KeyboardInterrupt` in the main thread.

    By default they would end the process without a word, and leave its children and half a file. A training
    that has begun hears them itself (`StopRequest`). What is ignored stays so, as SIGHUP under `nohup`.

    Attributes:
        received: The last of these signals; None if there was none.
    """

    class Interrupt(KeyboardInterrupt):
        """Where a plain `KeyboardInterrupt` passes through C code on the way, as of torch while it is
        imported, Python ends the process by SIGINT in spite of its exit code."""

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> SignalsInterrupt:
        if threading.current_thread() is threading.main_thread():  # no other one receives signals
            heard = [number for number in STOP_SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
            self._previous = {number: signal.signal(number, self._interrupt) for number in heard}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received is None or now - self._since > SAME_REQUEST_S:
            self.received, self._since = signal.Signals(number), now
            raise self.Interrupt
