"""What a recipe leaves open is chosen from the data and the machine, by rules without a clock."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from resnext.contract import Input, Resize
from resnext.data import jpeg
from resnext.data.images import Scan
from resnext.data.splits import Splits
from resnext.data.stored_images import ImageArrays
from resnext.machine import Machine
from resnext.recipe import Recipe, dotted_names, get_field, named_recipe, override
from resnext.run import autoconfig
from resnext.run.autoconfig import fill_recipe
from resnext.run.batch_size_finder import Trial
from resnext.run.builders import build_augmentation, build_contract

CPU = Machine(torch.device("cpu"), "a CPU", bfloat16=False)
GPU = Machine(torch.device("cuda"), "a GPU", bfloat16=True)


def chosen(count: int, side_px: int, machine: Machine, recipe: Recipe | None = None) -> Recipe:
    images = ImageArrays(np.zeros((count, 1, 1), np.uint8), np.arange(count) % 2, ("a", "b"))
    scan = Scan({}, np.full(count, side_px), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    splits = Splits("some", images, images)
    filled, made = fill_recipe(recipe or named_recipe("small"), splits, scan, machine)
    open_still = {name for name in dotted_names() if get_field(filled, name) is None}
    assert open_still == {"data.grey", "data.pad_px" if filled.data.crop == "resized" else "data.decoder"}
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
def test_image_sizes(side_px: int, on_cpu: int, on_gpu: int) -> None:
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
    ("epochs", "batch", "lr"), [(1, 16, 0.069), (2, 16, 0.098), (8, 16, 0.196), (34, 16, 0.4), (4, 60, 0.072)]
)
def test_few_steps_get_a_lower_learning_rate(epochs: int, batch: int, lr: float) -> None:
    """In proportion to the square root of the steps up to 500, here of 240 images."""
    asked = override(named_recipe("small"), epochs=epochs, batch=batch)
    assert chosen(240, 128, CPU, asked).training.lr == lr
    assert chosen(240, 128, CPU, override(asked, training__lr=0.4)).training.lr == 0.4


@pytest.mark.parametrize(
    ("processes", "expected"), [(1, (16, 32, 64)), (4, (16,))], ids=["one process", "four"]
)
def test_a_batch_is_tried_among_those_that_leave_enough_steps(
    processes: int, expected: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    trials: list[Trial] = []

    def find(trial: Trial) -> tuple[int, str]:
        trials.append(trial)
        return trial.batches[-1], "tried"

    monkeypatch.setattr(autoconfig, "find_batch_size", find)
    images = ImageArrays(np.zeros((3000, 1, 1), np.uint8), np.arange(3000) % 2, ("a", "b"))
    scan = Scan({}, np.full(3000, 32), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    recipe = override(named_recipe("small"), batch="auto")
    filled, _ = fill_recipe(recipe, Splits("some", images, images), scan, CPU, processes)
    (trial,) = trials
    assert trial.batches == expected
    assert (trial.model, trial.classes, trial.size_px, trial.precision) == (filled.model, 2, 32, "float32")
    assert filled.batch == expected[-1] * processes


def test_the_fast_decoder_is_chosen_where_it_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen(500, 375, CPU).data.decoder == "fast"
    lanczos = override(named_recipe("small"), data__interpolation="lanczos")
    assert chosen(500, 375, CPU, lanczos).data.decoder == "exact"
    monkeypatch.setattr(jpeg, "is_installed", lambda: False)
    assert chosen(500, 375, CPU).data.decoder == "exact"


def test_weights_get_images_as_they_were_trained() -> None:
    """Frozen layers would otherwise see others than they know."""
    images = ImageArrays(np.zeros((90, 1, 1), np.uint8), np.arange(90) % 2, ("a", "b"))
    splits = Splits("some", images, images)
    scan = Scan({}, np.full(90, 32), (0.1, 0.1, 0.1), (0.05, 0.05, 0.05))
    trained = build_contract(chosen(90, 32, CPU), splits, "0", None)
    filled, _ = fill_recipe(named_recipe("small"), splits, scan, CPU, pretrained=trained)
    assert (filled.data.mean, filled.data.std) == (trained.mean, trained.std) == ((0.5, 0.4, 0.3), (0.2,) * 3)


def test_weights_bring_their_own_size_and_filter() -> None:
    images = ImageArrays(np.zeros((90, 1, 1), np.uint8), np.arange(90) % 2, ("a", "b"))
    splits = Splits("some", images, images)
    scan = Scan({}, np.full(90, 500), (0.1, 0.1, 0.1), (0.05, 0.05, 0.05))
    contract = build_contract(chosen(90, 500, CPU), splits, "0", None)
    trained = replace(contract, input=Input(3, 288, 288), resize=Resize(300, 288, "bicubic"))

    def sizes(trained_px: int | None, recipe: Recipe) -> tuple[Any, ...]:
        filled, made = fill_recipe(recipe, splits, scan, CPU, pretrained=trained, trained_px=trained_px)
        assert {choice.field for choice in made} >= {"data.interpolation"}
        assert build_contract(filled, splits, "0", None).resize.interpolation == "bicubic"
        return filled.data.resize_px, filled.data.size_px, filled.data.train_px

    small = named_recipe("small")
    assert sizes(None, small) == (300, 288, 288)
    assert sizes(224, small) == (300, 288, 224)
    assert sizes(224, override(small, data__size_px=112)) == (128, 112, 112)  # their sizes go together


def test_what_is_said_stays() -> None:
    said = override(
        named_recipe("small"),
        model="resnet50",
        epochs=3,
        batch=7,
        precision="float32",
        data__size_px=48,
        data__resize_px=50,
        data__interpolation="bicubic",
        data__train_px=40,
        data__crop="pad",
        data__pad_px=3,
        data__flip=0.1,
        data__mean=(0.1, 0.1, 0.1),
        data__std=(0.3, 0.3, 0.3),
        training__lr=0.2,
    )
    assert chosen(500, 375, GPU, said) == said
    assert chosen(500, 375, GPU, replace(said, precision=None)).precision == "bfloat16"
