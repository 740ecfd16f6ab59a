"""Metrics go where they were asked to go, once, and never stop a training."""

from __future__ import annotations

import importlib.util
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from resnext import api
from resnext.cli import main
from resnext.errors import UsageError
from resnext.recipe import TrainOptions, named_recipe, override
from resnext.run import StepEnd

pytestmark = pytest.mark.usefixtures("no_reports")
RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=3, batch=4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> str:
    root: Path = tmp_path_factory.mktemp("data")
    make_folder(root / "train", {"a": 13, "b": 13})
    make_folder(root / "val", {"a": 3, "b": 3})
    return str(root)


def train_in_two(data: str, runs: Path, log: tuple[Any, ...]) -> Path:
    """A run left at step 8 and taken up again from its checkpoint at step 6."""
    events = api.train_events(data, RECIPE, TrainOptions("x", runs, log=log))
    for event in events:
        if isinstance(event, StepEnd) and event.step.step == 8:
            break
    events.close()
    api.train(data, RECIPE, name="x", runs=runs, resume="must", log=log)
    return runs / "x"


def test_tensorboard_has_every_epoch_once(data: str, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    folder = train_in_two(data, tmp_path, ())
    read = accumulator.EventAccumulator(str(folder / "events"))
    read.Reload()
    told = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    expected = [(line["step"], line["val_loss"]) for line in told if "val_loss" in line]
    assert [(e.step, e.value) for e in read.Scalars("val_loss")] == [
        (step, pytest.approx(value, rel=1e-6)) for step, value in expected
    ]
    assert read.Scalars("lr")


class Recorder(types.ModuleType):
    """Stands for a package: keeps what it is told, and fails on request."""

    def __init__(self, name: str, broken: bool = False) -> None:
        super().__init__(name)
        self.told: list[tuple[int, dict[str, float]]] = []
        self.started: list[str | None] = []
        self.params: dict[str, Any] = {}
        self.broken = broken
        self.ended = 0

    def start_run(self, run_id: str | None, run_name: str | None) -> Any:
        self.started.append(run_id)
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id=run_id or "r1"))

    def log_params(self, params: dict[str, Any]) -> None:
        self.params |= params

    def log_metrics(self, values: dict[str, float], step: int) -> None:
        if self.broken:
            raise ConnectionError("no route")
        self.told.append((step, values))

    def end_run(self) -> None:
        self.ended += 1

    def init(self, id: str | None, config: dict[str, Any], **_: Any) -> Any:
        self.started.append(id)
        self.params |= config
        return types.SimpleNamespace(id=id or "r1", log=self.log_metrics, finish=self.end_run)


@pytest.fixture(params=["mlflow", "wandb"])
def package(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    module = Recorder(request.param)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: n == module.__name__ or real(n, *a))
    return module


def test_a_resumed_run_goes_on_under_its_name(package: Recorder, data: str, tmp_path: Path) -> None:
    folder = train_in_two(data, tmp_path, (package.__name__,))
    assert package.started == [None, "r1"]
    assert package.ended == 2
    assert package.params["training.lr"] == api.Run(folder).recipe.training.lr
    epochs = [step for step, values in package.told if "val_loss" in values]
    assert epochs == [6, 12, 18]
    assert not (folder / "events").exists()


def test_a_logger_that_fails_does_not_stop_training(package: Recorder, data: str, tmp_path: Path) -> None:
    package.broken = True
    run = api.train(data, RECIPE, name="x", runs=tmp_path, log=(package.__name__,))
    assert "val" in run.result["metrics"]
    text = (run.folder / "log.txt").read_text()
    assert text.count(f"no more is sent to {package.__name__}: ConnectionError: no route") == 1


def test_what_is_not_installed_is_named(
    data: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda *a: None)
    assert main(["train", data, "--runs", str(tmp_path), "--log", "mlflow"]) == 5
    assert "pip install 'resnext[mlflow]'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match="tensorboard, mlflow or wandb"):
        api.train(data, RECIPE, name="x", runs=tmp_path, log=("comet",))
