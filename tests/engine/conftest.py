"""Fixtures of engines: a small network, its contract, and its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnext.arch import Architecture
from resnext.contract import Calibration, Contract, Input, Provenance, Resize
from resnext.models import Network, create


@pytest.fixture(scope="session")
def network() -> Network:
    return create(Architecture.from_name("resnet11+template=8", 3)).eval()


@pytest.fixture(scope="session")
def contract() -> Contract:
    size, half = Input(3, 16, 16), (0.5,) * 3
    calibration = Calibration(2.0, 0.1)
    return Contract(("a", "b", "c"), size, Resize(18, 16), half, half, Provenance("resnet11"), calibration)


@pytest.fixture(scope="session")
def onnx_path(tmp_path_factory: pytest.TempPathFactory, network: Network, contract: Contract) -> Path:
    """Of logits alone."""
    from resnext.export import Source
    from resnext.export.onnx_format import OnnxFormat

    path: Path = tmp_path_factory.mktemp("onnx") / "small.onnx"
    OnnxFormat().write(Source("small", network, contract, "5" * 64), path)
    return path


@pytest.fixture(scope="session")
def ir_path(tmp_path_factory: pytest.TempPathFactory, network: Network, contract: Contract) -> Path:
    """In OpenVINO's format, of logits alone."""
    from resnext.export import Source
    from resnext.export.openvino_format import OpenVinoFormat

    path: Path = tmp_path_factory.mktemp("ir") / "small.xml"
    OpenVinoFormat().write(Source("small", network, contract, "5" * 64), path)
    return path
