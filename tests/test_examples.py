"""The examples in docstrings run, and every public function has one."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
import runpy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch

import resnext
from resnext import bench, design, experiments

MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(resnext.__path__, "resnext.")
    if module.name not in ("resnext.__main__", "resnext.timm_models")  # needs timm: see tests/oracles
)
#: Modules whose examples need data sets and a run.
WITH_RUNS = [name for name in MODULES if name.startswith(("resnext.api.", "resnext.ray."))]
PUBLIC: tuple[ModuleType, ...] = (resnext, design, bench, experiments)
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.fixture
def place(make_folder: Any, tmp_path: Path) -> Path:
    """A folder with what the examples of `resnext.api` name: two sets, new images, and a run."""
    for split, count in (("train", 20), ("test", 2)):
        make_folder(tmp_path / "PETS" / split, {"cat": count, "dog": count})
    make_folder(tmp_path / "ANIMALS", {"cat": 20, "dog": 20, "eel": 20, "fox": 10})
    make_folder(tmp_path, {"new": 3})
    (tmp_path / "new" / "0.png").unlink()
    resnext.train(
        tmp_path / "PETS",
        name="pets",
        runs=tmp_path / "runs",
        model="resnext11_4x4d+template=16",
        epochs=1,
        data__size_px=16,
    )
    return tmp_path


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("name", WITH_RUNS)
def test_examples_of_runs(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_examples(name, monkeypatch, tmp_path)


@pytest.mark.parametrize("name", [name for name in ("resnext", *MODULES) if name not in WITH_RUNS])
def test_examples(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    run_examples(name, monkeypatch, tmp_path)


def run_examples(name: str, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.chdir(folder)
    finder = doctest.DocTestFinder(exclude_empty=True)
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    module = importlib.import_module(name)
    said: list[str] = []
    for example in finder.find(module, name):
        runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)


def test_the_pyramid_for_detection(capsys: pytest.CaptureFixture[str]) -> None:
    """docs/examples/fpn.py: shapes as it says, levels that see each other, a gradient for every parameter."""
    path = Path(__file__).parents[1] / "docs" / "examples" / "fpn.py"
    runpy.run_path(str(path), run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [
        f"(1, 80, {height}, {width}) (1, 4, {height}, {width})"
        for height, width in ((32, 40), (16, 20), (8, 10))
    ]
    detector = runpy.run_path(str(path))["Detector"]("resnext26_2x4d+template=8", 3, width=16)
    images = torch.randn(2, 3, 70, 90)
    found = detector(images)
    assert [tuple(scores.shape) for scores, _ in found] == [(2, 3, 9, 12), (2, 3, 5, 6), (2, 3, 3, 3)]
    assert all((boxes > 0).all() for _, boxes in found)
    sum(scores.square().sum() + boxes.log().square().sum() for scores, boxes in found).backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in detector.parameters())
    detector.zero_grad()
    detector(images)[0][0].sum().backward()  # the finest level sees the coarsest map of the backbone
    assert detector.backbone.get_parameter("layer4.0.conv1.weight").grad.abs().sum() > 0


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
    run = [one.source for one in doctest.DocTestParser().get_examples(text) if not one.options]
    assert any(f"{name.split('.')[-1]}(" in source for source in run), "no example that runs it"
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
