"""Probabilities and labels to scores, by scikit-learn.

It is imported where it is used: that takes a third of the time in which the program starts.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScores:
    """Of one class: `precision`, `recall` and `f1` as shares, and how many pictures show it."""

    name: str
    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Scores:
    """Over `count` pictures: errors in percent, mean negative log likelihood, and scores per class.

    `balanced_error` is the mean of the classes' errors, over those that pictures show (100 less balanced
    accuracy). `top5_error` is None where there are five classes or fewer. Classes that no picture shows stand
    in `classes` with count 0.
    """

    count: int
    top1_error: float
    balanced_error: float
    top5_error: float | None
    loss: float
    classes: tuple[ClassScores, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]) -> Scores:
    """Scores of `probabilities` (N, classes) against `labels` (N,), N at least 1."""
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    every = np.arange(len(classes))
    answers = probabilities.argmax(axis=1)
    values = precision_recall_fscore_support(labels, answers, labels=every, zero_division=0)
    rows = zip(classes, *(v.tolist() for v in values), strict=True)
    # scikit-learn's loss wants rows that sum to 1 in its own precision.
    wide = probabilities.astype(np.float64)
    wide /= wide.sum(axis=1, keepdims=True)
    return Scores(
        count=len(labels),
        top1_error=100 * float(np.mean(answers != labels)),
        balanced_error=100 * (1 - float(values[1][values[3] > 0].mean())),
        top5_error=_top5_error(wide, labels, every) if len(classes) > 5 else None,
        loss=float(log_loss(labels, wide, labels=every)),
        classes=tuple(ClassScores(name, p, r, f1, int(count)) for name, p, r, f1, count in rows),
    )


@dataclass(frozen=True)
class Bin:
    """Pictures whose highest probability is near `confidence` (its mean): the share of right answers among
    them, and how many they are."""

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """Is the confidence justified? `ece` is the expected calibration error (Guo et al. 2017), a share."""

    ece: float
    bins: tuple[Bin, ...]


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.int64], bins: int = 15) -> Reliability:
    """Confidence against accuracy in `bins` equally wide steps; empty ones are left out."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    found = tuple(
        Bin(float(confidence[here].mean()), float(right[here].mean()), int(here.sum()))
        for here in (place == number for number in range(bins))
        if here.any()
    )
    gaps = sum(one.count * abs(one.accuracy - one.confidence) for one in found)
    return Reliability(gaps / len(labels), found)


def confusion(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """Counts (classes, classes): rows are the truth, columns the answer."""
    from sklearn.metrics import confusion_matrix

    counts: NDArray[np.int64] = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(classes))
    return counts


def _top5_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], every: Any) -> float:
    from sklearn.metrics import top_k_accuracy_score

    return 100 * (1 - float(top_k_accuracy_score(labels, probabilities, k=5, labels=every)))
