"""What a recipe leaves open is chosen from the data and the machine, by rules without a clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight

from resnext.contract import Resize
from resnext.data import fast
from resnext.data.augment import ColourJitter, Erasing, Flip, Lighting, PadCrop, ResizedCrop
from resnext.data.mixing import Mixing
from resnext.data.pictures import Arrays, Scan, Splits
from resnext.data.policies import RandAugment, TrivialAugment
from resnext.machine import Machine
from resnext.recipe import Recipe, dotted_names, get_field, named_recipe, override
from resnext.run import choices
from resnext.run.choices import (
    build_augmentation,
    build_contract,
    build_mixing,
    choose,
    class_weights,
)
from resnext.run.trial import Task

CPU = Machine(torch.device("cpu"), "a CPU", bfloat16=False)
GPU = Machine(torch.device("cuda"), "a GPU", bfloat16=True)


def chosen(count: int, side_px: int, machine: Machine, recipe: Recipe | None = None) -> Recipe:
    pictures = Arrays(np.zeros((count, 1, 1), np.uint8), np.arange(count) % 2, ("a", "b"))
    scan = Scan({}, np.full(count, side_px), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    splits = Splits("some", pictures, pictures)
    filled, made = choose(recipe or named_recipe("small"), splits, scan, machine)
    open_still = {name for name in dotted_names() if get_field(filled, name) is None}
    assert open_still == {"data.pad_px" if filled.data.crop == "resized" else "data.decoder"}
    assert all(get_field(filled, choice.field) == choice.value and choice.why for choice in made)
    build_augmentation(filled, build_contract(filled, splits, "0", None))
    return filled


@pytest.mark.parametrize(
    ("side_px", "on_cpu", "on_gpu"),
    [
        (8, 16, 16),
        (28, 32, 32),
        (32, 32, 32),
        (64, 64, 64),
        (96, 128, 128),
        (375, 128, 224),
        (4000, 128, 224),
    ],
)
def test_picture_sizes(side_px: int, on_cpu: int, on_gpu: int) -> None:
    assert chosen(500, side_px, CPU).data.size_px == on_cpu
    assert chosen(500, side_px, GPU).data.size_px == on_gpu


@pytest.mark.parametrize(
    ("count", "batch", "epochs"), [(10, 10, 150), (200, 16, 125), (1077, 32, 46), (45_000, 128, 18)]
)
def test_lengths(count: int, batch: int, epochs: int) -> None:
    """At least 1,500 steps, within 18 to 150 epochs."""
    recipe = chosen(count, 32, CPU)
    assert (recipe.batch, recipe.epochs) == (batch, epochs)


@pytest.mark.parametrize(
    ("processes", "expected"), [(1, (16, 32, 64)), (4, (16,))], ids=["one process", "four"]
)
def test_a_batch_is_tried_among_those_that_leave_enough_steps(
    processes: int, expected: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks: list[Task] = []

    def find(task: Task) -> tuple[int, str]:
        tasks.append(task)
        return task.batches[-1], "tried"

    monkeypatch.setattr(choices, "find_batch", find)
    pictures = Arrays(np.zeros((3000, 1, 1), np.uint8), np.arange(3000) % 2, ("a", "b"))
    scan = Scan({}, np.full(3000, 32), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    recipe = override(named_recipe("small"), batch="auto")
    filled, _ = choose(recipe, Splits("some", pictures, pictures), scan, CPU, processes)
    (task,) = tasks
    assert task.batches == expected
    assert (task.model, task.classes, task.size_px, task.precision) == (filled.model, 2, 32, "float32")
    assert filled.batch == expected[-1] * processes


def test_what_a_recipe_says_is_built() -> None:
    said = override(
        named_recipe("small"),
        seed=7,
        data__policy="rand",
        data__operations=3,
        data__magnitude=5,
        data__jitter=0.4,
        data__lighting=0.1,
        data__erasing=0.5,
        data__mixup=0.2,
        data__cutmix=1.0,
        data__train_px=28,
    )
    recipe = chosen(500, 32, CPU, said)
    pictures = Arrays(np.zeros((12, 1, 1), np.uint8), np.array([0] * 9 + [1] * 3), ("a", "b"))
    contract = build_contract(recipe, Splits("some", pictures, pictures), "0", None)
    grey = (128, 102, 76)  # the mean colour
    assert build_augmentation(recipe, contract).steps == (
        PadCrop(Resize(32, 32), 28, 4, grey),
        Flip(0.5),
        RandAugment(3, 5, grey),
        ColourJitter(0.4),
        Lighting(0.1),
        Erasing(0.5, grey),
    )
    more = {"data__operations": 2, "data__magnitude": 9, "data__pad_px": None}  # which have no effect then
    resized = override(recipe, data__crop="resized", data__policy="trivial", **more)
    first, _, policy, *_ = build_augmentation(resized, contract).steps
    assert (first, policy) == (ResizedCrop(28, 0.35, 4 / 3, "bilinear"), TrivialAugment(grey))
    assert build_mixing(recipe, 2) == Mixing(0.2, 1.0, 2, 7)
    assert class_weights(recipe, pictures) is None
    weights = class_weights(override(recipe, data__balance="weights"), pictures)
    theirs = compute_class_weight("balanced", classes=np.arange(2), y=pictures.labels)
    np.testing.assert_allclose(weights, theirs)


def test_the_fast_decoder_is_chosen_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(500, 375, CPU).data.decoder == "fast"
    lanczos = override(named_recipe("small"), data__interpolation="lanczos")
    assert chosen(500, 375, CPU, lanczos).data.decoder == "exact"
    monkeypatch.setattr(fast, "is_installed", lambda: False)
    assert chosen(500, 375, CPU).data.decoder == "exact"


def test_weights_get_pictures_as_they_were_trained() -> None:
    """Frozen layers would otherwise see others than they know."""
    pictures = Arrays(np.zeros((90, 1, 1), np.uint8), np.arange(90) % 2, ("a", "b"))
    splits = Splits("some", pictures, pictures)
    scan = Scan({}, np.full(90, 32), (0.1, 0.1, 0.1), (0.05, 0.05, 0.05))
    trained = build_contract(chosen(90, 32, CPU), splits, "0", None)
    filled, _ = choose(named_recipe("small"), splits, scan, CPU, start=trained)
    assert (filled.data.mean, filled.data.std) == (trained.mean, trained.std) == ((0.5, 0.4, 0.3), (0.2,) * 3)


def test_what_is_said_stays() -> None:
    said = override(
        named_recipe("small"),
        model="resnet50",
        epochs=3,
        batch=7,
        precision="float32",
        data__size_px=48,
        data__resize_px=50,
        data__train_px=40,
        data__crop="pad",
        data__pad_px=3,
        data__flip=0.1,
        data__mean=(0.1, 0.1, 0.1),
        data__std=(0.3, 0.3, 0.3),
    )
    assert chosen(500, 375, GPU, said) == said
    assert chosen(500, 375, GPU, replace(said, precision=None)).precision == "bfloat16"
