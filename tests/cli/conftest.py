"""Fixtures of the command line's tests: a small data set, a run on it, and `resnext` as a function."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from resnext.cli import main

Run = Callable[..., int]


@pytest.fixture(scope="session")
def run() -> Run:
    """`run("train", folder, "--epochs", 1)` types these words; returns the exit code."""
    return lambda *words: main([str(word) for word in words])


@pytest.fixture(scope="session")
def quick() -> list[str]:
    """Options of a training of seconds."""
    return ["--model", "resnet11+template=8", "--epochs", "1", "--batch", "8"]


@pytest.fixture(scope="session")
def colours(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Path:
    """A set of three classes with train and val."""
    root: Path = tmp_path_factory.mktemp("colours")
    make_folder(root / "train", {"a": 8, "b": 8, "c": 8})
    make_folder(root / "val", {"a": 2, "b": 2, "c": 2})
    return root


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, colours: Path, run: Run, quick: list[str]) -> Path:
    """A finished run on it, without a report."""
    runs = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("resnext.api.training.write_report", lambda *_, **__: None)
        assert run("train", colours, "--runs", runs, "--name", "x", *quick) == 0
    return runs / "x"
