"""`Given`: probabilities that are there already, as a classifier of scikit-learn."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin


class Given(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose input is its answer, for MAPIE."""

    def __init__(self, classes: int = 2) -> None:
        self.classes = classes
        self.classes_ = np.arange(classes)

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def fit(self, probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> Given:
        return self

    def predict_proba(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return probabilities

    def predict(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        return probabilities.argmax(1)
