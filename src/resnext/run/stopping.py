"""Stopping on request: finish the step, save, and say that the run can go on."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

#: What launchers, terminals and schedulers ask with.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
#: Launchers signal a process and its group: within this time a second signal is the same request.
SAME_REQUEST_S = 10.0


class Stopped(Exception):
    """The run was stopped on request; it can be resumed."""


class StopRequest:
    """While entered, notes the signals that ask for a stop; a second request ends the process at once.

    Signals reach a program's main thread only: elsewhere nothing is noted.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._since = 0.0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.reason is None:
            self.reason, self._since = signal.Signals(number).name, now
        elif now - self._since > SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
