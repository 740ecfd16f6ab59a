"""Fixtures of a small network and its servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from resnext.engine import Classifier, TorchEngine
from resnext.models import create
from resnext.serve.limits import LIMITS, RequestLimits
from tests.serve.loopback import ARCH, CONTRACT, Served, start

StartServer = Callable[..., Served]


@pytest.fixture(scope="session")
def classifier() -> Classifier:
    return Classifier(TorchEngine(create(ARCH, 1), CONTRACT))


@pytest.fixture
def start_server(classifier: Classifier) -> Iterator[StartServer]:
    """`start_server(limits, token=...)` starts a server of one network; it is stopped after the test."""
    begun: list[Served] = []

    def begin(limits: RequestLimits = LIMITS, models: Any = None, **options: Any) -> Served:
        begun.append(start(models or {"pets": classifier}, limits, **options))
        return begun[-1]

    yield begin
    for one in begun:
        one.stop()


@pytest.fixture(scope="module")
def served(classifier: Classifier) -> Iterator[Served]:
    """A server for tests that change nothing about it."""
    one = start({"pets": classifier, "other": classifier})
    yield one
    one.stop()
