"""Scores of predicted probabilities against labels.

Probabilities are reduced to a few numbers an image first, some rows at a time, so that thousands of classes
take little memory. Scores of classes are by scikit-learn, which is imported inside the function: it takes a
third of the start-up time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.statistics import Rate

#: Probabilities that are looked at together.
BLOCK_VALUES = 2**20
#: Of fewer classes, a network that has learned nothing is within the first five half of the time or more.
MIN_TOP5_CLASSES = 10
#: Resamples behind the interval of the calibration error, and their seed.
DRAWS, DRAWS_SEED = 2000, 0


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
        predicted: Number of images predicted as this class.
    """

    name: str
    precision: float
    recall: float
    f1: float
    count: int
    predicted: int

    @property
    def recalled(self) -> Rate:
        """Recall as a rate of its images."""
        return Rate(round(self.recall * self.count), self.count)

    @property
    def precise(self) -> Rate:
        """Precision as a rate of the images predicted as this class."""
        return Rate(round(self.precision * self.predicted), self.predicted)

    def to_json(self) -> dict[str, Any]:
        """The scores and their 95 % intervals."""
        intervals = {"recall_interval": self.recalled.interval, "precision_interval": self.precise.interval}
        return asdict(self) | intervals


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

    @property
    def top1(self) -> Rate:
        """How often the most probable class is the true one."""
        return self._rate(self.top1_error)

    @property
    def top5(self) -> Rate | None:
        """How often the true class is among the five most probable ones; None if that says nothing, of fewer
        than `MIN_TOP5_CLASSES` classes."""
        if self.top5_error is None or len(self.classes) < MIN_TOP5_CLASSES:
            return None
        return self._rate(self.top5_error)

    def to_json(self) -> dict[str, Any]:
        """The scores and their 95 % intervals as plain data for JSON; errors in percent."""
        intervals = {"top1_error_interval": _error_interval(self.top1)}
        if self.top5_error is not None:
            intervals["top5_error_interval"] = _error_interval(self._rate(self.top5_error))
        return asdict(self) | {"classes": [one.to_json() for one in self.classes]} | intervals

    def _rate(self, error: float) -> Rate:
        return Rate(round(self.count * (1 - error / 100)), self.count)


