"""Small networks, their contracts and files; a classifier for images of 16 px, and folders of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnext.arch import Architecture
from resnext.contract import Calibration, Contract, Input, Provenance, Rejection, Resize
from resnext.engine import Classifier, TorchEngine
from resnext.models import Network, create

PETS_ARCH = Architecture.from_name("resnet11+template=8", 2)
PETS_CONTRACT = Contract(
    ("a", "b"), Input(3, 16, 16), Resize(16, 16), (0.5,) * 3, (0.25,) * 3, Provenance(PETS_ARCH.name)
)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(TorchEngine(create(PETS_ARCH, 1), PETS_CONTRACT))


@pytest.fixture
def pets(make_folder: Any, tmp_path: Path) -> Path:
    """A set with two splits: 130 and 10 images."""
    make_folder(tmp_path / "pets" / "train", {"cat": 80, "dog": 50})
    make_folder(tmp_path / "pets" / "test", {"cat": 5, "dog": 5})
    return tmp_path / "pets"


@pytest.fixture(scope="session")
def network() -> Network:
    return create(Architecture.from_name("resnet11+template=8", 3)).eval()


@pytest.fixture(scope="session")
def contract() -> Contract:
    size, half = Input(3, 16, 16), (0.5,) * 3
    calibration = Calibration(2.0, Rejection("probability", 0.1))
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
