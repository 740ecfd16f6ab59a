"""`OnnxFile`: an ONNX file that anybody may have written, read within bounds before anything runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from resnext.contract import Contract
from resnext.engine.engine import EngineMissing, ModelError, Output
from resnext.engine.foreign import ForeignContract
from resnext.engine.seal import KEY, Seal
from resnext.files import ordinary
from resnext.names import brief

#: Largest file, which is also the largest that the format allows, and deepest graphs inside each other.
MAX_BYTES, MAX_DEPTH = 2**31 - 1, 8
#: Name of our input.
PIXELS = "pixel_values"
OUTPUTS: tuple[Output, ...] = ("logits", "probabilities", "cam")


@dataclass(frozen=True)
class OnnxFile:
    """A network in ONNX.

    Attributes:
        path: The file.
        content: What is in it.
        contract: Its classes, preprocessing and calibration.
        source: SHA-256 of the weights that it was exported from; empty if nobody says.
        input: Name of its input.
        outputs: Its own names of what it computes.
        one_by_one: Whether it takes a single image at a time.
        has_parts: Whether some of its values lie in files beside it.
    """

    path: Path
    content: bytes
    contract: Contract
    source: str
    input: str
    outputs: Mapping[Output, str]
    one_by_one: bool = False
    has_parts: bool = False

    @classmethod
    def read(cls, path: Path, foreign: ForeignContract | None = None) -> OnnxFile:
        """The network in the file at `path`.

        Args:
            path: The file.
            foreign: What the user says about a file that carries no contract.

        Raises:
            ModelError: It is no such file, was changed after its export, asks for files elsewhere, or is no
                classifier of images.
            EngineMissing: The library `onnx` is not installed.
        """
        content = read_whole(path, MAX_BYTES)
        model = _parse(path, content)
        has_parts = _check_parts(path, model)
        kept = [item.value for item in model.metadata_props if item.key == KEY]
        if not kept:
            return cls._read_foreign(path, content, model, foreign or ForeignContract(), has_parts)
        if len(kept) > 1:
            raise ModelError(f"{path}: carries more than one contract; take the file from where it came from")
        if foreign is not None and foreign.given:
            raise ModelError(f"{path}: carries its own contract; leave out {foreign.given}")
        seal = Seal.loads(kept[0], sealed_content(model), str(path))
        names = [output.name for output in model.graph.output]
        outputs: dict[Output, str] = {name: name for name in OUTPUTS if name in names}
        return cls(path, content, seal.contract, seal.source, PIXELS, outputs, has_parts=has_parts)

    @classmethod
    def _read_foreign(
        cls, path: Path, content: bytes, model: Any, foreign: ForeignContract, has_parts: bool
    ) -> OnnxFile:
        pixels = _image_input(path, model)
        batch, *shape = (dim.dim_value for dim in pixels.type.tensor_type.shape.dim)
        if batch > 1:
            raise ModelError(f"{path}: takes batches of {batch} images only; export it for any, or for 1")
        contract = foreign.contract(path, shape)
        outputs = _foreign_outputs(model)
        return cls(path, content, contract, "", pixels.name, outputs, batch == 1, has_parts)


def sealed_content(model: Any) -> Iterator[bytes]:
    """What decides what an ONNX `ModelProto` computes."""
    yield model.graph.SerializeToString(deterministic=True)
    for part in (*model.functions, *model.opset_import):
        yield part.SerializeToString(deterministic=True)


def import_onnx(path: Path | str) -> ModuleType:
    """The library `onnx`. Raises `EngineMissing`."""
    try:
        import onnx
    except ImportError:
        raise EngineMissing(f"{path}: needs the library onnx; pip install 'resnext[onnx]'") from None
    return onnx


def read_whole(path: Path, max_bytes: int) -> bytes:
    """All bytes of a model file. Raises `ModelError` if it is no file, or larger than `max_bytes`."""
    try:
        with open(path, "rb", opener=ordinary) as file:
            if os.fstat(file.fileno()).st_size > max_bytes:
                raise ModelError(f"{path}: is larger than {max_bytes:,} bytes, too large for a model")
            return file.read()
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror or error})") from None


def _parse(path: Path, content: bytes) -> Any:
    onnx = import_onnx(path)
    from google.protobuf.message import DecodeError  # a part of onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except DecodeError:
        raise ModelError(f"{path}: is no complete ONNX file") from None
    if not model.graph.node:
        raise ModelError(f"{path}: is no ONNX file, or an empty one")
    return model


def _check_parts(path: Path, model: Any) -> bool:
    """Whether values of the network lie in files beside it.

    Raises `ModelError` if they lie in another folder, or a link leads there.
    """
    folder, found = path.parent.resolve(), False
    for tensor in _all_tensors(path, model):
        if tensor.data_location != tensor.EXTERNAL:
            continue
        found = True
        location = next((item.value for item in tensor.external_data if item.key == "location"), "")
        place = (folder / location).resolve()
        if not location or not place.is_relative_to(folder):
            raise ModelError(
                f"{path}: takes values from {brief(location)!r}, outside of its folder, which is not "
                "followed; put all files of the model into one folder"
            )
        if not place.is_file():
            raise ModelError(f"{path}: needs the file {brief(location)} beside it, which is missing")
    return found


def _all_tensors(path: Path, model: Any) -> Iterator[Any]:
    yield from _tensors(path, model.graph, 0)
    for function in model.functions:
        for node in function.node:
            yield from _tensors_of_node(path, node, 0)


def _tensors(path: Path, graph: Any, depth: int) -> Iterator[Any]:
    if depth > MAX_DEPTH:
        raise ModelError(f"{path}: has graphs inside each other, more than {MAX_DEPTH} deep")
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from _tensors_of_node(path, node, depth)


def _tensors_of_node(path: Path, node: Any, depth: int) -> Iterator[Any]:
    for attribute in node.attribute:
        yield from (attribute.t, *attribute.tensors)
        for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
            yield from (sparse.values, sparse.indices)
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            yield from _tensors(path, graph, depth + 1)


def _image_input(path: Path, model: Any) -> Any:
    """The input of a file of others. Raises `ModelError` if it is not one batch of images."""
    initial = {tensor.name for tensor in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in initial]
    if len(inputs) != 1:
        names = brief(", ".join(one.name for one in inputs))
        raise ModelError(f"{path}: has {len(inputs)} inputs ({names}); a classifier has one, of images")
    kind = inputs[0].type.tensor_type
    if kind.elem_type != 1 or len(kind.shape.dim) != 4:
        raise ModelError(
            f"{path}: its input {brief(inputs[0].name)} is no batch of images, float32 (B, 3, H, W); export "
            "it with such an input"
        )
    return inputs[0]


def _foreign_outputs(model: Any) -> dict[Output, str]:
    """Whether the first output of a file of others holds probabilities, by the layer that it comes from."""
    name = model.graph.output[0].name
    layer = next((node.op_type for node in model.graph.node if name in node.output), "")
    return {"probabilities" if layer == "Softmax" else "logits": name}
