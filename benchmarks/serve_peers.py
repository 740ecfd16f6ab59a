"""The same network and pre-processing behind other servers: LitServe and mosec, for `serve_load.py`.

`python benchmarks/serve_peers.py litserve|mosec MODEL PORT`, in an environment of its own (`make peers`) that
has these servers beside this package. Each is set up as its documentation advises for such a network: batches
of up to 32 images; mosec decodes in two processes of its own, LitServe where it computes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import resnext
from resnext.engine import Classifier
from resnext.engine.classifier import BatchPrediction

BATCH = 32
WAIT_S = 0.01


def answer(classifier: Classifier, prepared: Sequence[Any]) -> list[dict[str, Any]]:
    """What both send back for each image."""
    batch: BatchPrediction = classifier.answer(prepared)
    named = classifier.name_classes([""] * len(prepared), batch)
    return [{"label": one.label, "probability": one.probability} for one in named]


def serve_litserve(model: str, port: int) -> None:
    import litserve
    from fastapi import Request

    class Api(litserve.LitAPI):
        def setup(self, device: str) -> None:
            self.classifier = resnext.load(model, "cpu")

        async def decode_request(self, request: Request) -> Any:
            return self.classifier.prepare(await request.body(), "image")

        def batch(self, inputs: list[Any]) -> list[Any]:
            return inputs

        def predict(self, inputs: list[Any]) -> list[dict[str, Any]]:
            return answer(self.classifier, inputs)

        def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
            return output

        def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
            return output

    server = litserve.LitServer(Api(max_batch_size=BATCH, batch_timeout=WAIT_S), accelerator="cpu")
    server.run(host="127.0.0.1", port=port, generate_client_file=False, log_level="warning")


def serve_mosec(model: str, port: int) -> None:
    import mosec

    class Prepare(mosec.Worker):
        def __init__(self) -> None:
            self.classifier = resnext.load(model, "cpu")

        def deserialize(self, data: bytes) -> bytes:
            return data

        def forward(self, data: bytes) -> Any:
            return self.classifier.prepare(data, "image")

    class Infer(mosec.Worker):
        def __init__(self) -> None:
            self.classifier = resnext.load(model, "cpu")

        def forward(self, data: list[Any]) -> list[dict[str, Any]]:
            return answer(self.classifier, data)

    sys.argv = ["mosec", "--address", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
    server = mosec.Server()
    server.append_worker(Prepare, num=2)
    server.append_worker(Infer, num=1, max_batch_size=BATCH, max_wait_time=int(1000 * WAIT_S))
    server.run()


if __name__ == "__main__":
    kind, model, port = sys.argv[1:]
    {"litserve": serve_litserve, "mosec": serve_mosec}[kind](model, int(port))
