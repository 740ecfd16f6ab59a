"""The table that `make matrix` prints, and the Pythons that it and the package's metadata name."""

from __future__ import annotations

import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def matrix(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the script; its dataclass looks for its module."""
    monkeypatch.setitem(sys.modules, "<run_path>", sys.modules[__name__])
    return runpy.run_path(str(ROOT / "tools" / "matrix.py"))


def test_the_table(matrix: dict[str, Any]) -> None:
    one = matrix["Outcome"]("3.11", "lowest", True, "torch 2.11.0", "7 passed", 61.2)
    other = matrix["Outcome"]("3.14", "newest", False, "", "no environment: no wheel", 3.0)
    lines = matrix["table"]([one, other]).splitlines()
    assert lines[1] == "3.11    lowest    passed  61       torch 2.11.0  7 passed"
    assert lines[2].startswith("3.14    newest    FAILED  3 ")
    assert lines[2].endswith("  no environment: no wheel")
    assert (
        len({line.index(word) for line, word in zip(lines, ("pytest", "7 passed", "no env"), strict=True)})
        == 1
    )


def test_each_python_that_is_tried_is_a_classifier(matrix: dict[str, Any]) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    start = "Programming Language :: Python :: 3."
    named = [one.removeprefix(start) for one in project["classifiers"] if one.startswith(start)]
    assert [f"3.{minor}" for minor in named] == [*matrix["PYTHONS"]]
    assert project["requires-python"] == f">={matrix['PYTHONS'][0]}"
