"""`DataFinding`: something that is wrong with one image, with a pair, or with the set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from resnext.data.manifest import Action, ManifestRow
from resnext.doctor.examined import ExaminedSet
from resnext.doctor.kinds import KINDS, FindingKind
from resnext.names import printable

#: Splits whose images are not dropped, relabelled or moved unless a person says so.
JUDGED = ("val", "test")
#: Findings on images that no split can use.
UNUSABLE = ("empty_file", "truncated", "unreadable")


@dataclass(frozen=True)
class DataFinding:
    """One finding.

    Attributes:
        kind: Name of its kind, in `KINDS`.
        detail: In words.
        image: Number of the image; None where it is about the set.
        other: Number of the second image of a pair.
        score: How sure it is, from 0 to 1; None where that means nothing.
        to: The class that an image probably has.
        is_kept: Whether the image is kept although its kind says otherwise: where a label is suspected, but
            not surely wrong.
    """

    kind: str
    detail: str
    image: int | None = None
    other: int | None = None
    score: float | None = None
    to: str = ""
    is_kept: bool = False


@dataclass(frozen=True)
class KindCount:
    """How many findings of a kind there are, and for how many of them the image is proposed to be dropped."""

    kind: FindingKind
    count: int
    dropped: int


def count_kinds(findings: Sequence[DataFinding], examined: ExaminedSet) -> list[KindCount]:
    """The kinds that were found, the most harmful first."""
    counts = Counter(finding.kind for finding in findings)
    dropped = Counter(row.finding for row in manifest_rows(findings, examined) if row.action == "drop")
    found = [KindCount(kind, counts[name], dropped[name]) for name, kind in KINDS.items() if counts[name]]
    return sorted(found, key=lambda one: -one.kind.rank)


def manifest_rows(findings: Sequence[DataFinding], examined: ExaminedSet) -> Iterator[ManifestRow]:
    """A row of the manifest for each finding on an image, in the order of the images."""
    about_images = [finding for finding in findings if finding.image is not None]
    for finding in sorted(about_images, key=lambda one: (one.image, list(KINDS).index(one.kind))):
        assert finding.image is not None
        split, _ = examined.locate(finding.image)
        yield ManifestRow(
            split=split,
            key=examined.key(finding.image),
            label=examined.label(finding.image),
            finding=finding.kind,
            action=_action(finding, split),
            to=finding.to,
            other="" if finding.other is None else name_in_split(examined, finding.other),
            score=finding.score,
            detail=finding.detail,
            proposed=_action(finding, split),
        )


def find_emptied(findings: Sequence[DataFinding], examined: ExaminedSet) -> Iterator[DataFinding]:
    """Splits, and classes of them, of which no image is left when all is dropped that is proposed to be."""
    labels, split_of = examined.labels, examined.split_of
    is_left = np.ones(len(examined), np.bool_)
    for finding in findings:
        if finding.image is not None and _action(finding, examined.locate(finding.image)[0]) == "drop":
            is_left[finding.image] = False
    for place, split in enumerate(examined.splits):
        own = split_of == place
        before, after = (
            np.bincount(labels[one], minlength=len(examined.classes)) for one in (own, own & is_left)
        )
        if before.any() and not after.any():
            yield DataFinding("emptied", f"all {before.sum():,} images of {split} would be left out")
            continue
        for number in np.flatnonzero((before > 0) & (after == 0)).tolist():
            name = printable(examined.classes[number])
            yield DataFinding(
                "emptied", f"no image of {name} would be left in {split}, of {before[number]:,}"
            )


def name_in_split(examined: ExaminedSet, number: int) -> str:
    """Split and name of an image."""
    return f"{examined.locate(number)[0]}: {examined.key(number)}"


def _action(finding: DataFinding, split: str) -> Action:
    is_left = finding.is_kept or (split in JUDGED and finding.kind not in (*UNUSABLE, "leak", "near_leak"))
    return "keep" if is_left else KINDS[finding.kind].action
