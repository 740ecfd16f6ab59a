"""A classifier for images of 16 px, and folders of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.engine import Classifier
from resnext.models import create

ARCH = Architecture.from_name("resnet11+template=8", 2)
CONTRACT = Contract(
    ("a", "b"), Input(3, 16, 16), Resize(16, 16), (0.5,) * 3, (0.25,) * 3, Provenance(ARCH.name)
)


@pytest.fixture
def classifier() -> Classifier:
    return Classifier(create(ARCH, 1), CONTRACT)


@pytest.fixture
def pets(make_folder: Any, tmp_path: Path) -> Path:
    """A set with two splits: 130 and 10 images."""
    make_folder(tmp_path / "pets" / "train", {"cat": 80, "dog": 50})
    make_folder(tmp_path / "pets" / "test", {"cat": 5, "dog": 5})
    return tmp_path / "pets"
