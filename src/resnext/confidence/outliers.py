"""How well a score tells images of the classes from others: the area under its ROC curve."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Separation:
    """How often a score is larger for an image of the classes than for an outlier, ties counting half.

    `own` and `others` are DeLong's components, float64 (N,) and (M,): for each image how often it is on the
    right side of the other kind. Their variance is that of the area (DeLong, DeLong and Clarke-Pearson 1988).
    """

    own: NDArray[np.float64]
    others: NDArray[np.float64]

    @classmethod
    def of(cls, own: NDArray[np.float32], others: NDArray[np.float32]) -> Separation:
        """That of a score of images of the classes (N,) and of outliers (M,), each at least one.

        >>> Separation.of(np.array([3, 4], np.float32), np.array([1, 3], np.float32)).auroc
        0.875
        """
        return cls(_share_below(own, others), 1 - _share_below(others, own))

    @property
    def auroc(self) -> float:
        """The area under the ROC curve, from 0 to 1."""
        return float(self.own.mean())

    @property
    def interval(self) -> tuple[float, float]:
        """Its 95 % interval: DeLong's, or what the rule of three leaves open where all images are told apart,
        and the variance is 0."""
        reach = max(1.96 * _deviation(self.own, self.others), self._unseen)
        return max(0.0, self.auroc - reach), min(1.0, self.auroc + reach)

    def is_better_than(self, other: Separation) -> bool:
        """Whether it is larger than that of another score of the same images, by more than chance explains:
        the 95 % interval of the difference lies above 0."""
        reach = 1.96 * _deviation(self.own - other.own, self.others - other.others)
        return self.auroc - other.auroc > reach

    @property
    def _unseen(self) -> float:
        """The largest share of images that may be none of so few, 95 times in 100."""
        return 3 / min(len(self.own), len(self.others)) if self.auroc in (0.0, 1.0) else 0.0


def _share_below(values: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """For each of `values` the share of `others` that are smaller; equal ones count half."""
    ordered = np.sort(others)
    below, up_to = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    share: NDArray[np.float64] = (below + up_to) / (2 * len(others))
    return share


def _deviation(own: NDArray[np.float64], others: NDArray[np.float64]) -> float:
    parts = (float(one.var(ddof=1)) / len(one) if len(one) > 1 else 0.25 for one in (own, others))
    return float(np.sqrt(sum(parts)))
