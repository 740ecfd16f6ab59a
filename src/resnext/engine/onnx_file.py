"""`OnnxFile`: an ONNX file that anybody may have written, read within bounds before anything runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnext.engine.engine import ModelError, Output
from resnext.engine.exported_file import INPUTS, OUTPUTS, ExportedFile, read_whole
from resnext.engine.foreign import ForeignContract, refuse_foreign
from resnext.engine.libraries import import_library
from resnext.engine.seal import KEY, Seal
from resnext.names import brief

#: Largest file, which is also the largest that the format allows, and deepest graphs inside each other.
MAX_BYTES, MAX_DEPTH = 2**31 - 1, 8


@dataclass(frozen=True)
class OnnxFile(ExportedFile):
    """A network in ONNX; `content` is in the file, and `has_parts` tells whether values lie in files beside
    it."""

    content: bytes = b""
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
        refuse_foreign(path, foreign)
        if has_parts:
            raise ModelError(f"{path}: was changed after it was exported: values of it lie in other files")
        seal = Seal.loads(kept[0], sealed_content(model), str(path))
        names = [output.name for output in model.graph.output]
        outputs: dict[Output, str] = {name: name for name in OUTPUTS if name in names}
        input = next((one.name for one in model.graph.input if one.name in INPUTS), "")
        takes = INPUTS.get(input, "pixels")
        return cls(path, seal.contract, seal.source, input, outputs, takes=takes, content=content)

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
        one_by_one = batch == 1
        return cls(path, contract, "", pixels.name, outputs, one_by_one, content=content, has_parts=has_parts)


def sealed_content(model: Any) -> Iterator[bytes]:
    """What decides what an ONNX `ModelProto` computes."""
    yield model.graph.SerializeToString(deterministic=True)
    for part in (*model.functions, *model.opset_import):
        yield part.SerializeToString(deterministic=True)


def _parse(path: Path, content: bytes) -> Any:
    onnx = import_library("onnx", path)
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
