"""What a recipe leaves open is chosen from the data and the machine, by rules without a clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from resnext.data.pictures import Arrays, Scan, Splits
from resnext.recipe import Recipe, dotted_names, get_field, named_recipe, override
from resnext.run.choices import build_augmentation, build_contract, choose
from resnext.run.machine import Machine

CPU = Machine(torch.device("cpu"), "a CPU", bfloat16=False)
GPU = Machine(torch.device("cuda"), "a GPU", bfloat16=True)


def chosen(count: int, side_px: int, machine: Machine, recipe: Recipe | None = None) -> Recipe:
    pictures = Arrays(np.zeros((count, 1, 1), np.uint8), np.arange(count) % 2, ("a", "b"))
    scan = Scan({}, np.full(count, side_px), (0.5, 0.4, 0.3), (0.2, 0.2, 0.2))
    splits = Splits("some", pictures, pictures)
    filled, choices = choose(recipe or named_recipe("small"), splits, scan, machine)
    open_still = {name for name in dotted_names() if get_field(filled, name) is None}
    assert open_still == ({"data.pad_px"} if filled.data.crop == "resized" else set())
    assert all(get_field(filled, choice.field) == choice.value and choice.why for choice in choices)
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
