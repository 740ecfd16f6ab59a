"""MixUp and CutMix are pure functions of seed and step, with shares from a Beta distribution."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest

from resnext.data.mixup import Mixing


def test_mixing_is_a_pure_function_of_seed_and_step() -> None:
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 3
    mixing = Mixing(mixup=1.0, cutmix=1.0, classes=3, seed=5)
    drawn = {step: mixing(images, labels, step) for step in range(200)}
    again = Mixing(1.0, 1.0, 3, 5)(images, labels, 117)
    assert torch.equal(drawn[117][0], again[0])
    assert not torch.equal(drawn[117][0], Mixing(1.0, 1.0, 3, 6)(images, labels, 117)[0])
    for mixed, targets in drawn.values():
        torch.testing.assert_close(targets.sum(1), torch.ones(8))
        assert mixed.min() >= 0
        assert mixed.max() <= 1.0001
    # CutMix moves pixels, MixUp makes new values
    moved = [bool(torch.isin(mixed, images).all()) for mixed, _ in drawn.values()]
    assert 70 < sum(moved) < 130
    tiny = torch.rand(8, 3, 1, 1)
    kept = [float(Mixing(0.2, 0.0, 8, 0)(tiny, torch.arange(8), step)[1][0, 0]) for step in range(2000)]
    assert kstest(kept, beta(0.2, 0.2).cdf).pvalue > 1e-3
    boxes = [Mixing(0.0, 1.0, 3, 0)(images, labels, step)[0] for step in range(9)]
    assert bool(torch.isin(torch.stack(boxes), images).all())


def test_a_step_is_mixed_where_its_draw_is_below_the_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not where it equals it: draws are from [0, 1)."""
    images, labels = torch.rand(8, 3, 16, 16), torch.arange(8) % 3
    draw = np.random.Generator(np.random.PCG64(np.random.SeedSequence(5, spawn_key=(0,)))).random()
    for probability, moves_pixels in ((draw, True), (draw + 1e-9, False)):
        monkeypatch.setattr(Mixing, "_mixup_probability", lambda _, probability=probability: probability)
        mixed, _ = Mixing(1.0, 1.0, 3, 5)(images, labels, 0)
        assert bool(torch.isin(mixed, images).all()) == moves_pixels
