"""Batches cut on the device are, to the bit, those of steps that see one image at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.contract import Resize
from resnext.data.augment import Augmentation, AugmentStep, ColourJitter, Erasing, Flip, PadCrop, ResizedCrop
from resnext.data.device_dataset import BatchAugmentation, DeviceDataset
from resnext.data.loaders import training_batches
from resnext.data.sampling import RowShard, SamplingPlan
from resnext.data.stored_images import ImageArrays

FILL = (120, 7, 200)


def make_images(count: int = 12) -> ImageArrays:
    values = np.random.default_rng(0).integers(0, 256, (count, 13, 11), np.uint8)
    labels = np.arange(count) % 3
    labels.setflags(write=False)  # as those of an index
    return ImageArrays(values, labels, ("a", "b", "c"))


@settings(max_examples=40)
@given(
    st.integers(4, 9),
    st.integers(0, 4),
    st.integers(0, 2),
    st.sampled_from([0.0, 0.5, 1.0]),
    st.sampled_from([None, 0.5, 1.0]),
    st.integers(0, 3),
)
def test_batches_are_those_of_single_images(
    side: int, pad: int, smaller: int, flip: float, erasing: float | None, first_step: int
) -> None:
    crop = PadCrop(Resize(side, side, "bilinear", True), side - smaller, pad, FILL)
    steps: tuple[AugmentStep, ...] = (crop, Flip(flip))
    if erasing is not None:
        steps += (Erasing(erasing, FILL),)
    augmentation, images, plan = Augmentation(steps), make_images(), SamplingPlan(12, 5, 2, seed=3)
    batch_augmentation = BatchAugmentation.from_augmentation(augmentation)
    assert batch_augmentation is not None
    shard = RowShard(range(1, 4), with_previous=True)
    on_device = DeviceDataset(images, batch_augmentation, torch.device("cpu"))
    assert list(on_device.load()) == [0, 12]
    ours = on_device.batches(plan, first_step, shard)
    theirs = training_batches(images, augmentation, plan, first_step, 0, shard)
    count = 0
    for our, their in zip(ours, theirs, strict=True):
        assert torch.equal(our.images, their.images)
        assert torch.equal(our.labels, their.labels)
        assert torch.equal(our.indices, their.indices)
        assert our.images.is_contiguous(memory_format=torch.channels_last)
        count += 1
    assert count == plan.steps - first_step


def test_other_steps_are_left_to_single_images() -> None:
    crop = PadCrop(Resize(8, 8, "bilinear", True), 8, 1, FILL)
    assert BatchAugmentation.from_augmentation(Augmentation((crop,))) == BatchAugmentation(crop)
    for steps in (
        (crop, Flip(0.5), ColourJitter(0.4)),
        (crop, Erasing(0.5, FILL), Flip(0.5)),
        (ResizedCrop(8, 0.1, 1.5, "bilinear"), Flip(0.5)),
        (Flip(0.5),),
    ):
        assert BatchAugmentation.from_augmentation(Augmentation(steps)) is None
    assert BatchAugmentation(crop).memory_bytes(50_000) == pytest.approx(50_000 * 3 * 100)
