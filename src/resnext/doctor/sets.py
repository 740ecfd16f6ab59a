"""Findings on the set as a whole: its classes and its splits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from resnext.doctor.examined import ExaminedSet
from resnext.doctor.findings import DataFinding
from resnext.names import printable
from resnext.statistics import wilson

#: Classes are of very different size if the largest of train has so many times the images of the smallest.
IMBALANCE = 10
#: A split is too small if even a score of 90 % would have an interval that is wider than this.
MAX_INTERVAL = 0.1
#: Classes that are named.
NAMED = 5


def find_in_set(examined: ExaminedSet) -> Iterator[DataFinding]:
    """The findings on classes and splits."""
    if examined.refusal:
        yield DataFinding("refused", examined.refusal)
    for sentence in examined.lookalikes:
        yield DataFinding("lookalike_classes", sentence)
    counts = class_counts(examined)
    total = np.sum(list(counts.values()), axis=0)
    classes = examined.classes
    if empty := [name for name, count in zip(classes, total, strict=True) if count == 0]:
        yield DataFinding("empty_class", f"no image of {_named(empty)}")
    for split, own in counts.items():
        missing = [name for name, here, all_ in zip(classes, own, total, strict=True) if all_ and not here]
        if missing and own.sum():
            yield DataFinding("missing_class", f"{split} has no image of {_named(missing)}")
    for split in ("val", "test"):
        n = int(counts[split].sum()) if split in counts else 0
        if split in counts and n:
            low, high = wilson(round(0.9 * n), n)
            if high - low > MAX_INTERVAL:
                yield DataFinding(
                    "small_split",
                    f"{split} has {n:,} images: an accuracy of 90 % there could be {100 * low:.0f} to "
                    f"{100 * high:.0f} %",
                )
    largest_split = max(counts, key=lambda split: int(counts[split].sum()))
    own = counts.get("train", counts[largest_split])
    present = own[own > 0]
    if len(present) > 1 and present.max() >= IMBALANCE * present.min():
        most, least = classes[int(own.argmax())], classes[int(np.where(own > 0, own, own.max()).argmin())]
        yield DataFinding(
            "imbalance",
            f"{printable(most)} has {present.max():,} images, {printable(least)} has {present.min():,}",
        )


def class_counts(examined: ExaminedSet) -> dict[str, NDArray[np.int64]]:
    """Images of each class by split, int64 (classes,)."""
    classes = examined.classes
    labels, split_of = examined.labels, examined.split_of
    return {
        split: np.bincount(labels[split_of == place], minlength=len(classes))
        for place, split in enumerate(examined.splits)
    }


def _named(names: list[str]) -> str:
    return printable(", ".join(names[:NAMED])) + f" and {len(names) - NAMED} more" * (len(names) > NAMED)
