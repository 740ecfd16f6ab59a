"""The Open Inference Protocol, version 2, over HTTP, with the extension for tensors in binary.

Clients of KServe, Triton and OpenVINO Model Server speak it. Images come encoded, as elements of type BYTES.
Source: https://github.com/kserve/open-inference-protocol, and Triton's `extension_binary_data`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.names import brief
from resnext.serve.bodies import EncodedImage, of_base64, read_json
from resnext.serve.models import ImageAnswer, LoadedModel
from resnext.serve.problems import problem

INPUT = "image"
#: Header that says how many bytes of a body are JSON; tensors follow.
JSON_LENGTH = "inference-header-content-length"
#: Bytes before each element of a binary BYTES tensor, which say its length, little-endian.
LENGTH_BYTES = 4
Values = Sequence[bytes] | NDArray[Any]


@dataclass(frozen=True)
class Tensor:
    """An output: its name, its type in the protocol, and how it is made.

    Attributes:
        name: Its name.
        datatype: Its type.
        is_by_class: Whether it has a value for each class, or one for each image.
        of: Makes its value for an image.
    """

    name: str
    datatype: str
    is_by_class: bool
    of: Callable[[LoadedModel, ImageAnswer], Any]


def _probabilities(model: LoadedModel, answer: ImageAnswer) -> list[float]:
    by_class = dict(answer.prediction.ranking)
    return [by_class[name] for name in model.classifier.contract.classes]


def _in_set(model: LoadedModel, answer: ImageAnswer) -> list[bool]:
    held = set(answer.prediction.set)
    return [name in held for name in model.classifier.contract.classes]


#: All outputs, in order. The classes are in that of the metadata's parameter `classes`.
OUTPUTS = {
    tensor.name: tensor
    for tensor in (
        Tensor("probabilities", "FP32", True, _probabilities),
        Tensor("label", "BYTES", False, lambda _, answer: answer.prediction.label.encode()),
        Tensor("probability", "FP32", False, lambda _, answer: answer.prediction.probability),
        Tensor("rejected", "BOOL", False, lambda _, answer: answer.prediction.rejected),
        Tensor("set", "BOOL", True, _in_set),
    )
}
_DTYPES = {"FP32": np.dtype("<f4"), "BOOL": np.dtype(bool)}


@dataclass(frozen=True)
class InferRequest:
    """A request of the protocol.

    Attributes:
        id: What the client calls it; empty if it does not.
        images: The images.
        outputs: Names of the outputs, and whether each is sent in binary.
    """

    id: str
    images: list[EncodedImage]
    outputs: dict[str, bool]


def parse_infer(body: bytes, json_length: str | None, most: int) -> InferRequest:
    """The request in a body.

    Args:
        body: JSON, then the binary tensors.
        json_length: Bytes of the JSON, as the header says; None if it is all.
        most: Most images.

    Raises:
        HTTPException: It is no such request (400), or has too many images (413).
    """
    length = len(body)
    if json_length is not None:
        if not (json_length.isascii() and json_length.isdigit() and int(json_length[:20]) <= length):
            raise problem(400, "Inference-Header-Content-Length: must be a number within the body")
        length = int(json_length)
    head, binary = read_json(body[:length]), memoryview(body)[length:]
    if not isinstance(head, dict):
        raise problem(400, "the body must be a JSON object with `inputs`")
    given = _list_of_objects(head.get("inputs"), "inputs")
    if len(given) != 1 or given[0].get("name") != INPUT or given[0].get("datatype") != "BYTES":
        raise problem(400, f"inputs: must be one tensor {INPUT!r} of datatype BYTES with encoded images")
    identity = head.get("id", "")
    if not isinstance(identity, str) or len(identity) > 1000:
        raise problem(400, "id: must be text of at most 1,000 characters")
    outputs = _outputs(head)
    return InferRequest(identity, _images(given[0], binary, most), outputs)


def _list_of_objects(value: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
        raise problem(400, f"{where}: must be a list of objects")
    return value


def _parameters(value: dict[str, Any], where: str) -> dict[str, Any]:
    parameters = value.get("parameters", {})
    if not isinstance(parameters, dict):
        raise problem(400, f"{where}.parameters: must be an object")
    return parameters


def _images(tensor: dict[str, Any], binary: memoryview, most: int) -> list[EncodedImage]:
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not all(type(n) is int and 0 <= n < 2**31 for n in shape) or not shape:
        raise problem(400, "inputs[0].shape: must be a list of sizes, as [1]")
    count = int(np.prod(shape, dtype=object))
    size = _parameters(tensor, "inputs[0]").get("binary_data_size")
    if size is not None:
        if type(size) is not int or not 0 <= size <= len(binary):
            raise problem(400, "inputs[0].parameters.binary_data_size: must be a size within the body")
        elements: list[Any] = _split(binary[:size])
    else:
        data = tensor.get("data")
        if not isinstance(data, list):
            raise problem(400, "inputs[0]: needs data, a list of images in base64, or binary_data_size")
        elements = data
        while elements and all(isinstance(one, list) for one in elements):
            elements = [inner for one in elements for inner in one]
    if len(elements) != count or not count:
        raise problem(400, f"inputs[0]: has {len(elements):,} elements, and its shape says {count:,}")
    if count > most:
        raise problem(413, f"{count:,} images; at most {most:,} are taken at a time")
    if size is None:
        elements = [of_base64(one, f"inputs[0].data[{n}]") for n, one in enumerate(elements)]
    return [EncodedImage(f"image {n}", content) for n, content in enumerate(elements)]


def _split(tensor: memoryview) -> list[bytes]:
    """The elements of a binary BYTES tensor. Raises `HTTPException`.

    >>> _split(memoryview(b"\\2\\0\\0\\0ab\\0\\0\\0\\0"))
    [b'ab', b'']
    """
    elements, place = [], 0
    while place < len(tensor):
        end = place + LENGTH_BYTES
        length = int.from_bytes(tensor[place:end], "little")
        if end + length > len(tensor):
            raise problem(400, "inputs[0]: an element is longer than its tensor")
        elements.append(bytes(tensor[end : end + length]))
        place = end + length
    return elements


def _outputs(head: dict[str, Any]) -> dict[str, bool]:
    """Whether each output is sent in binary, by name; all that are asked for, or all there are."""
    is_binary = _parameters(head, "the request").get("binary_data_output", False) is True
    if not head.get("outputs"):
        return dict.fromkeys(OUTPUTS, is_binary)
    chosen = {}
    for one in _list_of_objects(head["outputs"], "outputs"):
        name = one.get("name")
        if not isinstance(name, str) or name not in OUTPUTS:
            raise problem(400, f"outputs: {brief(str(name))!r} is none of {', '.join(OUTPUTS)}")
        parameters = _parameters(one, f"outputs.{name}")
        if parameters.get("classification"):
            raise problem(400, f"outputs.{name}: has no classification; ask for label and probability")
        chosen[name] = parameters.get("binary_data", is_binary) is True
    return chosen


def dump_infer(
    model: LoadedModel, request: InferRequest, answers: Sequence[ImageAnswer]
) -> tuple[bytes, int | None]:
    """The body of the answer, and how many bytes of it are JSON if tensors follow."""
    tensors, pieces = [], []
    for name, is_binary in request.outputs.items():
        tensor = OUTPUTS[name]
        values = [tensor.of(model, answer) for answer in answers]
        shape = [len(answers), len(model.classifier.contract.classes)][: 1 + tensor.is_by_class]
        said: dict[str, Any] = {"name": name, "datatype": tensor.datatype, "shape": shape}
        if is_binary:
            pieces.append(_binary(tensor, values))
            said["parameters"] = {"binary_data_size": len(pieces[-1])}
        elif tensor.datatype == "BYTES":
            said["data"] = [value.decode() for value in values]
        else:
            said["data"] = np.array(values).reshape(-1).tolist()
        tensors.append(said)
    body: dict[str, Any] = {
        "model_name": model.name,
        "model_version": version_of(model),
        "parameters": {"digest": model.digest, "engine": model.classifier.engine.name},
        "outputs": tensors,
    }
    if request.id:
        body["id"] = request.id
    head = json.dumps(body).encode()
    return b"".join([head, *pieces]), len(head) if pieces else None


def _binary(tensor: Tensor, values: list[Any]) -> bytes:
    if tensor.datatype == "BYTES":
        return b"".join(len(value).to_bytes(LENGTH_BYTES, "little") + value for value in values)
    return np.array(values).astype(_DTYPES[tensor.datatype]).tobytes()


def version_of(model: LoadedModel) -> str:
    """The version of a model: the beginning of its digest."""
    return model.digest[:12]


def metadata(model: LoadedModel) -> dict[str, Any]:
    """What the protocol says of a model, with its classes in the order of the outputs."""
    classes = list(model.classifier.contract.classes)
    return {
        "name": model.name,
        "versions": [version_of(model)],
        "platform": f"resnext_{model.classifier.engine.name}",
        "inputs": [{"name": INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {
                "name": one.name,
                "datatype": one.datatype,
                "shape": [-1, len(classes)][: 1 + one.is_by_class],
            }
            for one in OUTPUTS.values()
        ],
        "parameters": {"classes": classes, "digest": model.digest},
    }
