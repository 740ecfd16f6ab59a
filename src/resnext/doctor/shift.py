"""Whether val and test are drawn like train: two-sample tests of what was measured of the images.

Kolmogorov and Smirnov's test of each quantity, at a level that is divided by the number of tests
(Bonferroni). Large sets differ in something, however little: a difference is a finding from a distance of the
distributions on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resnext.doctor.examined import ExaminedSet
from resnext.doctor.facts import Facts
from resnext.doctor.findings import DataFinding

#: Probability of a finding where there is no difference, over all tests together.
LEVEL = 0.01
#: Distance of two distributions, from 0 to 1, from which a difference is a finding.
LEAST_DISTANCE = 0.1
#: Most images of a split that are compared, drawn at random; fewer than the second number say nothing.
SAMPLE, FEWEST = 20_000, 20


@dataclass(frozen=True)
class ShiftTest:
    """A comparison of one quantity in a split with train.

    Attributes:
        split: The split.
        quantity: What was compared.
        distance: Largest difference of the two distribution functions, from 0 to 1.
        p: Probability of so large a distance if both were drawn alike.
        is_shift: Whether it is a finding.
    """

    split: str
    quantity: str
    distance: float
    p: float
    is_shift: bool


def quantities(facts: Facts, features: NDArray[np.float32] | None = None) -> dict[str, NDArray[np.float64]]:
    """What is compared, by name: one number of each image (N,); nan where it is not known.

    Args:
        facts: What was measured of the images.
        features: Their features on the axes of largest variance, float32 (N, axes), if there is a model.
    """
    width, height = (np.maximum(1, facts[name]).astype(np.float64) for name in ("width", "height"))
    named = {
        "size": np.log(width * height) / 2,
        "aspect": np.log(width / height),
        "brightness": facts["mean"].astype(np.float64),
        "contrast": facts["spread"].astype(np.float64),
        "colour": facts["colour"].astype(np.float64),
        "sharpness": facts["sharpness"].astype(np.float64),
    }
    if features is not None:
        named |= {
            f"feature axis {i + 1}": features[:, i].astype(np.float64) for i in range(features.shape[1])
        }
    return named


def compare_splits(
    examined: ExaminedSet, readable: NDArray[np.bool_], compared: Mapping[str, NDArray[np.float64]]
) -> list[ShiftTest]:
    """Val and test against train, one quantity after the other.

    Args:
        examined: The set.
        readable: Whether each image could be read (N,).
        compared: Quantities, each (N,).
    """
    from scipy.stats import ks_2samp

    names = list(examined.splits)
    if "train" not in names:
        return []
    split_of, others = examined.split_of, [name for name in ("val", "test") if name in names]
    tests = []
    for split in others:
        for quantity, values in compared.items():
            known = readable & np.isfinite(values)
            ours, theirs = (_sample(values[known & (split_of == names.index(s))]) for s in (split, "train"))
            if min(len(ours), len(theirs)) < FEWEST:
                continue
            found = ks_2samp(ours, theirs, method="asymp")
            tests.append((split, quantity, float(found.statistic), float(found.pvalue)))
    level = LEVEL / max(1, len(tests))
    return [
        ShiftTest(split, quantity, distance, p, bool(p < level and distance >= LEAST_DISTANCE))
        for split, quantity, distance, p in tests
    ]


def find_shifts(tests: list[ShiftTest]) -> Iterator[DataFinding]:
    """A finding for each test that shows one."""
    for test in tests:
        if test.is_shift:
            yield DataFinding(
                "shift",
                f"{test.split} differs from train in {test.quantity}: the distributions are "
                f"{test.distance:.2f} apart (0 to 1), p = {test.p:.1g}",
            )


def _sample(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if len(values) <= SAMPLE:
        return values
    return np.random.default_rng(0).choice(values, SAMPLE, replace=False)
