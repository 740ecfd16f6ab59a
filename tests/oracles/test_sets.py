"""Sets of classes are those of MAPIE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from resnext.confidence import fit_sets, in_sets


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose input is its answer."""

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes
        self.classes_ = np.arange(classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Given:
        return self

    def predict_proba(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        return probabilities

    def predict(self, probabilities: NDArray[np.float32]) -> NDArray[np.int64]:
        return probabilities.argmax(1)


@pytest.mark.parametrize("coverage", [0.6, 0.9, 0.99])
@pytest.mark.parametrize("classes", [2, 10, 100])
def test_sets_are_those_of_mapie(classes: int, coverage: float, mapie: Any) -> None:
    random = np.random.default_rng(classes)
    labels = np.arange(1500) % classes  # MAPIE wants each among the first
    logits = random.normal(0, 1, (1500, classes))
    logits[np.arange(1500), labels] += 2
    made = np.exp(logits)
    probabilities = made / made.sum(1, keepdims=True)
    theirs = mapie.SplitConformalClassifier(Given(classes), coverage, conformity_score="lac", prefit=True)
    theirs.conformalize(probabilities[:500], labels[:500])
    _, sets = theirs.predict_set(probabilities[500:])
    single = probabilities.astype(np.float32)
    ours = in_sets(single[500:], fit_sets(single[:500], labels[:500], coverage))
    # Ours are never empty: they hold the likeliest class.
    sets[np.arange(1000), probabilities[500:].argmax(1)] = True
    assert np.array_equal(ours, sets[..., 0])
