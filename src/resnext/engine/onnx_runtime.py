"""`OnnxRuntimeEngine`: an ONNX file, computed by onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnext.engine.engine import Engine, EngineMissing, ModelError, Output
from resnext.engine.libraries import import_library
from resnext.engine.onnx_file import OnnxFile


class OnnxRuntimeEngine(Engine):
    """An ONNX file, computed by onnxruntime on the CPU in the file's own precision.

    Raises:
        ModelError: onnxruntime cannot run the file, or its outputs do not fit the contract.
        EngineMissing: onnxruntime is not installed.
    """

    name: ClassVar[str] = "onnxruntime"

    def __init__(self, file: OnnxFile) -> None:
        super().__init__(str(file.path), file.contract, frozenset(file.outputs), takes=file.takes)
        self._file = file
        self._session = _session(file)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        file.check({one.name: one.shape for one in inputs}, {one.name: one.shape for one in outputs})

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        pieces = self._file.pieces(pixels)
        names = [self._file.outputs[output] for output in outputs]
        made = zip(*(self._run(piece, names) for piece in pieces), strict=True)
        return [self._file.check_count(torch.cat(values), len(pixels)) for values in made]

    def _run(self, pixels: NDArray[np.float32], names: list[str]) -> list[Tensor]:
        try:
            made = self._session.run(names, {self._file.input: pixels})
        except Exception as error:  # onnxruntime has a class for each of its codes
            raise _cannot_run(self._file, error) from None
        return [torch.from_numpy(np.asarray(values, np.float32)) for values in made]


def open_session(model: str | bytes, path: Path, settings: Mapping[str, str] | None = None) -> Any:
    """A session of onnxruntime that computes `model`, the path or the content of a file, as engines do.

    Args:
        model: The path or the content.
        path: What it is for, for errors.
        settings: Further settings of the session, by onnxruntime's names.

    Raises what onnxruntime raises, and `EngineMissing`, naming `path`, if it is not installed.
    """
    runtime = import_library("onnxruntime", path)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 4  # errors are raised
    for name, value in (settings or {}).items():
        options.add_session_config_entry(name, value)
    return runtime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def _session(file: OnnxFile) -> Any:
    try:
        return open_session(str(file.path) if file.has_parts else file.content, file.path)
    except EngineMissing:
        raise
    except Exception as error:
        raise _cannot_run(file, error) from None


def _cannot_run(file: OnnxFile, error: Exception) -> ModelError:
    reason = " ".join(str(error).split())
    return ModelError(f"{file.path}: onnxruntime cannot run it here ({reason[:300]})")
