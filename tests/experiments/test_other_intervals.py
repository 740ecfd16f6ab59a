"""Intervals by the deviation of all arms, and for other images."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resnext.experiments.claims import lower, slower
from resnext.experiments.ledger import Ledger
from resnext.experiments.other_intervals import (
    interval_with_images,
    pack_correct,
    pooled_half_width,
    unpack_correct,
)
from resnext.experiments.scales import miniature
from resnext.experiments.study import Arm

MODELS = ("resnet11+template=16", "resnext11_4x6d+template=16", "resnext11_8x3d+template=16")


def record(model: str, seed: int, error: float, **more: Any) -> dict[str, Any]:
    scores = {"test": {"top1_error": error, "count": 4}, "val": {"top1_error": error}}
    made: dict[str, Any] = {"kind": "train", "scale": "miniature", "set": "digits", "seed": seed}
    recipe = {"model": model, "epochs": 2, "batch": 64, "precision": "float32"}
    recipe |= {
        "data": {"size_px": 8, "resize_px": 8, "train_px": 8, "flip": 0.0, "crop": "pad", "pad_px": 1},
        "training": {
            "lr": 0.4,
            "warmup": 0.25,
            "decays": "kernels",
            "label_smoothing": 0.1,
            "averaging": 0.1,
        },
    }
    made |= {"data": {"fingerprint": "0"}, "recipe": recipe, "metrics": scores}
    made["curve"] = [{"train_top1_error": error}]
    return made | more


def test_the_pooled_interval_is_that_of_an_analysis_of_variance() -> None:
    """Of all networks of one recipe, here three; a run by another recipe does not count."""
    rng = np.random.default_rng(0)
    errors = rng.normal(30, 1, (3, 4))
    records = [record(model, seed, errors[m, seed]) for m, model in enumerate(MODELS) for seed in range(4)]
    stranger = record(MODELS[0], 5, 90.0)
    stranger["recipe"] = stranger["recipe"] | {"batch": 32}
    ledger = Ledger([*records, stranger])
    arms = [Arm(name, miniature(model), "digits") for name, model in zip("ab", MODELS, strict=False)]
    found = pooled_half_width(lower("a", than="b"), arms, ledger, 4, 0.95)
    within = ((errors - errors.mean(1, keepdims=True)) ** 2).sum() / 9
    expected = stats.t.ppf(0.975, 9) * math.sqrt(within * 2 / 4)
    assert found == (pytest.approx(expected), 9)
    assert pooled_half_width(slower("a", "a", "b"), arms, ledger, 4, 0.95) is None


def test_other_images_widen_the_interval() -> None:
    """All seeds agree about every image: they say nothing of other images, and resampling images does."""
    rng = np.random.default_rng(0)
    correct = {arm: rng.random(400) < share for arm, share in (("a", 0.7), ("b", 0.6))}
    metrics = {"test": {"count": 400}, "val": {}}
    seeds = [
        {
            arm: record(
                MODELS[0],
                seed,
                0.0,
                correct={"test": pack_correct(own)},
                metrics=metrics,
            )
            for arm, own in correct.items()
        }
        for seed in range(5)
    ]
    found = interval_with_images(lower("a", than="b"), seeds, 0.95)
    assert found is not None
    difference = 100.0 * (correct["a"].astype(float) - correct["b"])
    spread = 1.96 * difference.std() / math.sqrt(400)
    assert found == pytest.approx((difference.mean() - spread, difference.mean() + spread), abs=0.15 * spread)
    del seeds[3]["a"]["correct"]  # as in records of earlier versions
    assert interval_with_images(lower("a", than="b"), seeds, 0.95) is None


@given(st.lists(st.booleans(), min_size=1, max_size=40))
def test_packing_loses_nothing(correct: list[bool]) -> None:
    packed = pack_correct(np.array(correct))
    assert unpack_correct(packed, len(correct)).tolist() == correct
    with pytest.raises(ValueError, match="bits are not those"):
        unpack_correct(packed, len(correct) + 8)
