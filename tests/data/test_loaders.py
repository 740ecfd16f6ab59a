"""Batches depend neither on the worker processes that make them nor on where training starts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resnext.contract import Resize
from resnext.data.augment import Augmentation, Flip, PadCrop
from resnext.data.decode import BadImage
from resnext.data.loaders import evaluation_batches, training_batches
from resnext.data.mixup import Mixing
from resnext.data.sampling import RowShard, SamplingPlan
from resnext.data.sources import read_split, read_splits

RESIZE = Resize(16, 16)
AUGMENTATION = Augmentation((PadCrop(RESIZE, RESIZE.crop_px, 2, (0, 0, 0)), Flip(0.5)))


@pytest.mark.parametrize("mixes", [False, True])
def test_shards_make_up_the_batch(mixes: bool) -> None:
    """The first row of a shard to mix, which another shard has too, is left out after mixing."""
    images = read_splits("digits").val
    plan = SamplingPlan(len(images), 31, 1, seed=3)
    mixing = Mixing(0.4, 1.0, 10, 5)
    whole = next(training_batches(images, AUGMENTATION, plan, 2, workers=0))
    shards = []
    for rows in (range(11), range(11, 21), range(21, 31)):
        shard = RowShard(rows, with_previous=mixes)
        batch = next(training_batches(images, AUGMENTATION, plan, 2, 0, shard))
        tensors = batch.images.float(), batch.labels
        shards.append(tuple(t[1:] for t in mixing(*tensors, 2)) if mixes else tensors)
    expected = whole.images.float(), whole.labels
    for ours, theirs in zip(
        map(torch.cat, zip(*shards, strict=True)), mixing(*expected, 2) if mixes else expected, strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("workers", "first"), [(0, 4), (1, 0), (1, 4), (2, 0), (2, 7)])
def test_workers_and_restarts_change_nothing(workers: int, first: int) -> None:
    images = read_splits("digits").val
    plan = SamplingPlan(len(images), 32, 2, seed=3)
    whole = list(training_batches(images, AUGMENTATION, plan, 0, workers=0))
    again = list(training_batches(images, AUGMENTATION, plan, first, workers=workers))
    assert len(again) == plan.steps - first
    for one, other in zip(whole[first:], again, strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.labels, torch.from_numpy(images.labels)[one.indices])
    epochs = [torch.cat([batch.images for batch in epoch]) for epoch in (whole[:5], whole[5:])]
    assert not torch.equal(*epochs)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_every_image_once_in_order(workers: int, tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path, {"a": 10, "b": 13})
    (folder / "a" / "3.png").write_bytes(b"broken")
    _, images = read_split(str(folder), ("a", "b"))
    batches = list(islice(evaluation_batches(images, RESIZE, 4, workers), 100))
    indices = torch.cat([batch.indices for batch in batches]).tolist()
    bad = [error.key for batch in batches for error in batch.bad]
    missing = images.keys.index("a/3.png")
    assert indices == [i for i in range(23) if i != missing]
    assert bad == [str(folder / "a/3.png")]
    labels = np.concatenate([batch.labels for batch in batches])
    assert np.array_equal(labels, images.labels[indices])


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_training_stops_at_a_bad_image_and_names_it(workers: int, tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path, {"a": 4, "b": 4})
    (folder / "b" / "2.png").write_bytes(b"broken")
    _, images = read_split(str(folder), ("a", "b"))
    with pytest.raises(BadImage, match=r"b/2\.png: is not an image"):
        list(training_batches(images, AUGMENTATION, SamplingPlan(8, 2, 1, 0), 0, workers))


def test_a_batch_of_bad_images_alone_is_empty(tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path, {"a": 4, "b": 4})
    for i in range(4):
        (folder / "a" / f"{i}.png").write_bytes(b"broken")
    _, images = read_split(str(folder), ("a", "b"))
    first, second = evaluation_batches(images, RESIZE, 4, workers=0)
    assert (len(first.images), len(first.labels), len(first.indices), len(first.bad)) == (0, 0, 0, 4)
    assert second.indices.tolist() == [4, 5, 6, 7]


def test_five_crops_follow_each_other() -> None:
    images = read_splits("digits").val
    plain = next(evaluation_batches(images, Resize(20, 16), 4, 0))
    five = next(evaluation_batches(images, Resize(20, 16), 4, 0, "five"))
    assert five.images.shape == (20, 3, 16, 16)
    assert torch.equal(five.images[4::5], plain.images)
    assert torch.equal(five.labels, plain.labels)
