"""`OpenVinoEngine`: a file of OpenVINO or ONNX, computed by OpenVINO on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from resnext.engine.engine import Engine, ModelError, Output
from resnext.engine.ir_file import IrFile
from resnext.engine.libraries import import_library
from resnext.engine.onnx_file import OnnxFile
from resnext.engine.signal_stack import keeping_signal_stack


def compile_for_cpu(core: Any, model: Any, precision: str = "f32") -> Any:
    """A request that computes a model on as many threads as torch, one batch as fast as it can be.

    Args:
        core: An OpenVINO `Core`.
        model: An OpenVINO `Model`.
        precision: What it computes in, as OpenVINO calls it; what is in int8 stays so.
    """
    settings = {
        "INFERENCE_PRECISION_HINT": precision,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    with keeping_signal_stack():
        return core.compile_model(model, "CPU", settings).create_infer_request()


class OpenVinoEngine(Engine):
    """A file of OpenVINO or ONNX, computed by OpenVINO on the CPU.

    It computes in float32: left alone, OpenVINO takes bfloat16 on processors that have it, and answers
    differ.

    Raises:
        ModelError: OpenVINO cannot run the file, or its outputs do not fit the contract.
        EngineMissing: OpenVINO is not installed.
    """

    name: ClassVar[str] = "openvino"
    precision: ClassVar[str] = "f32"

    def __init__(self, file: IrFile | OnnxFile) -> None:
        super().__init__(str(file.path), file.contract, frozenset(file.outputs), takes=file.takes)
        self._file = file
        self._openvino = import_library("openvino", file.path)
        self._core = self._openvino.Core()
        self._requests: dict[tuple[Output, ...], Any] = {}
        try:
            self._model = self._read()
        except Exception as error:  # OpenVINO's own are RuntimeError, and what it passes on
            raise self._cannot_run(error) from None
        inputs, outputs = (
            {name: _shape(one) for one in ports for name in one.get_names()}
            for ports in (self._model.inputs, self._model.outputs)
        )
        file.check(inputs, outputs)

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        wanted = tuple(outputs)
        if wanted not in self._requests:
            self._requests[wanted] = self._compile(wanted)
        request = self._requests[wanted]
        pieces = self._file.pieces(pixels)
        made: list[list[Tensor]] = [[] for _ in wanted]
        try:
            for piece in pieces:
                request.infer({self._file.input: piece})
                for place, values in enumerate(made):
                    values.append(torch.from_numpy(request.get_output_tensor(place).data.copy()).float())
        except Exception as error:
            raise self._cannot_run(error) from None
        return [self._file.check_count(torch.cat(values), len(pixels)) for values in made]

    def _read(self) -> Any:
        file = self._file
        if isinstance(file, IrFile):
            return self._core.read_model(file.graph, file.weights)
        if file.has_parts:
            return self._core.read_model(file.path)
        return self._core.read_model(file.content, b"")

    def _compile(self, outputs: tuple[Output, ...]) -> Any:
        """A request for some outputs alone: the others are not computed."""
        try:
            wanted = [self._model.output(self._file.outputs[output]) for output in outputs]
            part = self._openvino.Model(wanted, self._model.get_parameters(), outputs[0])
            return compile_for_cpu(self._core, part, self.precision)
        except Exception as error:
            raise self._cannot_run(error) from None

    def _cannot_run(self, error: Exception) -> ModelError:
        reason = " ".join(str(error).split())
        return ModelError(f"{self.model}: OpenVINO cannot run it here ({reason[:300]})")


class OpenVinoBfloat16Engine(OpenVinoEngine):
    """The same in bfloat16, as OpenVINO computes where nobody asks for another precision, on processors that
    have it (`is_native`). Its answers differ from those of float32, so no model is opened by it unasked."""

    name: ClassVar[str] = "openvino-bfloat16"
    precision: ClassVar[str] = "bf16"

    @staticmethod
    def is_native(path: Path) -> bool:
        """Whether this processor has bfloat16.

        Args:
            path: The file that is opened, for errors.

        Raises:
            EngineMissing: OpenVINO is not installed.
        """
        core = import_library("openvino", path).Core()
        with keeping_signal_stack():
            capabilities: Sequence[str] = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "BF16" in capabilities


def _shape(output: Any) -> list[int | None]:
    return [None if size.is_dynamic else size.get_length() for size in output.get_partial_shape()]
