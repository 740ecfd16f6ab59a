"""Fixtures that several rooms' tests share: small folders of images that differ by colour."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from PIL import Image

# Output waits in a buffer, as that of users does, and so can fail as late as theirs.
os.environ.pop("PYTHONUNBUFFERED", None)
# What is promised to the bit is what a CPU does; processes that tests start see this too.
os.environ["CUDA_VISIBLE_DEVICES"] = ""
torch.set_num_threads(1)  # several test processes share the cores
# A busy machine is no failure: nothing here is about time.
settings.register_profile("resnext", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("resnext")

MakeFolder = Callable[..., Path]


@pytest.fixture(scope="session")
def make_folder() -> MakeFolder:
    """`make_folder(root, {"red": 5, ...})` writes noisy images, one colour a class."""

    def make(root: Path, counts: dict[str, int], size: tuple[int, int] = (20, 16)) -> Path:
        for number, name in enumerate(sorted(counts)):
            (root / name).mkdir(parents=True, exist_ok=True)
            colour = np.random.default_rng(number).uniform(0, 255, 3)
            for i in range(counts[name]):
                noise = np.random.default_rng((number, i)).normal(0, 10, (size[1], size[0], 3))
                values = np.clip(colour + noise, 0, 255).astype(np.uint8)
                Image.fromarray(values).save(root / name / f"{i}.png")
        return root

    return make


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests run on busy machines, where timing would wait for a calm moment."""
    monkeypatch.setattr("resnext.design.latency.PATIENCE_S", 0.0)


@pytest.fixture(scope="module")
def no_reports() -> Iterator[None]:
    """Runs that nobody will look at draw no plots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnext.api.training.write_report", lambda *_, **__: None)
        yield


#: Files that take long: begun first, so that none is left over for one core at the end.
LONG = ("faults/test_processes", "run/test_resume", "cli/", "experiments/", "run/", "faults/", "oracles/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def place(item: pytest.Item) -> int:
        return next((n for n, part in enumerate(LONG) if f"tests/{part}" in item.nodeid), len(LONG))

    items.sort(key=place)
