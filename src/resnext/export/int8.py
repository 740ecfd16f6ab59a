"""Networks in int8: each format's own library calibrates activations on images of training."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from resnext.engine import Classifier
from resnext.engine.ir_file import IrFile
from resnext.engine.libraries import import_library
from resnext.engine.openvino_engine import OpenVinoBfloat16Engine
from resnext.engine.signal_stack import keeping_signal_stack
from resnext.export.format import Format
from resnext.export.graph import PIXELS, Source
from resnext.export.onnx_format import OnnxFormat, onnx_model, write_onnx
from resnext.export.openvino_format import OpenVinoFormat, openvino_model, write_ir

#: The processors that a file is right on: `any`, or only those that add products of int8 in 32 bits (VNNI).
#: Others add two products in 16 bits, which overflow where a weight takes all of its 8 bits.
Target = Literal["any", "vnni"]
TARGETS: tuple[Target, ...] = get_args(Target)

Samples = Sequence[NDArray[np.float32]]
#: Bits of a weight.
BITS: dict[Target, int] = {"any": 7, "vnni": 8}


class Quantizer(ABC):
    """Writes networks in int8.

    Attributes:
        format: The format of its files.
    """

    format: ClassVar[Format]

    @abstractmethod
    def write(
        self, source: Source, samples: Samples, target: Target, path: Path, floats: Sequence[str] = ()
    ) -> None:
        """Write `source` in int8 to `path`, where nothing is.

        Args:
            source: The network in float32.
            samples: Prepared images of training, each float32 (1, 3, H, W).
            target: The processors that the file must be right on.
            path: The file.
            floats: Nodes of its graph of ONNX that stay in float32, from `rank_blocks`.

        Raises:
            EngineMissing: A library is not installed.
        """

    @abstractmethod
    def quantize(
        self, model: Any, samples: Samples, target: Target, path: Path, floats: Sequence[str] = ()
    ) -> Any:
        """The graph `model` of the format's own library, in int8.

        Args:
            model: In float32; it may be changed.
            samples: As in `write`, for its input.
            target: The processors that it must be right on.
            path: What it is for, for errors.
            floats: Names of its nodes that stay in float32.

        Raises:
            EngineMissing: A library is not installed.
        """

    def in_bfloat16(self, path: Path) -> Classifier | None:
        """The file `path`, in float32, as this processor computes it in bfloat16; None where it has none, or
        where the library computes in float32 anyway."""
        return None


class OpenVinoQuantizer(Quantizer):
    """By NNCF: symmetric, weights per channel; they take 7 bits where `target` is `any`."""

    format: ClassVar[Format] = OpenVinoFormat()

    def write(
        self, source: Source, samples: Samples, target: Target, path: Path, floats: Sequence[str] = ()
    ) -> None:
        float32 = openvino_model(source, path)
        kept = [*_find(float32, floats), *_beside_openvino(float32)]
        write_ir(self.quantize(float32, samples, target, path, kept), source, path)

    def quantize(
        self, model: Any, samples: Samples, target: Target, path: Path, floats: Sequence[str] = ()
    ) -> Any:
        nncf = import_library("nncf", path)
        fix = nncf.OverflowFix.ENABLE if target == "any" else nncf.OverflowFix.DISABLE
        with _quiet(), keeping_signal_stack():
            return nncf.quantize(
                model,
                nncf.Dataset(samples, lambda pixels: {PIXELS: pixels}),
                preset=nncf.QuantizationPreset.PERFORMANCE,
                subset_size=len(samples),
                ignored_scope=nncf.IgnoredScope(names=list(floats)),
                advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=fix),
            )

    def in_bfloat16(self, path: Path) -> Classifier | None:
        if not OpenVinoBfloat16Engine.is_native(path):
            return None
        return Classifier(OpenVinoBfloat16Engine(IrFile.read(path, None)))


class OnnxQuantizer(Quantizer):
    """By onnxruntime: activations uint8, weights int8 per channel; they take 7 bits where `target` is
    `any`."""

    format: ClassVar[Format] = OnnxFormat()

    def write(
        self, source: Source, samples: Samples, target: Target, path: Path, floats: Sequence[str] = ()
    ) -> None:
        float32 = onnx_model(source, path)
        kept = [*floats, *_beside_onnx(float32)]
        write_onnx(self.quantize(float32, samples, target, path, kept), source, path)

    def quantize(
        self, model: Any, samples: Samples, target: Target, path: Path, floats: Sequence[str] = ()
    ) -> Any:
        onnx = import_library("onnx", path)
        quantization = import_library("onnxruntime.quantization", path)
        with tempfile.TemporaryDirectory() as root, _quiet():
            made = Path(root) / "int8.onnx"
            quantization.quantize_static(
                onnx.shape_inference.infer_shapes(model),
                made,
                SampleReader(samples),
                quant_format=quantization.QuantFormat.QDQ,
                per_channel=True,
                reduce_range=target == "any",
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                nodes_to_exclude=list(floats),
            )
            return onnx.load(made)


#: By the names of the formats.
QUANTIZERS: dict[str, Quantizer] = {one.format.name: one for one in (OnnxQuantizer(), OpenVinoQuantizer())}


def _beside_openvino(model: Any) -> list[str]:
    """Names in an OpenVINO `Model` of what its other outputs need and the logits do not."""
    ops = {op.get_friendly_name(): op for op in model.get_ops()}
    reads = {
        name: [value.get_node().get_friendly_name() for value in op.input_values()]
        for name, op in ops.items()
    }
    ends = {output.get_any_name(): output.get_node().get_friendly_name() for output in model.outputs}
    kept = ("Constant", "Result", "Parameter")
    return [name for name in _beside(reads, ends) if ops[name].get_type_name() not in kept]


def _beside_onnx(model: Any) -> list[str]:
    """Names in an ONNX `ModelProto` of what its other outputs need and the logits do not."""
    makes = {output: node.name for node in model.graph.node for output in node.output}
    reads = {node.name: [makes[one] for one in node.input if one in makes] for node in model.graph.node}
    return _beside(reads, {output.name: makes[output.name] for output in model.graph.output})


def _beside(reads: Mapping[str, Sequence[str]], ends: Mapping[str, str]) -> list[str]:
    """Nodes that the other outputs need and the logits do not: probabilities, maps and familiarity, which
    int8 would spoil without a loss of accuracy that could tell. They cost next to nothing.

    Args:
        reads: The nodes that each node reads.
        ends: The node that makes each output.
    """

    def needed(outputs: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = [ends[output] for output in outputs]
        while waiting:
            if (node := waiting.pop()) not in found:
                found.add(node)
                waiting.extend(reads[node])
        return found

    others = needed(ends) - needed(["logits"])
    return [node for node in reads if node in others]


def _find(model: Any, nodes: Sequence[str]) -> list[str]:
    """Names in an OpenVINO `Model` of nodes of ONNX, which may have been divided, as into a product and the
    sum with a bias: A became A/WithoutBiases and A."""
    names = [node.get_friendly_name() for node in model.get_ops()]
    return [name for name in names if name.partition("/")[0] in nodes]


class SampleReader:
    """Hands samples, each float32 (1, 3, H, W), to onnxruntime, which asks until there is none."""

    def __init__(self, samples: Samples) -> None:
        self._rest = iter(samples)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        pixels = next(self._rest, None)
        return None if pixels is None else {PIXELS: pixels}


@contextmanager
def _quiet() -> Iterator[None]:
    """Hold back what the libraries tell about themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
