"""`IrFile`: a network in OpenVINO's own format, an .xml and a .bin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from resnext.engine.engine import ModelError, Output
from resnext.engine.exported_file import INPUTS, OUTPUTS, ExportedFile, read_whole
from resnext.engine.foreign import ForeignContract, no_contract, refuse_foreign
from resnext.engine.seal import KEY, Seal

#: Largest .xml, and largest .bin.
MAX_XML_BYTES, MAX_BIN_BYTES = 2**26, 2**33


@dataclass(frozen=True)
class IrFile(ExportedFile):
    """A network in OpenVINO's format; `graph` is in the .xml and `weights` in the .bin."""

    graph: bytes = b""
    weights: bytes = b""

    @classmethod
    def read(cls, path: Path, foreign: ForeignContract | None = None) -> IrFile:
        """The network in the file at `path`, an .xml beside its .bin.

        Args:
            path: The file.
            foreign: What the user says about it; it carries its own contract.

        Raises:
            ModelError: It is none that was exported here, or was changed after its export.
        """
        refuse_foreign(path, foreign)
        graph = read_whole(path, MAX_XML_BYTES)
        weights = read_whole(path.with_suffix(".bin"), MAX_BIN_BYTES)
        root = _parse(path, graph)
        seals = [one.get("value", "") for one in root.iterfind(f"rt_info/{KEY}")]
        if len(seals) != 1:
            raise no_contract(path)
        seal = Seal.loads(seals[0], sealed_content(root, weights), str(path))
        names = [one.get("name") for one in root.iterfind("layers/layer[@type='Result']/input/port")]
        names += [one.get("names") for one in root.iterfind("layers/layer/output/port")]
        outputs: dict[Output, str] = {name: name for name in OUTPUTS if name in names}
        inputs = [
            one.get("names", "") for one in root.iterfind("layers/layer[@type='Parameter']/output/port")
        ]
        input = next((name for name in inputs if name in INPUTS), "")
        takes = INPUTS.get(input, "pixels")
        return cls(
            path, seal.contract, seal.source, input, outputs, takes=takes, graph=graph, weights=weights
        )


def sealed_content(root: ElementTree.Element, weights: bytes) -> Iterator[bytes]:
    """What decides what an OpenVINO model computes: all but the metadata of the whole."""
    for part in root:
        if part.tag != "rt_info":
            yield ElementTree.tostring(part)
    yield weights


def _parse(path: Path, graph: bytes) -> ElementTree.Element:
    if b"<!DOCTYPE" in graph or b"<!ENTITY" in graph:
        raise ModelError(f"{path}: has a document type, which no file of OpenVINO has")
    try:
        return ElementTree.fromstring(graph)
    except ElementTree.ParseError as error:
        raise ModelError(f"{path}: is no complete file of OpenVINO ({error})") from None
