"""Sampling plans are pure functions of their seed and cover the images as they promise."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from resnext.data.sampling import BalancedSamplingPlan, SamplingPlan, WindowedSamplingPlan


@given(st.integers(1, 60), st.integers(1, 12), st.integers(1, 4), st.integers(0, 9), st.data())
@settings(max_examples=50)
def test_a_plan_can_be_resumed_at_any_step(
    images: int, batch: int, epochs: int, seed: int, data: st.DataObject
) -> None:
    plan = SamplingPlan(images, min(batch, images), epochs, seed)
    whole = list(plan.samples())
    assert len(whole) == plan.steps
    assert all(len(step) == plan.batch for step in whole)
    first = data.draw(st.integers(0, plan.steps))
    assert list(plan.samples(first)) == whole[first:]
    for epoch in range(epochs):
        assert sorted(plan.order(epoch)) == list(range(images))
        seen = [i for step in whole for e, i in step if e == epoch]
        assert len(set(seen)) == len(seen) == plan.steps_per_epoch * plan.batch


def test_epochs_and_seeds_have_their_own_order() -> None:
    orders = [tuple(SamplingPlan(50, 5, 2, seed).order(epoch)) for seed in (0, 1) for epoch in (0, 1)]
    assert len(set(orders)) == 4


def test_fewer_images_than_a_batch_make_one_smaller_batch() -> None:
    plan = SamplingPlan(3, 8, 2, seed=0)
    steps = list(plan.samples())
    assert [sorted(i for _, i in step) for step in steps] == [[0, 1, 2]] * plan.steps == [[0, 1, 2]] * 2


def test_each_epoch_of_a_windowed_plan_is_a_permutation_that_stays_near() -> None:
    plan = WindowedSamplingPlan(1000, batch=10, epochs=2, seed=3, window=50)
    first, second = plan.order(0), plan.order(1)
    assert sorted(first.tolist()) == list(range(1000))
    assert np.abs(first - np.arange(1000)).max() < 50
    assert np.abs(first - np.arange(1000)).mean() > 10
    assert first.tolist() != second.tolist()
    assert plan.order(0).tolist() == first.tolist()
    assert WindowedSamplingPlan(7, 2, 1, 0, window=50).order(0).tolist() != list(range(7))


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5), st.integers(0, 9))
@settings(max_examples=30)
def test_a_balanced_plan_shows_all_classes_and_images_equally_often(counts: list[int], seed: int) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    plan = BalancedSamplingPlan(len(labels), 1, 40, seed, labels)
    orders = [plan.order(epoch) for epoch in range(40)]
    for order in orders:
        shown = np.bincount(labels[order], minlength=len(counts))
        assert shown.sum() == len(labels)
        assert shown.max() - shown.min() <= 1
    seen = np.bincount(np.concatenate(orders), minlength=len(labels))
    for label in range(len(counts)):
        of_class = seen[labels == label]
        assert of_class.max() - of_class.min() <= 1
    assert np.array_equal(BalancedSamplingPlan(len(labels), 1, 40, seed, labels).order(7), orders[7])
