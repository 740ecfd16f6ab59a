"""What is installed here, as the package's metadata and pip tell it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import torch

from resnext.errors import PackageMissing
from resnext.installation import (
    Computing,
    Extra,
    Installation,
    Package,
    find_installation,
    read_requirements,
)
from resnext.version import __version__

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]


def test_it_names_all_that_pyproject_names() -> None:
    found = find_installation()
    assert found.version == __version__
    names = {one.partition(">=")[0] for one in PROJECT["dependencies"]}
    assert {one.name for one in found.packages} == names
    assert {one.name for one in found.extras} == set(PROJECT["optional-dependencies"]) - {"dev", "all"}
    assert {one.name: one.version for one in found.packages}["torch"] == version("torch")
    assert found.problems == ()
    assert found.computing is not None
    assert found.computing.threads == torch.get_num_threads()
    assert found.computing.devices[0].startswith("cpu: ")
    assert json.loads(json.dumps(found.to_json()))["problems"] == []


def test_an_extra_that_names_another_has_its_packages() -> None:
    lines = [
        "numpy>=2.0",
        "huggingface-hub>=0.26; extra == 'hub'",
        "datasets>=4.0; python_version > '3' and extra == 'hf'",
        'resnext[hub]; extra == "hf"',
    ]
    needed, by_extra = read_requirements(lines)
    assert [(one.name, one.needed) for one in needed] == [("numpy", ">=2.0")]
    assert {name: [one.name for one in packages] for name, packages in by_extra.items()} == {
        "hub": ["huggingface-hub"],
        "hf": ["datasets", "huggingface-hub"],
    }


@pytest.mark.parametrize(
    ("installed", "needed", "problem"),
    [
        (None, ">=1", "x is missing"),
        ("2.10.1+cpu", ">=2.11", "x 2.10.1+cpu is too old: >=2.11 is needed"),
        ("2.11.0rc1", ">=2.11", ""),
        ("10.0", ">=9.1", ""),
        ("1", ">=1.0", ""),
        ("0.1", "", ""),
    ],
)
def test_what_is_wrong_with_a_package(installed: str | None, needed: str, problem: str) -> None:
    assert Package("x", installed, needed).problem == problem


def test_a_missing_extra_is_no_problem_and_a_missing_package_is() -> None:
    absent = Package("x", None)
    computing = Computing("", 1, (), None)
    fine = Installation("1", "", "", (), (Extra("e", (absent,)),), computing, "", {})
    fine.check()
    assert fine.extras[0].problems == ("x is missing",)
    lacking = Installation("1", "", "", (absent,), (), computing, "", {})
    with pytest.raises(PackageMissing, match=r"x is missing; pip install --upgrade resnext"):
        lacking.check()


def test_it_tells_of_a_torch_that_is_broken() -> None:
    code = (
        "import sys\n"
        "class Broken:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'torch':\n"
        "            raise ImportError('libc10.so: no such file')\n"
        "sys.meta_path.insert(0, Broken())\n"
        "from resnext.cli import main\n"
        "raise SystemExit(main(['doctor', '--self']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 5
    assert "numpy" in done.stdout
    assert "problem    torch cannot be imported (libc10.so: no such file)" in done.stdout
    assert "pip install --force-reinstall torch" in done.stderr


def test_only_the_variables_of_the_list_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESNEXT_TOKEN", "secret")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    found = find_installation()
    assert found.variables["OMP_NUM_THREADS"] == "3"
    assert "secret" not in json.dumps(found.to_json())
