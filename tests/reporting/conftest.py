"""What the tests of reports share: a data set with an evil name, and a run on it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import resnext
from resnext.recipe import Recipe, named_recipe, override
from resnext.run import Run, RunFolder


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


@pytest.fixture(scope="session")
def many_classes(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 8,000 classes with 500 test images, made up."""
    folder: Path = tmp_path_factory.mktemp("many") / "run"
    shutil.copytree(run.folder, folder)
    shutil.rmtree(folder / "model")
    classes = tuple(f"class {i}" for i in range(8000))
    (folder / "contract.json").write_text(replace(run.contract, classes=classes).dumps())
    (folder / "environment.json").write_text("{}")
    data = json.loads((folder / "data.json").read_text())
    (folder / "data.json").write_text(json.dumps(data | {"train_counts": [7] * 8000}))
    random = np.random.default_rng(0)
    labels = random.integers(0, 8000, 500)
    rows = random.random((500, 8000), dtype=np.float32)
    rows /= rows.sum(axis=1, keepdims=True)
    RunFolder(folder).write_predictions("test", [f"{i}.png" for i in range(500)], labels, rows, 1.0)
    return folder
