"""The examples in docstrings run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from pathlib import Path
from types import ModuleType

import pytest

import resnext
from resnext import bench, design, experiments

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(resnext.__path__, "resnext.")
    if module.name != "resnext.__main__"
)
PUBLIC: tuple[ModuleType, ...] = (resnext, design, bench, experiments)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", ["resnext", *MODULES])
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    module = importlib.import_module(name)
    said: list[str] = []
    for example in finder.find(module, name):
        runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)


def functions() -> list[tuple[str, object]]:
    found = []
    for module in PUBLIC:
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.isfunction(value):
                found.append((f"{module.__name__}.{name}", value))
    return found


@pytest.mark.parametrize(("name", "function"), functions(), ids=[name for name, _ in functions()])
def test_every_public_function_says_how_it_is_used(name: str, function: object) -> None:
    text = inspect.getdoc(function) or ""
    assert ">>>" in text, "no example"
    arguments = inspect.signature(function).parameters  # type: ignore[arg-type]
    if arguments:
        assert "Args:" in text
        described = text.split("Args:")[1]
        assert [argument for argument in arguments if f"{argument}:" not in described] == []


def test_every_public_class_is_described() -> None:
    lacking = [
        f"{module.__name__}.{name}"
        for module in PUBLIC
        for name in module.__all__
        if inspect.isclass(getattr(module, name)) and not (getattr(module, name).__doc__ or "").strip()
    ]
    assert lacking == []
