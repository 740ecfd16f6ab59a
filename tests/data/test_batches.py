"""The order of training, and batches that do not depend on who makes them."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from resnext.contract import Resize
from resnext.data.augment import Augmentation, Flip, PadCrop
from resnext.data.batches import BalancedPlan, Part, Plan, evaluation_batches, training_batches
from resnext.data.decode import BadPicture
from resnext.data.mixing import Mixing
from resnext.data.sources import read_split, read_splits

RESIZE = Resize(16, 16)
AUGMENTATION = Augmentation((PadCrop(RESIZE, RESIZE.crop_px, 2, (0, 0, 0)), Flip(0.5)))


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 4), st.integers(0, 9), st.data())
@settings(max_examples=50)
def test_a_plan_can_be_taken_up_anywhere(
    pictures: int, batch: int, epochs: int, seed: int, data: st.DataObject
) -> None:
    plan = Plan(pictures, min(batch, pictures), epochs, seed)
    whole = list(plan.samples())
    assert len(whole) == plan.steps
    assert all(len(step) == plan.batch for step in whole)
    first = data.draw(st.integers(0, plan.steps))
    assert list(plan.samples(first)) == whole[first:]
    for epoch in range(epochs):
        assert sorted(plan.order(epoch)) == list(range(pictures))
        seen = [i for step in whole for e, i in step if e == epoch]
        assert len(set(seen)) == len(seen) == plan.steps_per_epoch * plan.batch


def test_epochs_and_seeds_have_their_own_order() -> None:
    orders = [tuple(Plan(50, 5, 2, seed).order(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


@pytest.mark.parametrize("mixes", [False, True])
def test_parts_make_up_the_batch(mixes: bool) -> None:
    """Of mixed parts the first row, which another part has too, is left out after mixing."""
    pictures = read_splits("digits").val
    plan = Plan(len(pictures), 31, 1, seed=3)
    mixing = Mixing(0.4, 1.0, 10, 5)
    whole = next(training_batches(pictures, AUGMENTATION, plan, 2, workers=0))
    parts = []
    for rows in (range(11), range(11, 21), range(21, 31)):
        part = next(training_batches(pictures, AUGMENTATION, plan, 2, 0, Part(rows, before=mixes)))
        seen = part.pictures.float(), part.labels
        parts.append(tuple(t[1:] for t in mixing(*seen, 2)) if mixes else seen)
    expected = whole.pictures.float(), whole.labels
    for ours, theirs in zip(
        map(torch.cat, zip(*parts, strict=True)), mixing(*expected, 2) if mixes else expected, strict=True
    ):
        assert torch.equal(ours, theirs)


@pytest.mark.parametrize(("workers", "first"), [(0, 4), (1, 0), (1, 4), (2, 0), (2, 7)])
def test_workers_and_restarts_change_nothing(workers: int, first: int) -> None:
    pictures = read_splits("digits").val
    plan = Plan(len(pictures), 32, 2, seed=3)
    whole = list(training_batches(pictures, AUGMENTATION, plan, 0, workers=0))
    again = list(training_batches(pictures, AUGMENTATION, plan, first, workers=workers))
    assert len(again) == plan.steps - first
    for one, other in zip(whole[first:], again, strict=True):
        assert torch.equal(one.pictures, other.pictures)
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.labels, torch.from_numpy(pictures.labels)[one.indices])
    epochs = [torch.cat([b.pictures for b in part]) for part in (whole[:5], whole[5:])]
    assert not torch.equal(*epochs)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_sees_every_picture_once_in_order(workers: int, tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path, {"a": 10, "b": 13})
    (folder / "a" / "3.png").write_bytes(b"broken")
    _, pictures = read_split(str(folder), ("a", "b"))
    batches = list(islice(evaluation_batches(pictures, RESIZE, 4, workers), 100))
    indices = torch.cat([batch.indices for batch in batches]).tolist()
    bad = [error.key for batch in batches for error in batch.bad]
    missing = pictures.keys.index("a/3.png")
    assert indices == [i for i in range(23) if i != missing]
    assert bad == [str(folder / "a/3.png")]
    labels = np.concatenate([batch.labels for batch in batches])
    assert np.array_equal(labels, pictures.labels[indices])


def test_fewer_pictures_than_a_batch_make_one_smaller_batch() -> None:
    plan = Plan(3, 8, 2, seed=0)
    steps = list(plan.samples())
    assert [sorted(i for _, i in step) for step in steps] == [[0, 1, 2]] * plan.steps == [[0, 1, 2]] * 2


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 1])
def test_training_stops_at_a_bad_picture_and_names_it(workers: int, tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path, {"a": 4, "b": 4})
    (folder / "b" / "2.png").write_bytes(b"broken")
    _, pictures = read_split(str(folder), ("a", "b"))
    with pytest.raises(BadPicture, match=r"b/2\.png: is not a picture"):
        list(training_batches(pictures, AUGMENTATION, Plan(8, 2, 1, 0), 0, workers))


def test_a_batch_of_bad_pictures_alone_is_empty(tmp_path: Path, make_folder: Any) -> None:
    folder = make_folder(tmp_path, {"a": 4, "b": 4})
    for i in range(4):
        (folder / "a" / f"{i}.png").write_bytes(b"broken")
    _, pictures = read_split(str(folder), ("a", "b"))
    first, second = evaluation_batches(pictures, RESIZE, 4, workers=0)
    assert (len(first.pictures), len(first.labels), len(first.indices), len(first.bad)) == (0, 0, 0, 4)
    assert second.indices.tolist() == [4, 5, 6, 7]


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(0, 9))
@settings(max_examples=30)
def test_a_balanced_plan_shows_all_classes_and_pictures_equally_often(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    plan = BalancedPlan(len(labels), 1, 40, seed, labels)
    orders = [plan.order(epoch) for epoch in range(40)]
    for order in orders:
        shown = np.bincount(labels[order], minlength=len(counts))
        assert shown.sum() == len(labels)
        assert shown.max() - shown.min() <= 1
    seen = np.bincount(np.concatenate(orders), minlength=len(labels))
    for label in range(len(counts)):
        own = seen[labels == label]
        assert own.max() - own.min() <= 1
    assert np.array_equal(BalancedPlan(len(labels), 1, 40, seed, labels).order(7), orders[7])


def test_mixing_is_a_pure_function_of_seed_and_step() -> None:
    pictures, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 3
    mixing = Mixing(mixup=1.0, cutmix=1.0, classes=3, seed=5)
    drawn = {step: mixing(pictures, labels, step) for step in range(200)}
    again = Mixing(1.0, 1.0, 3, 5)(pictures, labels, 117)
    assert torch.equal(drawn[117][0], again[0])
    assert not torch.equal(drawn[117][0], Mixing(1.0, 1.0, 3, 6)(pictures, labels, 117)[0])
    for mixed, targets in drawn.values():
        torch.testing.assert_close(targets.sum(1), torch.ones(8))
        assert mixed.min() >= 0
        assert mixed.max() <= 1.0001
    # CutMix moves pixels, MixUp makes new values
    moved = [bool(torch.isin(mixed, pictures).all()) for mixed, _ in drawn.values()]
    assert 70 < sum(moved) < 130
    tiny = torch.rand(8, 3, 1, 1)
    kept = [float(Mixing(0.2, 0.0, 8, 0)(tiny, torch.arange(8), step)[1][0, 0]) for step in range(2000)]
    assert kstest(kept, beta(0.2, 0.2).cdf).pvalue > 1e-3
    boxes = [Mixing(0.0, 1.0, 3, 0)(pictures, labels, step)[0] for step in range(9)]
    assert bool(torch.isin(torch.stack(boxes), pictures).all())


def test_five_crops_follow_each_other() -> None:
    pictures = read_splits("digits").val
    plain = next(evaluation_batches(pictures, Resize(20, 16), 4, 0))
    five = next(evaluation_batches(pictures, Resize(20, 16), 4, 0, "five"))
    assert five.pictures.shape == (20, 3, 16, 16)
    assert torch.equal(five.pictures[4::5], plain.pictures)
    assert torch.equal(five.labels, plain.labels)
