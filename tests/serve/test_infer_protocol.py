"""The Open Inference Protocol: JSON and binary, as its texts describe them."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

from resnext.engine import Classifier
from tests.serve.loopback import CONTRACT, Answer, Served, encoded

INFER = "/v2/models/pets/infer"


def binary_body(images: list[bytes], **more: Any) -> tuple[bytes, int]:
    tensor = b"".join(struct.pack("<I", len(image)) + image for image in images)
    given = {"name": "image", "datatype": "BYTES", "shape": [len(images)]}
    head = json.dumps({"inputs": [given | {"parameters": {"binary_data_size": len(tensor)}}]} | more).encode()
    return head + tensor, len(head)


def send(served: Served, body: bytes, length: int) -> Answer:
    return served.post(INFER, body, **{"Inference-Header-Content-Length": str(length)})


def tensors_of(answer: Answer) -> dict[str, Any]:
    """The outputs of an answer by name, read as the protocol says."""
    length = int(answer.headers.get("inference-header-content-length", len(answer.body)))
    head, rest, found = json.loads(answer.body[:length]), answer.body[length:], {}
    for one in head["outputs"]:
        if (size := one.get("parameters", {}).get("binary_data_size")) is None:
            found[one["name"]] = np.array(one["data"]).reshape(one["shape"])
            continue
        raw, rest = rest[:size], rest[size:]
        if one["datatype"] == "BYTES":
            texts = []
            while raw:
                (count,) = struct.unpack("<I", raw[:4])
                texts.append(raw[4 : 4 + count].decode())
                raw = raw[4 + count :]
            found[one["name"]] = np.array(texts)
        else:
            dtype = {"FP32": "<f4", "BOOL": "?"}[one["datatype"]]
            found[one["name"]] = np.frombuffer(raw, dtype).reshape(one["shape"])
    assert rest == b""
    return found


def test_json_and_binary_give_the_answers_of_predict(served: Served, classifier: Classifier) -> None:
    images = [encoded(number) for number in range(3)]
    wanted = classifier.predict(images)
    texts = [base64.b64encode(image).decode() for image in images]
    given = {"name": "image", "datatype": "BYTES", "shape": [3], "data": texts}
    of_json = served.post(INFER, json.dumps({"id": "7", "inputs": [given]}), "application/json")
    assert of_json.json["id"] == "7"
    of_binary = send(served, *binary_body(images, parameters={"binary_data_output": True}))
    assert "inference-header-content-length" in of_binary.headers
    for answer in (of_json, of_binary):
        found = tensors_of(answer)
        assert list(found) == ["probabilities", "label", "probability", "rejected", "set"]
        assert list(found["label"]) == [one.label for one in wanted]
        rows = [[dict(one.ranking)[name] for name in CONTRACT.classes] for one in wanted]
        assert np.allclose(found["probabilities"], rows, atol=1e-6)
        assert np.allclose(found["probability"], [one.probability for one in wanted], atol=1e-6)
        assert list(found["rejected"]) == [one.rejected for one in wanted]
        held = [[name in one.set for name in CONTRACT.classes] for one in wanted]
        assert found["set"].tolist() == held


def test_outputs_are_chosen_and_each_in_its_form(served: Served) -> None:
    outputs = [{"name": "label", "parameters": {"binary_data": True}}, {"name": "rejected"}]
    answer = send(served, *binary_body([encoded()], outputs=outputs))
    head = json.loads(answer.body[: int(answer.headers["inference-header-content-length"])])
    assert [one["name"] for one in head["outputs"]] == ["label", "rejected"]
    assert "data" in head["outputs"][1]
    assert set(tensors_of(answer)) == {"label", "rejected"}


def test_health_and_metadata(served: Served) -> None:
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/pets/ready"):
        assert served.get(path).status == 200
    described = served.get("/v2/models/pets").json
    [version] = described["versions"]
    assert described == served.get(f"/v2/models/pets/versions/{version}").json
    assert described["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert described["outputs"][0] == {"name": "probabilities", "datatype": "FP32", "shape": [-1, 3]}
    assert described["parameters"]["classes"] == list(CONTRACT.classes)
    assert served.get("/v2/models/pets/versions/0").status == 404


@pytest.mark.parametrize(
    ("change", "status", "says"),
    [
        ({"inputs": []}, 400, "one tensor 'image'"),
        ({"inputs": [1]}, 400, "list of objects"),
        ({"inputs": [{"name": "image", "datatype": "FP32", "shape": [1]}]}, 400, "BYTES"),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [-1]}]}, 400, "shape"),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [5, 200], "data": [[""] * 200] * 5}]},
            413,
            "1,000 images",
        ),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}]}, 400, "needs data"),
        (
            {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [2], "data": ["AA=="]}]},
            400,
            "1 elements, and its shape says 2",
        ),
        ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": ["%"]}]}, 422, "base64"),
        ({"outputs": [{"name": "nothing"}]}, 400, "none of probabilities"),
        ({"id": 7}, 400, "id: must be text"),
    ],
)
def test_what_is_no_request_of_the_protocol(
    served: Served, change: dict[str, Any], status: int, says: str
) -> None:
    text = base64.b64encode(encoded()).decode()
    good = {"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}]}
    assert served.post(INFER, json.dumps(good), "application/json").status == 200
    answer = served.post(INFER, json.dumps(good | change), "application/json")
    assert answer.status == status
    assert says in answer.json["error"]


@pytest.mark.parametrize("length", ["x", "-1", "9" * 30, "99999999"])
def test_a_length_of_the_head_that_cannot_be(served: Served, length: str) -> None:
    body, _ = binary_body([encoded()])
    answer = served.post(INFER, body, **{"Inference-Header-Content-Length": length})
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


def test_a_tensor_that_is_longer_than_its_body_or_shorter_than_its_elements(served: Served) -> None:
    body, length = binary_body([encoded()])
    assert send(served, body[:-9], length).status == 400
    lying = bytearray(body)
    lying[length : length + 4] = struct.pack("<I", 2**31)
    assert "longer than its tensor" in send(served, bytes(lying), length).json["error"]
