"""A model behind mosec, for `serve_load.py`: `python benchmarks/serve_mosec.py MODEL PORT`, in the
environment that `make peers` makes. Batches as its documentation advises, and two processes that decode."""

from __future__ import annotations

import os
import sys
from typing import Any

import mosec
from serve_answer import BATCH, WAIT_S, answer

import resnext

#: The variable that tells its processes the folder of the model.
MODEL = "SERVED_MODEL"


class Prepare(mosec.Worker):
    """Decodes and resizes."""

    def __init__(self) -> None:
        self.classifier = resnext.load(os.environ[MODEL], "cpu")

    def deserialize(self, data: bytearray) -> bytes:
        return bytes(data)

    def forward(self, data: bytes) -> Any:
        return self.classifier.prepare(data, "image")


class Infer(mosec.Worker):
    """Computes."""

    def __init__(self) -> None:
        self.classifier = resnext.load(os.environ[MODEL], "cpu")

    def forward(self, data: list[Any]) -> list[dict[str, Any]]:
        return answer(self.classifier, data)


if __name__ == "__main__":
    os.environ[MODEL], port = sys.argv[1:]
    options = {"address": "127.0.0.1", "port": port, "timeout": "60000", "log-level": "warning"}
    sys.argv = ["mosec", *(word for name, value in options.items() for word in (f"--{name}", value))]
    server = mosec.Server()
    server.append_worker(Prepare, num=2)
    server.append_worker(Infer, num=1, max_batch_size=BATCH, max_wait_time=int(1000 * WAIT_S))
    server.run()
