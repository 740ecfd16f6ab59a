"""Stopping on request: a signal lets the run finish its step and save."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any

from resnext.errors import ResnextError

#: Signals by which launchers, terminals and schedulers ask a run to stop.
SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGUSR1") if hasattr(signal, name))
#: Launchers signal a process and its group: a second signal within this time is the same request.
SAME_REQUEST_S = 10.0


class Stopped(ResnextError):
    """The run was stopped on request, and can be resumed."""

    exit_code = 75


class StopRequest:
    """Inside, records the signals that ask for a stop; a second request ends the process at once.

    `reason` is the name of the signal, None while there was none. Only the main thread of a program receives
    signals: in another thread nothing is recorded.
    """

    def __init__(self) -> None:
        self.reason: str | None = None
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._record) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}

    def _record(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.reason is None:
            self.reason, self._since = signal.Signals(number).name, now
        elif now - self._since > SAME_REQUEST_S:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
