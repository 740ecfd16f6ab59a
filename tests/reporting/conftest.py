"""What the tests of reports share: a data set with an evil name, and a run on it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resnext
from resnext.recipe import Recipe, named_recipe, override
from resnext.run import Run


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    return override(named_recipe("small"), model="resnet11+template=8", epochs=2, batch=8)


@pytest.fixture(scope="session")
def evil_name() -> str:
    """A legal name of a folder that a page must not interpret."""
    return "<script>alert('$x_1$ & {{ 7 * 7 }}')<"


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, evil_name: str) -> Path:
    """Three classes that no network can tell apart, one with an evil name, with a test split."""
    root: Path = tmp_path_factory.mktemp("data")
    for split, count in (("train", 8), ("val", 4), ("test", 6)):
        for number, name in enumerate((evil_name, "b", "c")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                noise = np.random.default_rng((number, i, count)).integers(0, 256, (16, 16, 3), np.uint8)
                Image.fromarray(noise).save(root / split / name / f"{i} & <b>.png")
    return root


@pytest.fixture(scope="session")
def run(data: Path, recipe: Recipe, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return resnext.train(data, recipe, name="one", runs=tmp_path_factory.mktemp("runs"))
