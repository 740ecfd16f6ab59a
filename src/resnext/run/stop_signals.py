"""Stopping on request: a signal lets the run finish its step and save."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

from resnext.data.workers import STOP_SIGNALS
from resnext.errors import ResnextError

#: Launchers signal a process and its group: a second signal within this time is the same request.
SAME_REQUEST_S = 10.0


class Stopped(ResnextError):
    """The run was stopped on request, and can be resumed."""

    exit_code = 75


def stopped(reason: str | None, where: str, name: str) -> Stopped:
    """The error of a run called `name` that stops at `where`; without a reason, as another process does."""
    why = f"{reason or 'another process'} at {where}"
    return Stopped(f"{why}; the same command with --name {name} --resume auto resumes it")


class StopRequest:
    """A context that records signals asking for a stop; a second request ends the process at once.

    `reason` is the name of the signal, None while there was none. Only the main thread of a program receives
    signals: in another thread nothing is recorded. SIGHUP stays ignored where it is, as under `nohup`.

    Args:
        on_second: Called with the reason before a second request ends the process.
    """

    def __init__(self, on_second: Callable[[str], None] = lambda why: None) -> None:
        self.reason: str | None = None
        self._on_second = on_second
        self._since = 0.0
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            heard = [number for number in STOP_SIGNALS if not _is_ignored_hangup(number)]
            self._previous = {number: signal.signal(number, self._record) for number in heard}
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
            with contextlib.suppress(Exception):
                self._on_second(f"{signal.Signals(number).name} after {self.reason}")
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)


def _is_ignored_hangup(number: int) -> bool:
    return signal.Signals(number).name == "SIGHUP" and signal.getsignal(number) is signal.SIG_IGN
