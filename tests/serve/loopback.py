"""A server in a thread, over loopback, and a client in plain HTTP."""

from __future__ import annotations

import asyncio
import http.client
import io
import json
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from resnext.arch import Architecture
from resnext.contract import Calibration, Contract, Input, PredictionSets, Provenance, Rejection, Resize
from resnext.engine import Classifier
from resnext.serve.application import Application, make_application
from resnext.serve.limits import LIMITS, RequestLimits
from resnext.serve.metrics import Metrics
from resnext.serve.models import Shelf
from resnext.serve.processes import GracefulServer
from resnext.serve.serving import listen

ARCH = Architecture.from_name("resnet11+template=8", 3)
CONTRACT = Contract(
    classes=("cat", "dog", "été"),
    input=Input(3, 16, 16),
    resize=Resize(18, 16),
    mean=(0.5,) * 3,
    std=(0.25,) * 3,
    provenance=Provenance(ARCH.name),
    calibration=Calibration(2.0, Rejection("probability", 0.1, 0.05), PredictionSets(0.9, 0.2)),
)


@dataclass
class Answer:
    """What a server has answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Served:
    """A server that runs, and how to ask it."""

    port: int
    application: Application
    server: GracefulServer
    shelf: Shelf
    thread: threading.Thread

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any, kind: str = "application/octet-stream", **headers: str) -> Answer:
        return self.ask("POST", path, body, {"Content-Type": kind} | headers)

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join(30)
        assert not self.thread.is_alive()


def start(classifiers: dict[str, Classifier], limits: RequestLimits = LIMITS, **options: Any) -> Served:
    shelf = Shelf({name: name for name in classifiers}, lambda name: classifiers[name])
    listener, ready = listen("127.0.0.1", 0), threading.Event()
    made: list[Any] = []

    async def run() -> None:
        application = make_application(shelf, limits, Metrics(list(classifiers)), **options)
        server = GracefulServer(application, limits.stop_s, ready.set)
        made.extend([application, server])
        await server.serve([listener])

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    port = listener.getsockname()[1]
    thread.start()
    assert ready.wait(30)
    return Served(port, made[0], made[1], shelf, thread)


def encoded(number: int = 0, size: tuple[int, int] = (24, 20), kind: str = "PNG") -> bytes:
    """An image file of noise."""
    values = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(values).save(file := io.BytesIO(), kind)
    return file.getvalue()


def form(*images: bytes, field: str = "images") -> tuple[bytes, str]:
    """A form with files, and its type."""
    parts = b"".join(
        b'--XyZ\r\nContent-Disposition: form-data; name="%s"; filename="%d.png"\r\n\r\n%s\r\n'
        % (field.encode(), number, image)
        for number, image in enumerate(images)
    )
    return parts + b"--XyZ--\r\n", "multipart/form-data; boundary=XyZ"
