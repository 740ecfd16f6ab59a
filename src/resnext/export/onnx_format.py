"""Export to ONNX: one file, which carries the contract."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import torch

from resnext.engine import ModelError, Seal, Takes
from resnext.engine.libraries import import_library
from resnext.engine.onnx_file import MAX_BYTES, sealed_content
from resnext.engine.seal import KEY
from resnext.export.format import Format
from resnext.export.graph import PIXELS, Source, trace
from resnext.export.model_info import model_info
from resnext.export.preparation import prepare_inside_onnx

#: Version of the operators: as old as the exporter of torch writes them without a conversion.
OPSET = 18


class OnnxFormat(Format):
    """ONNX, in one file."""

    name: ClassVar[str] = "onnx"
    suffix: ClassVar[str] = ".onnx"
    takes: ClassVar[tuple[Takes, ...]] = ("pixels", "images")

    def write(self, source: Source, path: Path) -> None:
        write_onnx(onnx_model(source, path, source.takes), source, path)


def write_onnx(model: Any, source: Source, path: Path) -> None:
    """Write an ONNX `ModelProto` that computes `source`, with the contract in its metadata.

    Raises `ModelError` if it is too large.
    """
    onnx = import_library("onnx", path)
    info = model_info(source.contract) if source.takes == "pixels" else {}
    metadata = {f"model_info {key}": value for key, value in info.items()}
    seal = Seal(source.contract, source.sha256).dumps(sealed_content(model))
    onnx.helper.set_model_props(model, metadata | {KEY: seal})
    content = model.SerializeToString()
    if len(content) > MAX_BYTES:
        raise ModelError(f"{source.name}: takes {len(content):,} bytes, more than a file of ONNX can hold")
    path.write_bytes(content)


def onnx_model(source: Source, path: Path, takes: Takes = "pixels") -> Any:
    """`source` as an ONNX `ModelProto`, without metadata.

    Args:
        source: What is exported.
        path: Where it will lie, for errors.
        takes: What goes in.

    Raises:
        EngineMissing: A library is not installed.
        ModelError: It cannot prepare images as the contract says.
    """
    for library in ("onnx", "onnxscript"):  # which the exporter of torch imports
        import_library(library, path)
    with _quiet():
        program = torch.onnx.export(
            trace(source),
            dynamo=True,
            opset_version=OPSET,
            input_names=[PIXELS],
            output_names=list(source.output_names),
            external_data=False,
            verbose=False,
        )
    assert program is not None  # it is written to no file
    model = program.model_proto
    _forget_this_machine(model)
    model.producer_name, model.producer_version = "resnext", ""
    if takes == "images":
        prepare_inside_onnx(model, source.contract)
    return model


def _forget_this_machine(model: Any) -> None:
    """Remove notes of the exporter about each layer, which hold paths of files on this machine, and name the
    only dynamic size."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.initializer, *graph.input, *graph.output, *graph.value_info):
        del part.metadata_props[:]
        part.doc_string = ""
    for value in (*graph.input, *graph.output, *graph.value_info):
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                dim.dim_param = "batch"


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the exporter tells about libraries that it does not need, and about torch."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
