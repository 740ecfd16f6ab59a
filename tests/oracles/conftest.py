"""The peers that we compare with; `make test` installs them in `.oracle`, outside the environment."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).parents[2]


def _peer(name: str) -> Any:
    if not (ROOT / ".oracle" / name).is_dir():
        pytest.skip(f"{name} is not installed in .oracle; `make test` installs it")
    if str(ROOT / ".oracle") not in sys.path:
        sys.path.append(str(ROOT / ".oracle"))
    # The wheel's compiled operations do not load beside a CPU torch; networks and transforms need none.
    sys.modules.setdefault("torchvision._meta_registrations", types.ModuleType("meta"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


@pytest.fixture(scope="session")
def torchvision() -> Any:
    return _peer("torchvision")


@pytest.fixture(scope="session")
def model_api() -> Any:
    """The models of OpenVINO Model API."""
    _peer("model_api")
    return importlib.import_module("model_api.models")


@pytest.fixture(scope="session")
def timm(torchvision: Any) -> Any:
    return _peer("timm")


@pytest.fixture(scope="session")
def make_peer(timm: Any) -> Callable[[str], Any]:
    """`make_peer(name)` is timm's network in evaluation mode, with statistics that differ from channel to
    channel, so that a swap would show."""

    def make(name: str) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(0)
            network = timm.create_model(name).eval()
        for tensor_name, tensor in network.state_dict().items():
            if tensor_name.endswith("running_var"):
                tensor.uniform_(0.8, 1.2)
            elif tensor_name.endswith(("running_mean", "bias")):
                tensor.normal_(0, 0.1)
            elif tensor.dim() == 1:
                tensor.normal_(1, 0.1)
        return network

    return make


@pytest.fixture(scope="session")
def mapie() -> Any:
    """MAPIE's classification."""
    _peer("mapie")
    return importlib.import_module("mapie.classification")
