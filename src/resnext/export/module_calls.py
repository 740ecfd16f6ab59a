"""Modules of torch as calls of the engines that exported networks are computed by, to be timed there."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from resnext.engine.libraries import import_library
from resnext.export.block_calls import BLOCK_CALLS
from resnext.export.graph import PIXELS
from resnext.export.onnx_format import OPSET
from resnext.export.tuning import Precision


@dataclass(frozen=True)
class TimedEngine:
    """An engine in which modules are timed.

    Attributes:
        name: What is typed for it.
        format: The format of the files that it computes, a key of `BLOCK_CALLS`.
        precision: What it computes in.
        libraries: What it needs.
    """

    name: str
    format: str
    precision: Precision
    libraries: tuple[str, ...]

    def check(self) -> None:
        """Raise `EngineMissing` if a library is not installed."""
        for library in self.libraries:
            import_library(library, f"--engine {self.name}")

    def call(self, module: nn.Module, pixels: Tensor) -> Callable[[], object]:
        """A call that computes `module` on `pixels` in this engine.

        Args:
            module: In evaluation, with one input and one output. It is not changed.
            pixels: Its input, float32 (B, C, H, W).

        Raises:
            EngineMissing: A library is not installed.

        >>> engine = TIMED_ENGINES["onnx"]
        >>> [made] = engine.call(nn.Conv2d(3, 4, 1).eval(), torch.zeros(2, 3, 8, 8))()
        >>> made.shape
        (2, 4, 8, 8)
        """
        self.check()
        call = BLOCK_CALLS[self.format](module_graph(module, pixels), self.precision, Path(self.name))
        return partial(call, pixels.numpy())


#: What `design --engine` takes beside torch.
TIMED_ENGINES: dict[str, TimedEngine] = {
    one.name: one
    for one in (
        TimedEngine("onnx", "onnx", "float32", ("onnx", "onnxruntime")),
        TimedEngine("onnx-int8", "onnx", "int8", ("onnx", "onnxruntime")),
        TimedEngine("openvino", "openvino", "float32", ("onnx", "openvino")),
        TimedEngine("openvino-int8", "openvino", "int8", ("onnx", "openvino", "nncf")),
    )
}


def module_graph(module: nn.Module, pixels: Tensor) -> Any:
    """`module` as an ONNX `ModelProto` for batches of any size.

    The exporter that traces is taken: the other one, which writes what is deployed, takes ten times as long
    for the same layers.

    Args:
        module: In evaluation, with one input and one output.
        pixels: An input of it.
    """
    onnx, made = import_library("onnx", "the timing of networks"), io.BytesIO()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # that it is the older one, and of shapes that are constants
        torch.onnx.export(
            module,
            (pixels,),
            made,  # type: ignore[arg-type]  # this exporter writes to what can be written to
            dynamo=False,
            opset_version=OPSET,
            input_names=[PIXELS],
            dynamic_axes={PIXELS: {0: "batch"}},
        )
    return onnx.load_from_string(made.getvalue())
