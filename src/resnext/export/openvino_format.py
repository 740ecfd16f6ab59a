"""Export to OpenVINO: an .xml, which carries the contract, and a .bin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree

from resnext.engine import Seal, Takes
from resnext.engine.ir_file import sealed_content
from resnext.engine.libraries import import_library
from resnext.engine.seal import KEY
from resnext.export.format import Format
from resnext.export.graph import Source
from resnext.export.model_info import model_info
from resnext.export.onnx_format import onnx_model
from resnext.export.preparation import prepare_inside_openvino


class OpenVinoFormat(Format):
    """OpenVINO's own format, in float32.

    It is made from ONNX by OpenVINO's reader; its converter, which sends reports to its makers, is not used.
    """

    name: ClassVar[str] = "openvino"
    suffix: ClassVar[str] = ".xml"
    also: ClassVar[tuple[str, ...]] = (".bin",)
    takes: ClassVar[tuple[Takes, ...]] = ("pixels", "images")

    def write(self, source: Source, path: Path) -> None:
        write_ir(openvino_model(source, path), source, path)


def openvino_model(source: Source, path: Path) -> Any:
    """`source` as an OpenVINO `Model`, without metadata.

    Args:
        source: What is exported.
        path: Where it will lie, for errors.

    Raises:
        EngineMissing: A library is not installed.
        ModelError: It cannot prepare images as the contract says.
    """
    model = from_onnx(onnx_model(source, path), path)
    return prepare_inside_openvino(model, source.contract) if source.takes == "images" else model


def from_onnx(model: Any, path: Path) -> Any:
    """An ONNX `ModelProto` as an OpenVINO `Model`.

    Shapes of weights are constants in it: its reader of ONNX leaves an operation between the weights of a
    grouped convolution and their groups, behind which OpenVINO does not find that they are in int8.

    Raises `EngineMissing`, naming `path`, if OpenVINO is not installed.
    """
    openvino, passes = (import_library(name, path) for name in ("openvino", "openvino.passes"))
    made = openvino.Core().read_model(model.SerializeToString(), b"")
    manager = passes.Manager()
    manager.register_pass(passes.ConstantFolding())
    manager.run_passes(made)
    return made


def write_ir(model: Any, source: Source, path: Path) -> None:
    """Write an OpenVINO `Model` that computes `source`, with the contract in its metadata."""
    openvino = import_library("openvino", path)
    for key in list(model.get_rt_info()):
        del model.get_rt_info()[key]
    for key, value in model_info(source.contract).items() if source.takes == "pixels" else ():
        model.set_rt_info(value, ["model_info", key])
    openvino.save_model(model, path, compress_to_fp16=False)
    graph = ElementTree.fromstring(path.read_bytes())
    content = sealed_content(graph, path.with_suffix(".bin").read_bytes())
    model.set_rt_info(Seal(source.contract, source.sha256).dumps(content), [KEY])
    openvino.save_model(model, path, compress_to_fp16=False)
