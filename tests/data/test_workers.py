"""Worker processes end with what they work for, and hear nobody else."""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from resnext.contract import Resize
from resnext.data import workers
from resnext.data.loaders import evaluation_batches
from resnext.data.sources import read_splits
from resnext.data.workers import WorkerError, check_shared_memory, explain_worker_error, worker_errors

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
RESIZE = Resize(16, 16)
#: A program that has two workers and does not close their loader, whatever its last line does.
PROGRAM = """
import multiprocessing, os, signal, sys, time
from resnext.contract import Resize
from resnext.data.loaders import evaluation_batches
from resnext.data.sources import read_splits

batches = evaluation_batches(read_splits("digits").train, Resize(16, 16), 4, workers=2)
next(batches)
print("begun", flush=True)
"""


def batches_of(count: int) -> Any:
    return evaluation_batches(read_splits("digits").train, RESIZE, 4, workers=count)


def are_gone(children: Sequence[BaseProcess]) -> bool:
    """Whether all have ended, within the 10 s that are promised.

    Where torch's handler of SIGCHLD raises while the process is waited for, its exit code is lost.
    """
    for child in children:
        child.join(10)
    return all(child.exitcode is not None or not Path(f"/proc/{child.pid}").exists() for child in children)


def test_workers_end_when_their_loader_is_closed() -> None:
    batches = batches_of(2)
    next(batches)
    children = multiprocessing.active_children()
    assert len(children) == 2
    batches.close()
    assert are_gone(children)


def test_a_worker_that_never_finishes_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    images = read_splits("digits").train
    monkeypatch.setattr(type(images), "open", lambda *_: time.sleep(1000))
    batches = evaluation_batches(images, RESIZE, 4, workers=1)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(KeyboardInterrupt):
            next(batches)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert multiprocessing.active_children() == []


def test_a_worker_that_does_not_watch_is_ended_too() -> None:
    """As one is that was stopped, or forked while a lock was held that it needs in order to begin."""
    batches = batches_of(2)
    next(batches)
    children = multiprocessing.active_children()
    os.kill(children[1].pid or 0, signal.SIGSTOP)
    batches.close()
    assert are_gone(children)


def test_stop_signals_reach_the_main_process_only() -> None:
    batches = batches_of(2)
    seen = [next(batches)]
    children = multiprocessing.active_children()
    assert len(children) == 2
    for child in children:
        for number in workers.STOP_SIGNALS:
            os.kill(child.pid or 0, number)
    seen += batches
    assert sum(len(batch.indices) for batch in seen) == len(read_splits("digits").train)


@pytest.mark.parametrize(
    ("last_line", "code"),
    [  # more of them in tests/faults/test_ways_out.py
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("cycle = [batches]; cycle.append(cycle); del batches", 0),  # closed while the interpreter ends
        ("[os.kill(w.pid, signal.SIGSTOP) for w in multiprocessing.active_children()]", 0),
    ],
)
def test_no_worker_outlives_the_main_process(last_line: str, code: int) -> None:
    command = [sys.executable, "-c", PROGRAM + last_line]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            # The end of the output comes when all that hold it have ended.
            assert process.communicate(timeout=60)[0] == "begun\n"
        finally:
            process.kill()
    assert process.returncode == code


# Torch may be opening files, to see whether it can, at the moment at which it raises that a worker died.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worker_that_dies_is_an_error_of_ours() -> None:
    batches = batches_of(2)
    next(batches)
    children = multiprocessing.active_children()
    killed = children[0].pid or 0
    with pytest.raises(WorkerError, match="because memory runs out"), worker_errors():
        _ = os.kill(killed, signal.SIGKILL), list(batches)
    batches.close()
    assert are_gone(children)


def test_a_batch_that_cannot_be_sent_is_not_waited_for(capfd: pytest.CaptureFixture[str]) -> None:
    """Sending fails in a thread of the worker, which only prints what happened."""

    class Unsendable(namedtuple("Unsendable", "images")):
        def __reduce__(self) -> Any:
            raise OSError("this cannot be sent")

    images = read_splits("digits").train
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnext.data.loaders.ImageBatch.share_memory", lambda batch: Unsendable(batch.images))
        with pytest.raises(WorkerError, match="because memory runs out"):
            list(evaluation_batches(images, RESIZE, 4, workers=1))
    assert "this cannot be sent" in capfd.readouterr().err


def test_workers_need_room_in_the_memory_that_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = shutil.disk_usage(tmp_path)._replace(free=8_000_000)
    monkeypatch.setattr(workers, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr("resnext.data.workers.shutil.disk_usage", lambda _: free)
    check_shared_memory(2, 2_000_000)
    with pytest.raises(
        WorkerError, match=r"--workers 2.*need 8\.0 MB.*8\.0 MB free; say --workers 0, or.*shm"
    ):
        check_shared_memory(2, 2_000_001)
    monkeypatch.setattr("resnext.data.workers.shutil.disk_usage", lambda _: free._replace(free=0))
    with pytest.raises(WorkerError, match=re.escape("need 0.1 MB")):
        next(evaluation_batches(read_splits("digits").val, Resize(64, 64), 4, workers=1))
    monkeypatch.setattr(workers, "SHARED_MEMORY", tmp_path / "none")
    check_shared_memory(2, 1 << 60)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("DataLoader worker (pid 1) is killed by signal: Bus error. It is possible that dataloader's workers "
         "are out of shared memory. Please try to raise your shared memory limit.", "--shm-size"),
        ("Caught RuntimeError in DataLoader worker process 0.\nOriginal Traceback\nRuntimeError: unable to "
         "write to file </torch_1_2_3>: No space left on device (28)", "--shm-size"),
        ("Too many open files. Communication with the workers is no longer possible.", "ulimit -n"),
        ("DataLoader worker (pid(s) 1, 2) exited unexpectedly", "or 0, which may show another reason"),
    ],
)  # fmt: skip
def test_what_torch_says_of_workers_is_explained(text: str, says: str) -> None:
    assert says in (explain_worker_error(text) or "")


def test_other_errors_stay_what_they_are() -> None:
    for text in (
        "a bug",
        "",
        "out of resource: shared memory",
        "Caught ValueError in DataLoader worker process 0",
    ):
        assert explain_worker_error(text) is None
        with pytest.raises(RuntimeError) as caught, worker_errors():
            raise RuntimeError(text)
        assert not isinstance(caught.value, WorkerError)
