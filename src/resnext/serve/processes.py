"""The processes that answer: one, or several behind one socket, and how they begin and stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event
from typing import Any

import torch
import uvicorn

from resnext.engine import Classifier, is_exported, open_model
from resnext.errors import ResnextError
from resnext.machine import count_cores, find_machine
from resnext.names import printable
from resnext.serve.application import Application, make_application
from resnext.serve.connection import BoundedConnection
from resnext.serve.metrics import Metrics, count_numbers
from resnext.serve.models import Shelf
from resnext.serve.serving import ServeError, ServeOptions, address_of, is_loopback

#: Seconds between two looks at the processes, and that they have beyond the time to stop.
WATCH_S, STOP_MARGIN_S = 0.2, 1.0
Say = Callable[[str], object]
#: Signals that ask a server to stop.
STOPS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))


class GracefulServer(uvicorn.Server):
    """Uvicorn's server, which stops at a signal as if it had ended by itself.

    Args:
        application: What answers.
        stop_s: Time that accepted requests have to be answered.
        when_ready: Called once requests are answered.
    """

    def __init__(self, application: Application, stop_s: float, when_ready: Callable[[], object]) -> None:
        config = uvicorn.Config(
            application.asgi,
            http=BoundedConnection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=15,
            timeout_graceful_shutdown=stop_s,  # type: ignore[arg-type]
        )
        super().__init__(config)
        self._application = application
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._application.begin_stop()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at the first signal, and lose what is not answered at the second."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        heard = [number for number in STOPS if signal.getsignal(number) is not signal.SIG_IGN]
        before = {number: signal.signal(number, self.handle_exit) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def run_one(models: dict[str, str], options: ServeOptions, listener: socket.socket, say: Say) -> None:
    """Answer requests in this process until it is asked to stop."""
    shelf, metrics = open_shelf(models, options, say)
    for model in shelf:
        if note := model.classifier.note:
            say(f"note: {note}")

    def tell() -> None:
        names = ", ".join(model.name for model in shelf)
        say(f"serving {names} at {address_of(listener)}/ (stop with Ctrl-C)")

    answer_at(shelf, metrics, options, listener, tell)


def open_shelf(
    models: dict[str, str], options: ServeOptions, say: Say, memory: Any = None, process: int = 0
) -> tuple[Shelf, Metrics]:
    """The models, and the figures about them."""
    metrics = Metrics(list(models), memory, process)

    def tell(name: str, error: Exception | None) -> None:
        metrics.add("resnext_failed_reloads_total" if error else "resnext_reloads_total", 1, name)
        what = f"stays as it was, since it cannot be opened again: {error}" if error else "was opened again"
        with contextlib.suppress(OSError):  # nobody reads the output any more
            say(f"{name}: {what}")

    return Shelf(models, lambda place: open_classifier(place, options), tell), metrics


def open_classifier(place: str, options: ServeOptions) -> Classifier:
    """The model at a path or of a name."""
    device = "cpu" if options.device is None and is_exported(place) else options.device
    return open_model(place, find_machine(device).device, options.engine)


def answer_at(
    shelf: Shelf,
    metrics: Metrics,
    options: ServeOptions,
    listener: socket.socket,
    when_ready: Callable[[], object],
) -> None:
    """Answer requests at a socket until this process is asked to stop."""
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)  # broken requests of clients are no news
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)

    async def run() -> None:
        application = make_application(
            shelf,
            options.limits,
            metrics,
            options.token,
            options.origins,
            options.reload_s,
            is_local=options.token is None and is_loopback(options.host),
        )
        await GracefulServer(application, options.limits.stop_s, when_ready).serve([listener])

    asyncio.run(run())


def run_several(models: dict[str, str], options: ServeOptions, listener: socket.socket, say: Say) -> None:
    """Answer requests in several processes, which accept connections at one socket, until asked to stop.

    A process that ends by itself is started again. One that ends before it was ready ends all.

    Raises:
        ServeError: A process cannot begin.
    """
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that threads of torch hold
    memory = context.RawArray("d", options.workers * count_numbers(list(models)))
    ready = [context.Event() for _ in range(options.workers)]

    def start(number: int) -> SpawnProcess:
        ready[number].clear()
        arguments = (models, options, listener, memory, number, ready[number])
        process = context.Process(target=_work, args=arguments, name=f"serve {number}", daemon=True)
        process.start()
        return process

    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in STOPS}
    processes = [start(number) for number in range(options.workers)]
    try:
        told = False
        while not stop.is_set():
            for number, process in enumerate(processes):
                if process.is_alive():
                    continue
                if not ready[number].is_set():
                    raise ServeError(f"a process could not begin (exit code {process.exitcode})")
                say(f"a process ended (exit code {process.exitcode}), and is started again")
                processes[number] = start(number)
            if not told and all(one.is_set() for one in ready):
                told = True
                names = ", ".join(models)
                say(f"serving {names} at {address_of(listener)}/ in {options.workers} processes")
            stop.wait(WATCH_S)
    finally:
        listener.close()
        for process in processes:
            process.terminate()
        until = time.monotonic() + options.limits.stop_s + STOP_MARGIN_S
        for process in processes:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
        for number, handler in before.items():
            signal.signal(number, handler)


def _work(
    models: dict[str, str],
    options: ServeOptions,
    listener: socket.socket,
    memory: Any,
    number: int,
    ready: Event,
) -> None:
    """One of several processes."""
    torch.set_num_threads(max(1, count_cores() // options.workers))
    _end_with_parent()

    def say(line: str) -> None:
        if number == 0:  # the others see the same
            print(printable(line), flush=True)

    try:
        shelf, metrics = open_shelf(models, options, say, memory, number)
    except ResnextError as error:
        print(f"resnext: {error}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    answer_at(shelf, metrics, options, listener, ready.set)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        sentinel = parent.sentinel

        def wait() -> None:
            multiprocessing.connection.wait([sentinel])
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=wait, name="parent", daemon=True).start()
