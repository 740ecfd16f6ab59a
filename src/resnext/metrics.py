"""Scores of predicted probabilities against labels, by scikit-learn.

scikit-learn is imported inside the functions, because it takes a third of the program's start-up time.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class.

    Attributes:
        name: Name of the class.
        precision: Share of the images predicted as this class that belong to it, from 0 to 1.
        recall: Share of its images that are predicted as this class, from 0 to 1.
        f1: Harmonic mean of the two.
        count: Number of its images.
    """

    name: str
    precision: float
    recall: float
    f1: float
    count: int


@dataclass(frozen=True)
class Scores:
    """Scores over all images of a split.

    Attributes:
        count: Number of images.
        top1_error: Share of wrong predictions in percent.
        balanced_error: Mean of the classes' errors in percent, over classes with images (100 minus balanced
            accuracy).
        top5_error: Share of images in percent whose class is not among the five most probable; None if there
            are five classes or fewer.
        loss: Mean negative log likelihood.
        classes: Scores of each class. A class without images has count 0.
    """

    count: int
    top1_error: float
    balanced_error: float
    top5_error: float | None
    loss: float
    classes: tuple[ClassScores, ...]

    def to_json(self) -> dict[str, Any]:
        """The scores as plain data for JSON."""
        return asdict(self)


def score(probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: tuple[str, ...]) -> Scores:
    """Compute all scores.

    Args:
        probabilities: float32 (N, classes), N at least 1.
        labels: True classes, int64 (N,).
        classes: Names of the classes.

    >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6], [0.8, 0.2], [0.3, 0.7]], np.float32)
    >>> scores = score(probabilities, np.array([0, 0, 0, 1]), ("cat", "dog"))
    >>> scores.top1_error, round(scores.balanced_error, 2), scores.classes[0].count
    (25.0, 16.67, 3)
    """
    from sklearn.metrics import log_loss, precision_recall_fscore_support

    class_indices = np.arange(len(classes))
    predicted = probabilities.argmax(axis=1)
    by_class = precision_recall_fscore_support(labels, predicted, labels=class_indices, zero_division=0)
    _, recalls, _, counts = by_class
    rows = zip(classes, *(values.tolist() for values in by_class), strict=True)
    # scikit-learn requires rows that sum to 1 in its own precision.
    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    return Scores(
        count=len(labels),
        top1_error=100 * float(np.mean(predicted != labels)),
        balanced_error=100 * (1 - float(recalls[counts > 0].mean())),
        top5_error=_top5_error(exact, labels, class_indices) if len(classes) > 5 else None,
        loss=float(log_loss(labels, exact, labels=class_indices)),
        classes=tuple(ClassScores(name, p, r, f1, int(count)) for name, p, r, f1, count in rows),
    )


@dataclass(frozen=True)
class Bin:
    """Images of similar confidence, the probability of the predicted class.

    Attributes:
        confidence: Mean confidence of the images, from 0 to 1.
        accuracy: Share of right predictions among them, from 0 to 1.
        count: Number of images.
    """

    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """How well confidence matches accuracy.

    Attributes:
        ece: Expected calibration error (Guo et al. 2017), from 0 to 1.
        bins: Bins of equal width, in order of confidence; empty ones are left out.
    """

    ece: float
    bins: tuple[Bin, ...]


def reliability(probabilities: NDArray[np.float32], labels: NDArray[np.int64], bins: int = 15) -> Reliability:
    """Compare confidence with accuracy.

    Args:
        probabilities: float32 (N, classes).
        labels: True classes, int64 (N,).
        bins: Number of bins of equal width from 0 to 1.

    >>> probabilities = np.array([[0.75, 0.25], [0.75, 0.25]], np.float32)
    >>> reliability(probabilities, np.array([0, 1]))
    Reliability(ece=0.25, bins=(Bin(confidence=0.75, accuracy=0.5, count=2),))
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    is_right = probabilities.argmax(axis=1) == labels
    bin_numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    filled = tuple(
        Bin(float(confidence[members].mean()), float(is_right[members].mean()), int(members.sum()))
        for members in (bin_numbers == number for number in range(bins))
        if members.any()
    )
    gaps = sum(one.count * abs(one.accuracy - one.confidence) for one in filled)
    return Reliability(gaps / len(labels), filled)


def confusion(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], classes: int
) -> NDArray[np.int64]:
    """The confusion matrix: numbers of images, int64 (classes, classes).

    Args:
        probabilities: float32 (N, classes).
        labels: True classes, int64 (N,).
        classes: Number of classes.

    Returns:
        Counts; rows are true classes, columns predicted ones.

    >>> confusion(np.array([[0.9, 0.1], [0.8, 0.2]], np.float32), np.array([0, 1]), 2).tolist()
    [[1, 0], [1, 0]]
    """
    from sklearn.metrics import confusion_matrix

    counts: NDArray[np.int64] = confusion_matrix(labels, probabilities.argmax(axis=1), labels=range(classes))
    return counts


def _top5_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64], class_indices: Any) -> float:
    from sklearn.metrics import top_k_accuracy_score

    return 100 * (1 - float(top_k_accuracy_score(labels, probabilities, k=5, labels=class_indices)))
