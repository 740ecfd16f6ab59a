"""A lock keeps others out while it is held, and not longer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from resnext.run.locks import lock_file


def is_free(path: Path) -> bool:
    try:
        with lock_file(path):
            return True
    except BlockingIOError:
        return False


def test_one_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock_file(path) as problem:
        assert problem == ""
        assert not is_free(path)
    assert is_free(path)
    with lock_file(path, "shared"), lock_file(path, "shared"):
        assert not is_free(path)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_does_not_keep_it(tmp_path: Path) -> None:
    with lock_file(tmp_path / "lock"):
        child = os.fork()  # as of a `DataLoader`; it has all open files
        if child == 0:
            signal.pause()
    try:
        assert is_free(tmp_path / "lock")
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_the_lock_of_a_file_that_was_replaced_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process removed the folder and made it anew, after this one had opened the file."""
    path = tmp_path / "lock"

    def replace(*_: object) -> None:
        path.unlink()
        path.touch()

    monkeypatch.setattr("fcntl.flock", replace)
    assert not is_free(path)


HOLDER = """
import multiprocessing, sys, time
from pathlib import Path
from resnext.run.locks import lock_file

with lock_file(Path(sys.argv[1])):
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
    worker.start()
    print(worker.pid, flush=True)
    time.sleep(60)
"""


def test_lock_of_a_killed_process_is_free_though_its_worker_lives(tmp_path: Path) -> None:
    """A worker may take a while to notice that its process was killed; the next start must not be refused."""
    path = tmp_path / "lock"
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as words:
        worker = int(words.readline())
    try:
        assert not is_free(path)
        time.sleep(0.2)  # a process that was just forked has its files for a moment
        process.kill()
        process.wait()
        os.kill(worker, 0)  # it lives
        assert is_free(path)
    finally:
        os.kill(worker, signal.SIGKILL)
