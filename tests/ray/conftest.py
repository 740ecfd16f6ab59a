"""A small network whose answers have sets and rejections."""

from __future__ import annotations

import pytest

from resnext.engine import Classifier, TorchEngine
from resnext.models import create
from tests.serve.loopback import ARCH, CONTRACT


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(TorchEngine(create(ARCH, 1), CONTRACT))
