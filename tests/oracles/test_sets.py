"""Sets of classes are those of MAPIE."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resnext.confidence import fit_sets, in_sets

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("coverage", [0.6, 0.9, 0.99])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_sets_are_those_of_mapie(classes: int, coverage: float, mapie: Any) -> None:
    random = np.random.default_rng(classes)
    labels = np.arange(1500) % classes  # MAPIE wants each among the first
    logits = random.normal(0, 1, (1500, classes))
    logits[np.arange(1500), labels] += 2
    made = np.exp(logits)
    probabilities = made / made.sum(1, keepdims=True)
    given = runpy.run_path(str(ROOT / "benchmarks" / "given.py"))["Given"](classes)
    theirs = mapie.SplitConformalClassifier(given, coverage, conformity_score="lac", prefit=True)
    theirs.conformalize(probabilities[:500], labels[:500])
    _, sets = theirs.predict_set(probabilities[500:])
    single = probabilities.astype(np.float32)
    ours = in_sets(single[500:], fit_sets(single[:500], labels[:500], coverage))
    # Ours are never empty: they hold the likeliest class.
    sets[np.arange(1000), probabilities[500:].argmax(1)] = True
    assert np.array_equal(ours, sets[..., 0])
