"""The v2 client of Triton, unmodified, against `resnext serve`: `make clients`.

`python tests/serve/official_client.py IMAGE -- COMMAND`, in an environment with `tritonclient[http]`; COMMAND
starts the server. Its answers must be those of /predict.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException


def check(address: str, image: bytes) -> None:
    with urllib.request.urlopen(
        urllib.request.Request(f"http://{address}/predict?top=1000", image)
    ) as answer:
        wanted = json.load(answer)
    name, [of_predict] = wanted["model"], wanted["images"]
    client = InferenceServerClient(address)
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready(name)
    about = client.get_model_metadata(name)
    classes = about["parameters"]["classes"]
    print(f"ok  live, ready, metadata: {len(classes)} classes", flush=True)
    for in_binary in (True, False):
        given = InferInput("image", [2], "BYTES")
        if in_binary:
            given.set_data_from_numpy(np.array([image, image], dtype=np.object_))
        else:
            from base64 import b64encode

            text = b64encode(image)
            given.set_data_from_numpy(np.array([text, text], dtype=np.object_), binary_data=False)
        chosen = [InferRequestedOutput(one, binary_data=in_binary) for one in ("probabilities", "label")]
        for outputs in (None, chosen):
            result = client.infer(name, [given], outputs=outputs, request_id="1")
            probabilities = result.as_numpy("probabilities")
            assert probabilities.shape == (2, len(classes))
            label = result.as_numpy("label")[0]
            assert (label.decode() if isinstance(label, bytes) else label) == of_predict["label"]
            by_class = {one["label"]: one["probability"] for one in of_predict["ranking"]}
            expected = [by_class[one] for one in classes]
            assert np.allclose(probabilities, [expected, expected], atol=1e-5)
            if outputs is None:
                assert bool(result.as_numpy("rejected")[0]) == of_predict["rejected"]
                assert result.as_numpy("set").shape == probabilities.shape
    print("ok  infer, in binary and as JSON, all outputs and some: the answers of /predict", flush=True)
    later = client.async_infer(name, [given])
    assert later.get_result().as_numpy("label") is not None
    given = InferInput("image", [1], "BYTES")
    given.set_data_from_numpy(np.array([b"no image"], dtype=np.object_))
    for bad_name in (name, "nobody"):
        try:
            client.infer(bad_name, [given])
        except InferenceServerException as error:
            print(f"ok  an error reaches the client: {error.message()[:70]}", flush=True)
        else:
            raise AssertionError("a bad request was answered")
    client.close()


def main() -> None:
    image, _, *command = sys.argv[1:]
    server = subprocess.Popen([*command, "--port", "0"], stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://(\S+:\d+)/", server.stdout.readline())  # type: ignore[union-attr]
        check(found[1], Path(image).read_bytes())  # type: ignore[index]
    finally:
        server.terminate()
        assert server.wait(20) == 0


if __name__ == "__main__":
    main()
