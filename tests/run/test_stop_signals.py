"""Requests to stop: what counts as one, and what a second one does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from resnext.run.stop_signals import StopRequest


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1"])
def test_the_signals_of_launchers_terminals_and_schedulers(name: str) -> None:
    number = signal.Signals[name]
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with StopRequest() as stop:
            assert stop.reason is None
            os.kill(os.getpid(), number)
            assert stop.reason == name
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


def test_a_hangup_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            assert stop.reason is None
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_two_signals_within_ten_seconds_are_one_request() -> None:
    before = signal.getsignal(signal.SIGUSR1)
    with StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "SIGUSR1"
    assert signal.getsignal(signal.SIGUSR1) is before


def test_a_later_second_signal_ends_the_process_at_once() -> None:
    program = (
        "import os, signal, resnext.run.stop_signals as s\n"
        "s.SAME_REQUEST_S = 0.0\n"
        "with s.StopRequest(lambda why: print(why, flush=True)):\n"
        "    os.kill(os.getpid(), signal.SIGUSR1); os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('survived')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, "SIGTERM after SIGUSR1\n")
