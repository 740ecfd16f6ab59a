"""Small graphs of ONNX as calls, computed as the engines compute exported networks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.engine.libraries import import_library
from resnext.engine.onnx_runtime import open_session
from resnext.engine.openvino_engine import compile_for_cpu
from resnext.export.graph import PIXELS
from resnext.export.int8 import QUANTIZERS
from resnext.export.openvino_format import from_onnx

#: Threads of one session that spin while they wait would slow down the session that is timed next.
ALONE = {"session.intra_op.allow_spinning": "0"}
Call = Callable[[NDArray[np.float32]], object]


def by_onnxruntime(model: Any, precision: str, path: Path) -> Call:
    """A call of onnxruntime that computes `model`, an ONNX `ModelProto`.

    Args:
        model: Its only input is `PIXELS`.
        precision: `float32` or `int8`.
        path: What it is for, for errors.

    Raises:
        EngineMissing: A library is not installed.
    """
    if precision == "int8":
        model = QUANTIZERS["onnx"].quantize(model, [_sample(model)], "any", path)
    session = open_session(model.SerializeToString(), path, ALONE)
    return lambda pixels: session.run(None, {PIXELS: pixels})


def by_openvino(model: Any, precision: str, path: Path) -> Call:
    """A call of OpenVINO; as `by_onnxruntime`."""
    openvino, sample = import_library("openvino", path), _sample(model)
    graph = from_onnx(model, path)
    if precision == "int8":
        graph = QUANTIZERS["openvino"].quantize(graph, [sample], "any", path)
    request = compile_for_cpu(openvino.Core(), graph)
    return lambda pixels: request.infer({PIXELS: pixels})


#: What computes the files of each format.
BLOCK_CALLS: dict[str, Callable[[Any, str, Path], Call]] = {
    "onnx": by_onnxruntime,
    "openvino": by_openvino,
}


def _sample(model: Any) -> NDArray[np.float32]:
    """An image that fits the input of `model`, (1, channels, height, width)."""
    sizes = [size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(1).standard_normal((1, *sizes[1:])).astype(np.float32)
