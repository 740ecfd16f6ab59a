"""Batches cut on the device are, to the bit, those of the steps that see one picture at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.contract import Resize
from resnext.data.augment import Augmentation, ColourJitter, Erasing, Flip, PadCrop, ResizedCrop, Step
from resnext.data.batches import Part, Plan, training_batches
from resnext.data.pictures import Arrays
from resnext.data.resident import Cuts, Resident

FILL = (120, 7, 200)


def made(count: int = 12) -> Arrays:
    values = np.random.default_rng(0).integers(0, 256, (count, 13, 11), np.uint8)
    labels = np.arange(count) % 3
    labels.setflags(write=False)  # as those of an index
    return Arrays(values, labels, ("a", "b", "c"))


@settings(max_examples=40)
@given(
    st.integers(4, 9),
    st.integers(0, 4),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([None, 0.5, 1.0]),
    st.integers(0, 3),
)
def test_the_same_pictures(
    side: int, pad: int, smaller: int, flip: float, erasing: float | None, first_step: int
) -> None:
    crop = PadCrop(Resize(side, side, "bilinear", True), side - smaller, pad, FILL)
    steps: tuple[Step, ...] = (crop, Flip(flip))
    if erasing is not None:
        steps += (Erasing(erasing, FILL),)
    augmentation, pictures, plan = Augmentation(steps), made(), Plan(12, 5, 2, seed=3)
    cuts = Cuts.of(augmentation)
    assert cuts is not None
    part = Part(range(1, 4), before=True)
    resident = Resident(pictures, cuts, torch.device("cpu"))
    assert list(resident.read()) == [0, 12]
    ours = resident.batches(plan, first_step, part)
    theirs = training_batches(pictures, augmentation, plan, first_step, 0, part)
    count = 0
    for own, one in zip(ours, theirs, strict=True):
        assert torch.equal(own.pictures, one.pictures)
        assert torch.equal(own.labels, one.labels)
        assert torch.equal(own.indices, one.indices)
        assert own.pictures.is_contiguous(memory_format=torch.channels_last)
        count += 1
    assert count == plan.steps - first_step


def test_what_takes_more_than_cuts_is_left_to_the_steps() -> None:
    crop = PadCrop(Resize(8, 8, "bilinear", True), 8, 1, FILL)
    assert Cuts.of(Augmentation((crop,))) == Cuts(crop)
    for steps in (
        (crop, Flip(0.5), ColourJitter(0.4)),
        (crop, Erasing(0.5, FILL), Flip(0.5)),
        (ResizedCrop(8, 0.1, 1.5, "bilinear"), Flip(0.5)),
        (Flip(0.5),),
    ):
        assert Cuts.of(Augmentation(steps)) is None
    assert Cuts(crop).bytes(50_000) == pytest.approx(50_000 * 3 * 100)
