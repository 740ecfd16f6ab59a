"""The data sets of the experiments: where each lies, and smaller ones derived from larger ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from resnext.data.class_selection import Selection, select_classes
from resnext.data.decode import DataError
from resnext.data.sources import read_splits, read_splits_by_name
from resnext.data.splits import fingerprint


@dataclass(frozen=True)
class ExternalDataset:
    """A data set that the user provides.

    `images` is the expected number of training images, `layout` what must lie in its place.
    """

    images: int
    classes: int
    layout: str


@dataclass(frozen=True)
class DerivedDataset:
    """A part of the data set `source`.

    It has the first `keep` classes, or all; the largest `others` of the rest; and at most `per_class`
    training images of each class. Only images of the first are judged, as the split `judged`. `images` is the
    expected number of training images.
    """

    source: str
    images: int
    keep: int | None = None
    others: int = 0
    per_class: int | None = None
    judged: Literal["val", "test"] = "test"

    def digest(self, source_fingerprint: str) -> str:
        """Identifies the data set that is derived from a source of this fingerprint."""
        # This text names the folders of data sets made by earlier versions, so it must not change.
        made_of = (
            f"PartOf(whole={self.source!r}, pictures={self.images}, keep={self.keep}, others={self.others}, "
            f"each={self.per_class}, judged={self.judged!r}) {source_fingerprint}"
        )
        return hashlib.sha256(made_of.encode()).hexdigest()[:8]


DATASETS: dict[str, ExternalDataset | DerivedDataset] = {
    "digits": ExternalDataset(1077, 10, "part of scikit-learn"),
    "digits-5": DerivedDataset("digits", 540, 5),
    "digits-10": DerivedDataset("digits", 1077, 5, others=5),
    "cifar10": ExternalDataset(
        45_000, 10, "CIFAR-10: train.parquet and test.parquet, or folders train/ and test/"
    ),
    "cifar100": ExternalDataset(45_000, 100, "CIFAR-100: as CIFAR-10"),
    # As published: trained on all training images; the test images judge, and also choose the epoch.
    "cifar10-whole": DerivedDataset("cifar10", 50_000, judged="val"),
    "cifar100-whole": DerivedDataset("cifar100", 50_000, judged="val"),
    "cifar10-5000": DerivedDataset("cifar10", 4_500, per_class=500),
    # The published set has 500 training images a class: runs on it take twice as long.
    "tiny-imagenet": ExternalDataset(
        50_000,
        200,
        "Tiny ImageNet (250 training images a class, as in our records): train.parquet and val.parquet, "
        "or folders train/, val/",
    ),
    "tiny-imagenet-40": DerivedDataset("tiny-imagenet", 9_000, 40),
    "tiny-imagenet-200": DerivedDataset("tiny-imagenet", 45_000, 40, others=160),
    "imagenet": ExternalDataset(
        1_281_167, 1000, "ImageNet-1K: folders train/ and val/ of one folder a class, or their .index"
    ),
    "imagenet5k": ExternalDataset(
        6_800_000,
        5000,
        "ImageNet-5K: "
        "`resnext select IMAGENET22K data/imagenet5k --like IMAGENET1K --others 4000 --judged val`",
    ),
}


def class_count(name: str) -> int:
    """Number of classes that the data set called `name` has for training."""
    dataset = DATASETS[name]
    if isinstance(dataset, ExternalDataset):
        return dataset.classes
    return class_count(dataset.source) if dataset.keep is None else dataset.keep + dataset.others


def dataset_path(name: str, root: Path, derived: Path) -> str:
    """The DATA of the data set called `name`, whether it has been made yet or not.

    Args:
        name: A key of `DATASETS`.
        root: Folder of external data sets, where it lies under its name or as an .index.
        derived: Folder of derived data sets, where it lies under its name and a digest of its source.

    Raises:
        DataError: An external data set is not there; the message says what to put where.
    """
    if name == "digits":
        return name
    dataset = DATASETS[name]
    if isinstance(dataset, DerivedDataset):
        source = read_splits(dataset_path(dataset.source, root, derived))
        return str(derived / f"{name}-{dataset.digest(fingerprint(source))}")
    found = [path for path in (root / name, root / f"{name}.index") if path.exists()]
    if not found:
        raise DataError(
            f"{root / name}: is not there. The experiment needs {dataset.layout}; put or link it there, "
            "or say with --data which folder holds such sets. With --scale miniature it needs none"
        )
    return str(found[0])


def make_dataset(name: str, root: Path, derived: Path) -> str:
    """The same path as `dataset_path`; a derived data set is made where it is missing."""
    data, dataset = dataset_path(name, root, derived), DATASETS[name]
    if isinstance(dataset, DerivedDataset) and not Path(data).exists():
        source = dataset_path(dataset.source, root, derived)
        classes = sorted(read_splits_by_name(source)["train"].classes)
        keep = None if dataset.keep is None else frozenset(classes[: dataset.keep])
        selection = Selection(keep, dataset.others, dataset.per_class, dataset.judged)
        select_classes(source, Path(data), selection)
    return data
