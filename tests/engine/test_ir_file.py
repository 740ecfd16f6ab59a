"""Files of OpenVINO, ours and edited ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import softmax

from resnext.contract import Contract
from resnext.engine import ForeignContract, ModelError
from resnext.engine.ir_file import IrFile
from resnext.engine.openvino_engine import OpenVinoEngine
from resnext.errors import ResnextError
from resnext.models import Network

Edit = Callable[[bytes, bytes], tuple[bytes, bytes]]


def write(path: Path, graph: bytes, weights: bytes) -> Path:
    path.write_bytes(graph)
    path.with_suffix(".bin").write_bytes(weights)
    return path


def read(path: Path) -> tuple[bytes, bytes]:
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def test_a_file_of_ours_carries_all(ir_path: Path, network: Network, contract: Contract) -> None:
    file = IrFile.read(ir_path)
    assert (file.contract, file.source, dict(file.outputs)) == (contract, "5" * 64, {"logits": "logits"})
    pixels = torch.randn(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    expected = softmax(network(pixels).detach().numpy() / 2.0, axis=1)
    assert np.allclose(OpenVinoEngine(file).probabilities(pixels), expected, atol=1e-6)
    with pytest.raises(ModelError, match="export it again with --with cam"):
        OpenVinoEngine(file).activation_maps(pixels)


def change(old: bytes, new: bytes) -> Edit:
    def edit(graph: bytes, weights: bytes) -> tuple[bytes, bytes]:
        assert old in graph
        return graph.replace(old, new), weights

    return edit


EDITS: dict[str, tuple[Edit, str]] = {
    "another mean": (change(b"&quot;mean&quot;: [0.5", b"&quot;mean&quot;: [0.4"), "was changed after"),
    "an operator": (change(b'type="ReLU"', b'type="Sigmoid"'), "was changed after"),
    "a weight": (lambda g, w: (g, bytes([w[0] ^ 1]) + w[1:]), "was changed after"),
    "weights cut": (lambda g, w: (g, w[:-100]), "was changed after"),
    "stripped": (lambda g, w: (g.partition(b"\t<rt_info>\n\t\t<info")[0] + b"</net>", w), "carries no contr"),
    "an entity": (lambda g, w: (b'<!DOCTYPE a [<!ENTITY b "c">]>' + g, w), "has a document type"),
    "cut": (lambda g, w: (g[: len(g) // 2], w), "no complete file of OpenVINO"),
    "empty": (lambda g, w: (b"", w), "no complete file of OpenVINO"),
    "another program's": (lambda g, w: (b"<html></html>", w), "carries no contract"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_file_that_was_edited_is_refused(name: str, ir_path: Path, tmp_path: Path) -> None:
    edit, says = EDITS[name]
    with pytest.raises(ModelError, match=says):
        IrFile.read(write(tmp_path / "x.xml", *edit(*read(ir_path))))


def test_missing_and_large_files_are_refused(
    ir_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.xml").write_bytes(ir_path.read_bytes())
    with pytest.raises(ModelError, match=r"x\.bin: cannot be read"):
        IrFile.read(tmp_path / "x.xml")
    with pytest.raises(ModelError, match="leave out --mean"):
        IrFile.read(ir_path, ForeignContract(mean=(0.5,) * 3))
    for limit in ("MAX_XML_BYTES", "MAX_BIN_BYTES"):
        with monkeypatch.context() as patch:
            patch.setattr(f"resnext.engine.ir_file.{limit}", 100)
            with pytest.raises(ModelError, match="larger than 100 bytes"):
                IrFile.read(ir_path)


def test_a_graph_that_openvino_cannot_run_is_told(ir_path: Path) -> None:
    file = IrFile.read(ir_path)
    for old, new in ((b'type="ReLU"', b'type="Levitate"'), (b'<data element_type="f32"', b"<data")):
        assert old in file.graph
        broken = IrFile(
            *(getattr(file, name) for name in ("path", "contract", "source", "input", "outputs")),
            graph=file.graph.replace(old, new),
            weights=file.weights,
        )
        with pytest.raises(ResnextError, match="OpenVINO cannot run it here"):
            OpenVinoEngine(broken)
