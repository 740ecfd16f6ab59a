"""The worker processes of a `DataLoader`: when they may start, which signals they obey, and how they end.

A worker leaves requests to stop to the main process, which finishes its step with the batches of its workers.
It ends when the main process says so, or is gone.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from pathlib import Path
from types import TracebackType

from resnext.errors import ResnextError

#: Signals by which terminals, launchers and schedulers ask all processes of a run to stop.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1") if hasattr(signal, name)
)
#: Batches that each worker has made or is making.
PREFETCH = 2
#: Where Linux keeps the memory that processes share; containers give it 64 MB.
SHARED_MEMORY = Path("/dev/shm")
#: Seconds that workers have to end by themselves.
GRACE_S = 1.0
MORE_ROOM = "say --workers 0, or give the container more (docker run --shm-size 8g)"
_DIED = (
    "a process that decodes images died, as when the system kills it because memory runs out; say fewer "
    "--workers, or 0, which may show another reason ({})"
)
#: The lifelines that are open in this process.
_OPEN: set[Lifeline] = set()


class WorkerError(ResnextError):
    """Processes that decode images cannot start, or one of them died."""

    exit_code = 5


class Lifeline:
    """A pipe that the workers of one loader watch: they end when it closes, and it closes with this process.

    Their loader makes it close too late or never: it waits until a worker has finished its batch, and not at
    all when this process is killed.

    Attributes:
        set_up_worker: The `worker_init_fn` of the loader.
        workers: The processes, once they have been started.
    """

    def __init__(self) -> None:
        self._reader, self._writer = Pipe(duplex=False)
        self.workers: Sequence[BaseProcess] = ()
        self.set_up_worker: Callable[[int], None] = partial(_set_up_worker, self._reader)

    def __enter__(self) -> Lifeline:
        _OPEN.add(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the workers now, whatever they do."""
        self._writer.close()
        self._reader.close()
        _OPEN.discard(self)

    def end(self, batches: object) -> None:
        """End the workers of the iterator `batches`: by themselves, or else with force.

        Torch's own way may wait for ever for a worker that was killed, so that it gets a thread and a limit.
        """
        shut_down = getattr(batches, "_shutdown_workers", None)  # it has no public name
        if shut_down is None or self._writer.closed:  # closed: this process ends, and no thread can start
            return
        thread = threading.Thread(target=shut_down, name="end of workers", daemon=True)
        thread.start()
        try:
            thread.join(GRACE_S)
        finally:  # torch's handler of SIGCHLD may raise that a worker died
            try:
                self.close()
                thread.join(GRACE_S)
            finally:
                self.kill()

    def kill(self) -> None:
        """Kill the workers that do not watch: stopped ones, and such as never began."""
        for worker in self.workers:
            worker.join(GRACE_S)
            if worker.is_alive():
                with suppress(RuntimeError):  # torch's handler of SIGCHLD raises that a worker was killed
                    worker.kill()
                    worker.join(GRACE_S)


def _close_all() -> None:
    """Close this process's ends of all lifelines; in a worker these are copies that it inherited."""
    for lifeline in tuple(_OPEN):
        lifeline._writer.close()


def _end_all() -> None:
    """End the workers of all loaders, when this process ends."""
    _close_all()
    for lifeline in tuple(_OPEN):
        lifeline.kill()


# `multiprocessing` waits for its children when the process ends; what was registered last is called first.
atexit.register(_end_all)


def _set_up_worker(lifeline: Connection, worker: int) -> None:
    """Prepare a worker that has just started, as the docstring of this module says."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    _close_all()
    threading.Thread(target=_end_with, args=(lifeline,), name="lifeline", daemon=True).start()
    # A batch that cannot be sent is dropped with a message, and the main process would wait for it for ever.
    Queue._on_queue_feeder_error = staticmethod(_die)  # type: ignore[attr-defined]


def _end_with(lifeline: Connection) -> None:
    lifeline.poll(None)
    os._exit(0)  # torch would report another code as a failure


def _die(error: Exception, batch: object) -> None:
    traceback.print_exception(error)
    os._exit(1)


@contextmanager
def hold_stop_signals() -> Iterator[None]:
    """A context that delays requests to stop, which a worker that is just starting would obey."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def check_shared_memory(workers: int, batch_bytes: int) -> None:
    """Check that the batches that `workers` have in hand find room in the memory that processes share.

    Raises:
        WorkerError: They do not.

    >>> check_shared_memory(workers=0, batch_bytes=1 << 60)
    """
    if not workers or not SHARED_MEMORY.is_dir():
        return
    need, free = workers * PREFETCH * batch_bytes, shutil.disk_usage(SHARED_MEMORY).free
    if need > free:
        raise WorkerError(
            f"--workers {workers}: their batches need {need / 1e6:,.1f} MB of {SHARED_MEMORY}, which has "
            f"{free / 1e6:,.1f} MB free; {MORE_ROOM}"
        )


@contextmanager
def worker_errors() -> Iterator[None]:
    """Turn what torch raises when a worker dies, which may be at any moment, into `WorkerError`."""
    try:
        yield
    except RuntimeError as error:
        if (message := explain_worker_error(str(error))) is not None:
            raise WorkerError(message) from error
        raise


@contextmanager
def handover_errors() -> Iterator[None]:
    """Turn what a loader raises when a worker dies while it hands over a batch into `WorkerError`."""
    try:
        yield
    except (EOFError, ConnectionError, FileNotFoundError) as error:
        if "DataLoader worker process" in str(error):  # raised in a worker that lives
            raise
        raise WorkerError(_DIED.format(f"{type(error).__name__}: {error}")) from error


def explain_worker_error(text: str) -> str | None:
    """What happened, and what to do, if `text` is torch's about a worker that died or found no memory to
    share.

    >>> explain_worker_error("a bug") is None
    True
    """
    if not any(part in text for part in ("DataLoader worker", "with the workers", "Pin memory thread")):
        return None
    *_, last = text.strip().splitlines()
    if "shared memory" in text or "</torch_" in text:  # files there are called torch_...
        return f"processes that decode images find no room in {SHARED_MEMORY}: {MORE_ROOM} ({last})"
    if "Too many open files" in text:
        return (
            f"processes that decode images open too many files: --workers 0, or a larger ulimit -n ({last})"
        )
    return _DIED.format(last) if text.startswith(("DataLoader worker (pid", "Pin memory thread")) else None
