"""The libraries that write and run exported networks. They are imported here, and send no reports."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from resnext.engine.engine import EngineMissing

#: The extra of this package that brings each library.
EXTRAS = {
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "openvino": "openvino",
    "nncf": "quantize",
}
#: What OpenVINO and NNCF report by, as soon as they are imported; without it they do not.
_REPORTER = "openvino_telemetry"


def import_library(name: str, path: Path | str) -> Any:
    """The library `name` or a module of it, such as `onnxruntime.quantization`.

    Left alone, onnxruntime and OpenVINO tell their makers that they were imported, and more.

    Args:
        name: One of `EXTRAS`, or a module in it.
        path: What it is needed for, to name in the error.

    Raises:
        EngineMissing: It is not installed.

    >>> import_library("onnx", "model.onnx").__name__
    'onnx'
    """
    library = name.partition(".")[0]
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read once, when onnxruntime is imported
    try:
        with _without(_REPORTER):
            module = importlib.import_module(name)
    except ImportError:
        raise EngineMissing(
            f"{path}: needs the library {library}; pip install 'resnext[{EXTRAS[library]}]'"
        ) from None
    if library == "onnxruntime":  # which the caller's own program may have imported before
        sys.modules["onnxruntime"].disable_telemetry_events()
    return module


@contextmanager
def _without(name: str) -> Iterator[None]:
    """A context in which the library `name` seems not to be installed."""
    missing = object()
    before = sys.modules.get(name, missing)
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is missing:
            del sys.modules[name]
        else:
            sys.modules[name] = before  # type: ignore[assignment]
