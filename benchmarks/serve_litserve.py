"""A model behind LitServe, for `serve_load.py`: `python benchmarks/serve_litserve.py MODEL PORT`, in the
environment that `make peers` makes. Batches as its documentation advises; it decodes where it computes."""

import sys
from typing import Annotated, Any

import litserve
from fastapi import Body
from serve_answer import BATCH, WAIT_S, answer

import resnext


class Api(litserve.LitAPI):
    """The network of the folder `place`."""

    place = ""

    def setup(self, device: str) -> None:
        self.classifier = resnext.load(self.place, "cpu")

    def decode_request(self, request: Annotated[bytes, Body()]) -> Any:  # the body as it is
        return self.classifier.prepare(request, "image")

    def batch(self, inputs: list[Any]) -> list[Any]:
        return inputs

    def predict(self, inputs: list[Any]) -> list[dict[str, Any]]:
        return answer(self.classifier, inputs)

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    api = Api(max_batch_size=BATCH, batch_timeout=WAIT_S)
    api.place = sys.argv[1]
    server = litserve.LitServer(api, accelerator="cpu")
    server.run(host="127.0.0.1", port=int(sys.argv[2]), generate_client_file=False, log_level="warning")
