"""The sets that experiments train on: where each lies, and the smaller ones that are made of larger ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resnext.data.decode import DataError
from resnext.data.pictures import fingerprint
from resnext.data.selection import Selection, select_classes
from resnext.data.sources import read_parts, read_splits


@dataclass(frozen=True)
class KnownSet:
    """`pictures` are those to train on, as far as that is known before, of `classes`; `what` says how it
    should lie."""

    pictures: int
    classes: int
    what: str


@dataclass(frozen=True)
class PartOf:
    """The first `keep` classes of another set, or all; so many `others`; of each class at most `each`
    pictures to train on. Pictures of the first alone are judged, as the split `judged`."""

    whole: str
    pictures: int
    keep: int | None = None
    others: int = 0
    each: int | None = None
    judged: Literal["val", "test"] = "test"


SETS: dict[str, KnownSet | PartOf] = {
    "digits": KnownSet(1077, 10, "part of scikit-learn"),
    "digits-5": PartOf("digits", 540, 5),
    "digits-10": PartOf("digits", 1077, 5, others=5),
    "cifar10": KnownSet(45_000, 10, "CIFAR-10: train.parquet and test.parquet, or folders train/ and test/"),
    "cifar100": KnownSet(45_000, 100, "CIFAR-100: as CIFAR-10"),
    # As published: trained on all, and judged, also for the best epoch, by the test pictures.
    "cifar10-whole": PartOf("cifar10", 50_000, judged="val"),
    "cifar100-whole": PartOf("cifar100", 50_000, judged="val"),
    "cifar10-5000": PartOf("cifar10", 4_500, each=500),
    # The published set has 500 pictures a class to train on: with these, runs take twice as long.
    "tiny-imagenet": KnownSet(
        50_000,
        200,
        "Tiny ImageNet (250 pictures a class to train on, as our lines had): train.parquet and val.parquet, "
        "or folders train/, val/",
    ),
    "tiny-imagenet-40": PartOf("tiny-imagenet", 9_000, 40),
    "tiny-imagenet-200": PartOf("tiny-imagenet", 45_000, 40, others=160),
    "imagenet": KnownSet(
        1_281_167, 1000, "ImageNet-1K: folders train/ and val/ of one folder a class, or their .index"
    ),
    "imagenet5k": KnownSet(
        6_800_000,
        5000,
        "ImageNet-5K: "
        "`resnext select IMAGENET22K data/imagenet5k --like IMAGENET1K --others 4000 --judged val`",
    ),
}


def classes_of(name: str) -> int:
    """How many classes the set called `name` has to train on."""
    known = SETS[name]
    if isinstance(known, KnownSet):
        return known.classes
    return classes_of(known.whole) if known.keep is None else known.keep + known.others


def where_is(name: str, root: Path, made: Path) -> str:
    """The set called `name` as DATA: what lies in `root` under its name, or its index; or in `made`, where it
    is or will be, under a name that tells what it was made of.

    Raises `DataError` with what to put where.
    """
    if name == "digits":
        return name
    known = SETS[name]
    if isinstance(known, PartOf):
        made_of = f"{known} {fingerprint(read_splits(where_is(known.whole, root, made)))}"
        return str(made / f"{name}-{hashlib.sha256(made_of.encode()).hexdigest()[:8]}")
    found = [place for place in (root / name, root / f"{name}.index") if place.exists()]
    if not found:
        raise DataError(
            f"{root / name}: is not there. The experiment needs {known.what}; put or link it there, "
            "or say with --data which folder holds such sets. With --scale miniature it needs none"
        )
    return str(found[0])


def find_set(name: str, root: Path, made: Path) -> str:
    """The same; it is made now if it has to be."""
    data, known = where_is(name, root, made), SETS[name]
    if isinstance(known, PartOf) and not Path(data).exists():
        whole = where_is(known.whole, root, made)
        classes = sorted(read_parts(whole)["train"].classes)
        keep = None if known.keep is None else frozenset(classes[: known.keep])
        select_classes(whole, Path(data), Selection(keep, known.others, known.each, known.judged))
    return data
