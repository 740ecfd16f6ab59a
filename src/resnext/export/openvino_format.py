"""Export to OpenVINO: an .xml, which carries the contract, and a .bin."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree

from resnext.engine import Seal, Takes
from resnext.engine.ir_file import sealed_content
from resnext.engine.openvino_engine import import_openvino
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
        openvino = import_openvino(path)
        model = openvino.Core().read_model(onnx_model(source, path).SerializeToString(), b"")
        for key in list(model.get_rt_info()):
            del model.get_rt_info()[key]
        if source.takes == "images":
            model = prepare_inside_openvino(model, source.contract)
        for key, value in model_info(source.contract).items() if source.takes == "pixels" else ():
            model.set_rt_info(value, ["model_info", key])
        openvino.save_model(model, path, compress_to_fp16=False)
        graph = ElementTree.fromstring(path.read_bytes())
        content = sealed_content(graph, path.with_suffix(".bin").read_bytes())
        model.set_rt_info(Seal(source.contract, source.sha256).dumps(content), [KEY])
        openvino.save_model(model, path, compress_to_fp16=False)
