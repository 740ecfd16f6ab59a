"""Scores of predicted probabilities against labels.

Probabilities are reduced to a few numbers an image first, some rows at a time, so that thousands of classes
take little memory. Scores of classes are by scikit-learn, which is imported inside the function: it takes a
third of the start-up time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Probabilities that are looked at together.
BLOCK_VALUES = 2**20


@dataclass(frozen=True)
class Outcomes:
    """What is kept of the predictions for N images.

    Attributes:
        labels: True classes, int64 (N,).
        predicted: Most probable classes, int64 (N,).
        confidence: Their probabilities, float32 (N,).
        ranks: Number of classes that are more probable than the true one, int64 (N,).
        losses: Negative log likelihoods, float64 (N,).

    >>> probabilities = np.array([[0.9, 0.1], [0.4, 0.6]], np.float32)
    >>> Outcomes.of(probabilities, np.array([0, 0])).ranks.tolist()
    [0, 1]
    """

    labels: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    ranks: NDArray[np.int64]
    losses: NDArray[np.float64]

    @classmethod
    def of(cls, probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Outcomes:
        """The outcomes of `probabilities` (N, classes), N at least 1, whose true classes are `labels`."""
        rows = max(1, BLOCK_VALUES // probabilities.shape[1])
        starts = range(0, len(labels), rows)
        return cls.join([_outcomes(probabilities[i : i + rows], labels[i : i + rows]) for i in starts])

    @classmethod
    def join(cls, parts: Sequence[Outcomes]) -> Outcomes:
        """The outcomes of all images of `parts`, in order."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """(N,) whether the most probable class is the true one."""
        correct: NDArray[np.bool_] = self.predicted == self.labels
        return correct


def _outcomes(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Outcomes:
    from scipy.special import xlogy

    exact = probabilities.astype(np.float64)
    exact /= exact.sum(axis=1, keepdims=True)
    own = np.take_along_axis(exact, labels[:, None], axis=1)
    behind = np.arange(exact.shape[1]) > labels[:, None]  # ties: the later class ranks first
    eps = np.finfo(np.float64).eps  # as in scikit-learn: being certain and wrong has a finite loss
    return Outcomes(
        labels=labels,
        predicted=probabilities.argmax(axis=1),
        confidence=probabilities.max(axis=1),
        ranks=((exact > own) | ((exact == own) & behind)).sum(axis=1),
        losses=-xlogy(1.0, np.clip(own[:, 0], eps, 1 - eps)),
    )


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
    return score_outcomes(Outcomes.of(probabilities, labels), classes)


def score_outcomes(outcomes: Outcomes, classes: tuple[str, ...]) -> Scores:
    """The scores of `outcomes`, as `score` computes them."""
    from sklearn.metrics import precision_recall_fscore_support

    by_class = precision_recall_fscore_support(
        outcomes.labels, outcomes.predicted, labels=np.arange(len(classes)), zero_division=0
    )
    _, recalls, _, counts = by_class
    rows = zip(classes, *(values.tolist() for values in by_class), strict=True)
    return Scores(
        count=len(outcomes),
        top1_error=100 * float(np.mean(~outcomes.correct)),
        balanced_error=100 * (1 - float(recalls[counts > 0].mean())),
        top5_error=100 * (1 - float(np.mean(outcomes.ranks < 5))) if len(classes) > 5 else None,
        loss=float(np.mean(outcomes.losses)),
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


def reliability(outcomes: Outcomes, bins: int = 15) -> Reliability:
    """Compare confidence with accuracy.

    Args:
        outcomes: Of N images.
        bins: Number of bins of equal width from 0 to 1.

    >>> probabilities = np.array([[0.75, 0.25], [0.75, 0.25]], np.float32)
    >>> reliability(Outcomes.of(probabilities, np.array([0, 1])))
    Reliability(ece=0.25, bins=(Bin(confidence=0.75, accuracy=0.5, count=2),))
    """
    confidence, is_right = outcomes.confidence.astype(np.float64), outcomes.correct
    bin_numbers = np.minimum((confidence * bins).astype(int), bins - 1)
    filled = tuple(
        Bin(float(confidence[members].mean()), float(is_right[members].mean()), int(members.sum()))
        for members in (bin_numbers == number for number in range(bins))
        if members.any()
    )
    gaps = sum(one.count * abs(one.accuracy - one.confidence) for one in filled)
    return Reliability(gaps / len(outcomes), filled)


@dataclass(frozen=True)
class Confusion:
    """The cells of a confusion matrix that are not 0: of thousands of classes nearly all are.

    Attributes:
        classes: Number of classes.
        true: True class of each cell, int64 (cells,).
        predicted: Predicted class of each cell, int64 (cells,).
        counts: Number of images of each cell, int64 (cells,).

    >>> probabilities = np.array([[0.9, 0.1], [0.8, 0.2]], np.float32)
    >>> Confusion.of(Outcomes.of(probabilities, np.array([0, 1])), 2).matrix().tolist()
    [[1, 0], [1, 0]]
    """

    classes: int
    true: NDArray[np.int64]
    predicted: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, outcomes: Outcomes, classes: int) -> Confusion:
        """The confusion of `outcomes` of so many classes."""
        cells, counts = np.unique(outcomes.labels * classes + outcomes.predicted, return_counts=True)
        return cls(classes, *np.divmod(cells, classes), counts)

    def matrix(self) -> NDArray[np.int64]:
        """All counts (classes, classes); rows are true classes, columns predicted ones."""
        matrix = np.zeros((self.classes, self.classes), np.int64)
        matrix[self.true, self.predicted] = self.counts
        return matrix

    def mistakes(self) -> Iterator[tuple[int, int, int]]:
        """True class, predicted class and number of images of each kind of mistake, most images first."""
        wrong = np.flatnonzero(self.true != self.predicted)
        for cell in wrong[np.argsort(-self.counts[wrong], kind="stable")]:
            yield int(self.true[cell]), int(self.predicted[cell]), int(self.counts[cell])
