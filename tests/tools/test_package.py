"""What is released says one version everywhere, and nothing that is no classifier."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from resnext.version import __version__

ROOT = Path(__file__).parents[2]


def test_the_version_is_one_everywhere() -> None:
    assert f"\nversion: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
    headings = re.findall(r"^## \[?([^\] \n]+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert next(one for one in headings if one != "Unreleased") == __version__


def test_each_version_of_the_changelog_has_its_day() -> None:
    text = (ROOT / "CHANGELOG.md").read_text()
    for line in re.findall(r"^## .*", text, re.MULTILINE):
        assert re.fullmatch(r"## (\[Unreleased\]|\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d)", line), line
    kinds = set(re.findall(r"^### (.*)", text, re.MULTILINE))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_each_classifier_is_known_to_the_index() -> None:
    known = pytest.importorskip("trove_classifiers").classifiers
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["classifiers"]) <= known
    assert (ROOT / "src" / "resnext" / "py.typed").exists()