def _error_interval(rate: Rate) -> tuple[float, float]:
    """The interval of an error in percent, from the rate of what is right."""
    low, high = rate.interval
    return 100 * (1 - high), 100 * (1 - low)


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
    predicted = np.bincount(outcomes.predicted, minlength=len(classes))
    rows = zip(classes, *(values.tolist() for values in by_class), predicted.tolist(), strict=True)
    return Scores(
        count=len(outcomes),
        top1_error=100 * float(np.mean(~outcomes.correct)),
        balanced_error=100 * (1 - float(recalls[counts > 0].mean())),
        top5_error=100 * (1 - float(np.mean(outcomes.ranks < 5))) if len(classes) > 5 else None,
        loss=float(np.mean(outcomes.losses)),
        classes=tuple(ClassScores(name, p, r, f1, int(count), own) for name, p, r, f1, count, own in rows),
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

    The error has a bias: chance alone makes the accuracy of each bin differ from its confidence. Resampled
    images have this bias once more. So the interval is the bootstrap's reflected at the error, and begins at
    0 where chance alone explains as much. Over networks whose true error is known, it holds that error in
    86 to 100 % of draws of 10 to 10,000 images; the bootstrap's own quantiles do in none where the true
    error is 0.

    Attributes:
        ece: Expected calibration error (Guo et al. 2017), from 0 to 1.
        bins: Bins of equal width, in order of confidence; empty ones are left out.
    """

    ece: float
    bins: tuple[Bin, ...]

    @cached_property
    def by_chance(self) -> float:
        """Error that a perfectly calibrated network with these confidences exceeds on one set of as many
        images in twenty."""
        counts, _, confidence = self._columns()
        right = np.random.default_rng(DRAWS_SEED).binomial(counts, confidence, (DRAWS, len(counts)))
        return float(np.quantile(_calibration_error(counts, right, confidence), 0.95))

    @property
    def is_resolved(self) -> bool:
        """Whether the error is more than chance explains; otherwise there are too few images to tell."""
        return self.ece > self.by_chance + 1e-6  # few images have few possible errors

    @cached_property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the error by bootstrap.

        Images and right predictions are drawn by bins, whose confidence is taken for that of each of their
        images: time and memory do not depend on the number of images. To each bin two right and two wrong
        predictions are added, or few images that are all right would never vary.
        """
        counts, accuracy, confidence = self._columns()
        accuracy = (accuracy * counts + 2) / (counts + 4)
        random = np.random.default_rng(DRAWS_SEED)
        drawn = random.multinomial(counts.sum(), counts / counts.sum(), DRAWS)
        errors = _calibration_error(drawn, random.binomial(drawn, accuracy), confidence)
        errors -= _calibration_error(counts, counts * accuracy, confidence)
        low, high = (max(0.0, self.ece - float(q)) for q in np.quantile(errors, (0.975, 0.025)))
        return (low, high) if self.is_resolved else (0.0, max(high, self.ece))

    @property
    def interval_text(self) -> str:
        """The interval for people, in percent."""
        if not self.is_resolved:
            return f"too few images to tell: chance alone makes up to {100 * self.by_chance:.1f} %"
        low, high = self.interval
        return f"{100 * low:.1f} to {100 * high:.1f} %"

    def _columns(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Count, accuracy and confidence of the bins, each (bins,)."""
        rows = np.array([(one.count, one.accuracy, one.confidence) for one in self.bins])
        counts, accuracy, confidence = rows.T
        return counts.astype(np.int64), accuracy, confidence.clip(0, 1)  # a float32 may exceed 1


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


def _calibration_error(
    counts: NDArray[np.int64], right: NDArray[np.int64] | NDArray[np.float64], confidence: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The calibration errors (draws,) of bins (draws, bins) or (bins,) with so many right predictions."""
    error: NDArray[np.float64] = np.abs(right - counts * confidence).sum(axis=-1) / counts.sum(axis=-1)
    return error


@dataclass(frozen=True)
class RiskCoverage:
    """How accuracy rises where only the surest images are answered, and the others left to somebody else.

    Each point is a threshold of the confidence, the first one the highest.

    Attributes:
        answered: Numbers of images that reach the thresholds, int64 (points,); the last is all of them.
        right: Numbers of right predictions among them, int64 (points,).
        threshold: The thresholds, float32 (points,).

    >>> probabilities = np.array([[0.9, 0.1], [0.6, 0.4]], np.float32)
    >>> curve = RiskCoverage.of(Outcomes.of(probabilities, np.array([0, 1])))
    >>> curve.coverage.tolist(), curve.accuracy.tolist()
    ([0.5, 1.0], [1.0, 0.5])
    """

    answered: NDArray[np.int64]
    right: NDArray[np.int64]
    threshold: NDArray[np.float32]

    @classmethod
    def of(cls, outcomes: Outcomes) -> RiskCoverage:
        """The curve of `outcomes`. Images of equal confidence reach a threshold together."""
        order = np.argsort(-outcomes.confidence, kind="stable")
        confidence = outcomes.confidence[order]
        ends = np.flatnonzero(np.append(confidence[1:] < confidence[:-1], True))
        right = np.cumsum(outcomes.correct[order], dtype=np.int64)
        return cls(ends + 1, right[ends], confidence[ends])

    @property
    def coverage(self) -> NDArray[np.float64]:
        """(points,) shares of the images that are answered, from above 0 to 1."""
        coverage: NDArray[np.float64] = self.answered / self.answered[-1]
        return coverage

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """(points,) shares of right predictions among them."""
        accuracy: NDArray[np.float64] = self.right / self.answered
        return accuracy

    def at(self, share: float) -> tuple[Rate, float] | None:
        """How often those that are answered are right, and the threshold, at the last point that covers at
        most `share` of the images; None if there is none."""
        last = int(np.searchsorted(self.coverage, share + 1e-9, side="right")) - 1
        if last < 0:
            return None
        return Rate(int(self.right[last]), int(self.answered[last])), float(self.threshold[last])


def majority_rate(labels: NDArray[np.int64], train_counts: Sequence[int]) -> Rate | None:
    """How often the most frequent class of training is the right answer: what a network must beat.

    Args:
        labels: True classes, int64 (N,).
        train_counts: Training images of each class; empty if unknown. Of several classes that are most
            frequent, the one with most images in `labels` is taken.

    >>> majority_rate(np.array([0, 1, 1]), (9, 2))
    Rate(successes=1, n=3)
    """
    if len(train_counts) == 0:
        return None
    train, counts = np.array(train_counts), np.bincount(labels, minlength=len(train_counts))
    return Rate(int(counts[train == train.max()].max()), len(labels))


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
