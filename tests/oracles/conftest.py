"""The peers that we compare with; `make test` installs them in `.oracle`, outside the environment."""

from __future__ import annotations

import importlib
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import pytest

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
