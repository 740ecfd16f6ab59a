"""Every setting of a recipe changes what is trained: none is lost between the recipe and the steps."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

from resnext.recipe import Recipe, TrainOptions, dotted_names, named_recipe, override, set_field
from resnext.run import EpochEnd, StepEnd, train
from resnext.training import compiling

BASE = override(
    named_recipe("small"),
    model="resnet11+template=8",
    epochs=2,
    batch=8,
    precision="float32",
    data__size_px=16,
    data__resize_px=18,
    data__train_px=16,
    data__crop="pad",
    data__pad_px=2,
    data__flip=0.0,
    data__mean=(0.5, 0.5, 0.5),
    data__std=(0.25, 0.25, 0.25),
)
OPEN = override(BASE, data__pad_px=None)
RESIZED = override(OPEN, data__crop="resized")
RAND = override(BASE, data__policy="rand")
STEP = override(BASE, training__schedule="step")
#: By the name of a setting: a recipe, and another value.
CHANGES: dict[str, tuple[Recipe, Any]] = {
    "model": (BASE, "resnet11+template=16"),
    "epochs": (BASE, 3),
    "batch": (BASE, 6),
    "precision": (BASE, "bfloat16"),
    "seed": (BASE, 1),
    "data.size_px": (BASE, 18),
    "data.resize_px": (BASE, 20),
    "data.interpolation": (BASE, "bicubic"),
    "data.mean": (BASE, (0.4, 0.5, 0.5)),
    "data.std": (BASE, (0.25, 0.25, 0.3)),
    "data.grey": (BASE, (0.0, 30_000.0)),
    "data.crop": (OPEN, "resized"),
    "data.pad_px": (BASE, 4),
    "data.min_area": (RESIZED, 0.9),
    "data.max_aspect": (RESIZED, 3.0),
    "data.flip": (BASE, 0.5),
    "data.train_px": (BASE, 14),
    "data.policy": (BASE, "trivial"),
    "data.operations": (RAND, 4),
    "data.magnitude": (RAND, 25),
    "data.jitter": (BASE, 0.4),
    "data.lighting": (BASE, 0.5),
    "data.erasing": (BASE, 1.0),
    "data.mixup": (BASE, 1.0),
    "data.cutmix": (BASE, 1.0),
    "data.balance": (BASE, "weights"),
    "training.optimiser": (BASE, "adamw"),
    "training.lr": (BASE, 0.2),
    "training.lr_batch": (BASE, 64),
    "training.momentum": (BASE, 0.5),
    "training.weight_decay": (BASE, 0.1),
    "training.decays": (BASE, "all"),
    "training.schedule": (BASE, "cosine"),
    "training.warmup": (BASE, 0.6),
    "training.milestones": (STEP, (0.25,)),
    "training.label_smoothing": (BASE, 0.0),
    "training.averaging": (BASE, 0.9),
    "training.zero_init": (BASE, True),
    "training.drop_path": (BASE, 0.9),
    "training.dropout": (BASE, 0.5),
    "training.accumulate": (BASE, 2),
    "training.clip_norm": (BASE, 0.01),
    "training.batch_norm": (BASE, "frozen"),
    "training.frozen": (BASE, 1),
    "training.layer_decay": (BASE, 0.5),
}
#: They do not change what is trained, and have tests of their own.
ELSEWHERE = {
    "data.decoder",  # tests/data/test_fast.py
    "training.compile",  # below
    "training.fits",  # test_head_run.py
    "training.patience",  # test_resume.py
}
#: They need weights that mean something.
FROM_WEIGHTS = ("training.frozen", "training.layer_decay")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory, make_folder: Any) -> Any:
    """`told(recipe, weights)`: the losses of each step and after each epoch."""
    root: Path = tmp_path_factory.mktemp("settings")
    make_folder(root / "data" / "train", {"a": 14, "b": 9})
    deep = np.random.default_rng(0).integers(0, 65536, (16, 20)).astype(np.uint16)
    Image.fromarray(deep).save(root / "data" / "train" / "a" / "14.png")
    make_folder(root / "data" / "val", {"a": 3, "b": 3})

    @cache
    def losses(recipe: Recipe, from_weights: bool = False) -> list[float]:
        weights = root / "start" if from_weights else None
        name = "start" if not (root / "start").exists() else None
        options = TrainOptions(name, root, weights=weights, device="cpu", workers=0)
        found = []
        for event in train(str(root / "data"), recipe, options):
            if isinstance(event, StepEnd):
                found.append(event.step.loss.item())
            if isinstance(event, EpochEnd):
                found.append(event.val.loss)
        return found

    losses(BASE)
    return losses


@pytest.mark.parametrize("name", CHANGES)
def test_every_setting_has_its_effect(name: str, told: Any) -> None:
    base, value = CHANGES[name]
    changed = set_field(base, name, value)
    assert told(changed, name in FROM_WEIGHTS) != told(base, name in FROM_WEIGHTS)


def test_drawing_rare_classes_more_often_is_another_training(told: Any) -> None:
    drawn, weighed = (told(override(BASE, data__balance=how)) for how in ("sampler", "weights"))
    assert drawn not in (weighed, told(BASE))


def test_a_compiled_network_is_the_one_that_is_trained(told: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []

    def compile_(network: nn.Module, options: dict[str, bool]) -> nn.Module:
        compiled.append(nn.Sequential(network))
        return compiled[0]

    monkeypatch.setattr(compiling.torch, "compile", compile_)
    calls: list[int] = []
    monkeypatch.setattr(nn.Sequential, "__call__", _counted(nn.Sequential.__call__, compiled, calls))
    assert told(override(BASE, training__compile="on")) == told(BASE)
    assert len(calls) == 1 + 2 * 3  # tried once, then each step


def _counted(real: Any, which: list[nn.Module], calls: list[int]) -> Any:
    def call(self: nn.Module, *inputs: Any) -> Any:
        if self in which:
            calls.append(1)
        return real(self, *inputs)

    return call


def test_no_setting_is_left_out() -> None:
    assert CHANGES.keys() | ELSEWHERE == set(dotted_names())
    assert not CHANGES.keys() & ELSEWHERE
