"""Sets of classes that hold the true one as often as was promised: split conformal prediction.

The set of an image is all classes whose probability is at least some number, and always the likeliest one.
The number is chosen on held-out images, so that the promise holds for new images like them, whatever the
network is worth. Of all sets that keep the promise these are the smallest where probabilities are honest
(Sadinle, Lei and Wasserman 2019).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resnext.contract import PredictionSets
from resnext.errors import UsageError
from resnext.statistics import Rate


def images_needed(coverage: float) -> int:
    """The fewest images from which a coverage can be promised.

    >>> images_needed(0.9), images_needed(0.99)
    (9, 99)
    """
    return math.ceil(coverage / (1 - coverage) * (1 - 1e-9))


def check_coverage(coverage: float, images: int | None = None) -> None:
    """Raise `UsageError` unless it is a share that can be promised, from so many images if they are given."""
    if not 0 < coverage < 1:
        raise UsageError(f"--coverage {coverage:g}: must be between 0 and 1, such as 0.9")
    if images is not None and images < (needed := images_needed(coverage)):
        raise UsageError(
            f"--coverage {coverage:.12g}: needs at least {needed:,} images, there are {images:,}; give more, "
            "or promise less"
        )


def fit_sets(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], coverage: float
) -> PredictionSets:
    """Sets that hold the true class with a probability of at least `coverage`.

    Args:
        probabilities: float32 (N, classes), calibrated, of images that were not trained on.
        labels: True classes, int64 (N,).
        coverage: Share of new images whose set is to hold the true class, between 0 and 1.

    Raises:
        UsageError: `coverage` is no such share, or N is too small for it.

    >>> rows = np.array([[p, 1 - p] for p in np.linspace(0.1, 0.9, 9)], np.float32)
    >>> round(fit_sets(rows, np.zeros(9, np.int64), 0.8).least_probability, 3)
    0.2
    """
    check_coverage(coverage, count := len(labels))
    own = np.sort(probabilities[np.arange(count), labels])
    kept = math.ceil((count + 1) * coverage - 1e-9)  # images whose class is in its set, of those here
    return PredictionSets(coverage, float(own[count - kept]))


def in_sets(probabilities: NDArray[np.float32], sets: PredictionSets) -> NDArray[np.bool_]:
    """(N, classes) whether each class is in the set of each image.

    >>> in_sets(np.array([[0.2, 0.8], [0.5, 0.5]], np.float32), PredictionSets(0.9, 0.5)).tolist()
    [[False, True], [True, True]]
    """
    held: NDArray[np.bool_] = probabilities >= np.float32(sets.least_probability)
    held[np.arange(len(held)), probabilities.argmax(1)] = True
    return held


@dataclass(frozen=True)
class SetSizes:
    """How large the sets of N images are, and whether each holds the true class.

    Attributes:
        sizes: Numbers of classes, int64 (N,).
        covers: bool (N,).
    """

    sizes: NDArray[np.int64]
    covers: NDArray[np.bool_]

    @classmethod
    def of(
        cls, probabilities: NDArray[np.float32], labels: NDArray[np.int64], sets: PredictionSets
    ) -> SetSizes:
        """Those of images with such `probabilities` (N, classes), whose true classes are `labels`."""
        held = in_sets(probabilities, sets)
        return cls(held.sum(1), held[np.arange(len(labels)), labels])

    @classmethod
    def join(cls, parts: Sequence[SetSizes]) -> SetSizes:
        """Those of all images of `parts`, in order."""
        return cls(
            np.concatenate([one.sizes for one in parts]), np.concatenate([one.covers for one in parts])
        )

    @property
    def coverage(self) -> Rate:
        """How often a set holds the true class."""
        return Rate(int(self.covers.sum()), len(self.covers))


def coverage_range(count: int, coverage: float) -> tuple[float, float]:
    """Between which shares the coverage of sets fitted on `count` images lies, 95 times in 100 draws of them.

    >>> [round(end, 3) for end in coverage_range(1000, 0.9)]
    [0.881, 0.918]
    """
    from scipy.special import betaincinv

    kept = math.ceil((count + 1) * coverage - 1e-9)
    low, high = (float(betaincinv(kept, count + 1 - kept, q)) for q in (0.025, 0.975))
    return low, high
