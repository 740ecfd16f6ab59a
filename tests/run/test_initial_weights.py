"""What a run starts from, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resnext import api
from resnext.data.images import Scan
from resnext.recipe import TrainOptions, named_recipe, override
from resnext.run import RunError, RunStarted
from resnext.run.initial_weights import hint_at_weights

pytestmark = pytest.mark.usefixtures("no_reports")
SMALL = {"model": "resnet11+template=8", "epochs": 1, "batch": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Path:
    root: Path = make_folder(tmp_path_factory.mktemp("pets"), {"cat": 10, "dog": 10})
    return root


@pytest.fixture(scope="module")
def start(data: Path, tmp_path_factory: pytest.TempPathFactory, no_reports: None) -> Path:
    return api.train(data, runs=tmp_path_factory.mktemp("runs"), seed=5, **SMALL).folder


def first_event(data: Path, **more: Any) -> RunStarted:
    started = None

    def keep(event: Any) -> None:
        nonlocal started
        if isinstance(event, RunStarted):
            started = event

    api.train(data, on_event=keep, epochs=1, batch=4, **more)
    assert started is not None
    return started


def test_the_same_classes_keep_the_head(data: Path, start: Path, tmp_path: Path) -> None:
    """With no training to speak of, the network is the one that it started from."""
    still = {"runs": tmp_path, "weights": start, "training__lr": 1e-12, "training__batch_norm": "frozen"}
    started = first_event(data, name="kept", **still)
    assert {c.field: c.value for c in started.choices}["head"] == "that of the weights"
    made, given = (api.load(run, "cpu").network.state_dict() for run in (tmp_path / "kept", start))
    assert torch.allclose(made["fc.weight"], given["fc.weight"], atol=1e-6)
    first_event(data, name="new", new_head=True, **still)
    made = api.load(tmp_path / "new", "cpu").network.state_dict()
    assert not torch.allclose(made["fc.weight"], given["fc.weight"], atol=1e-2)


def test_a_run_that_an_earlier_version_began_with_weights_is_resumed_by_the_same_words(
    data: Path, start: Path, tmp_path: Path
) -> None:
    """It was by `small`, where no recipe was named; what was asked for must still be the same."""
    options: dict[str, Any] = {"name": "old", "runs": tmp_path, "weights": start, "resume": "auto"}
    stopped = api.train_events(data, override(named_recipe("small"), **SMALL), TrainOptions(**options))
    while not isinstance(next(stopped), RunStarted):
        pass
    stopped.close()
    with pytest.raises(RunError, match="seed: 1 now, 0 in the run"):
        api.train(data, seed=1, **options, **SMALL)
    run = api.train(data, **options, **SMALL)
    assert run.recipe.training.layer_decay == 1.0


def test_photographs_are_hinted_at_weights_and_small_images_are_not() -> None:
    def hint(side_px: int, model: str | None = None) -> str:
        return hint_at_weights("PETS", model, Scan({}, np.full(9, side_px), (0.0,) * 3, (1.0,) * 3))

    assert "resnext train PETS --weights resnext50_32x4d" in hint(300)
    assert hint(300, "resnet50").endswith("--weights resnet50")
    assert hint(300, "resnext29_8x64d").endswith("--weights resnext50_32x4d")  # nobody has published any
    assert hint(32) == hint(64) == ""
