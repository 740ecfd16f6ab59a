"""What is refused or said before the first step."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from resnext import api
from resnext.arch import ArchitectureError
from resnext.data.fast_jpeg import DecoderMissing
from resnext.machine import DeviceError, Machine
from resnext.recipe import RecipeError, TrainOptions, named_recipe, override
from resnext.run import RunError, RunStarted
from resnext.run.setup import check_processes
from resnext.training.distributed import ProcessGroup
from resnext.weights import WeightsError

pytestmark = pytest.mark.usefixtures("no_reports")
RECIPE = override(named_recipe("small"), model="resnet11+template=8", epochs=1, batch=4)
CPU = Machine(torch.device("cpu"), "", False)
BARE = override(RECIPE, model="resnet11+template=8+shortcut=none")


def test_every_process_has_an_image_of_each_step() -> None:
    check_processes(RECIPE, CPU, 4)
    with pytest.raises(RecipeError, match="batch: 4 images a step leave nothing to some of the 5"):
        check_processes(RECIPE, CPU, 5)


def test_processes_of_a_machine_do_not_share_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessGroup, "local_size", 2)
    with pytest.raises(
        DeviceError, match="--device cuda:0: 2 processes would share it; leave out its number"
    ):
        next(api.train_events("digits", RECIPE, TrainOptions(device="cuda:0")))


def test_batch_norms_are_synchronised_where_no_process_waits_for_ever() -> None:
    recipe, gpu = (
        override(RECIPE, training__batch_norm="synchronised"),
        Machine(torch.device("cuda"), "", True),
    )
    check_processes(recipe, CPU, 1)
    with pytest.raises(DeviceError, match="on GPUs only; say own or frozen"):
        check_processes(recipe, CPU, 2)
    check_processes(recipe, gpu, 3)
    pieces = override(recipe, training__accumulate=2)
    check_processes(pieces, gpu, 2)
    with pytest.raises(RecipeError, match="a batch that 3 processes share evenly, not 4"):
        check_processes(pieces, gpu, 3)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "taken"}, "a run of this name exists"),
        ({"recipe": override(RECIPE, model="resnext50_32x4x")}, "resnext50_32x4d"),
        ({"recipe": override(RECIPE, training__frozen=2)}, "give --weights"),
        ({"recipe": override(BARE, training__zero_init=True)}, "zero_init: without a shortcut"),
        ({"recipe": override(BARE, training__drop_path=0.1)}, "drop_path: without a shortcut"),
        ({"recipe": override(RECIPE, data__decoder="fast")}, "simplejpeg"),
        ({"weights": Path("nowhere.safetensors")}, "nowhere.safetensors"),
    ],
)
def test_options_that_cannot_be_met_are_refused_before_any_image_is_read(
    changes: dict[str, Any], says: str, make_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    make_folder(tmp_path / "data", {"a": 9, "b": 9})
    (tmp_path / "runs" / "taken").mkdir(parents=True)
    options = TrainOptions("x", tmp_path / "runs")
    recipe = changes.pop("recipe", RECIPE)
    events = api.train_events(tmp_path / "data", recipe, replace(options, **changes))
    with pytest.raises((RunError, ArchitectureError, RecipeError, DecoderMissing, WeightsError), match=says):
        next(events)


def test_one_process_is_told_that_it_synchronises_with_nobody(make_folder: Any, tmp_path: Path) -> None:
    make_folder(tmp_path / "data", {"a": 9, "b": 9})
    recipe = override(RECIPE, training__batch_norm="synchronised")
    events = list(api.train_events(tmp_path / "data", recipe, TrainOptions("x", tmp_path)))
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert "training.batch_norm: one process has nothing to synchronise with" in started.notes
