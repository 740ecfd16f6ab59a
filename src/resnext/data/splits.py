"""`Splits`: images to train, validate and test on; held-out shares, and the fingerprint of all."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from resnext.contract import GreyRange
from resnext.data.class_names import one_form
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset, Labels

#: Seed of every split that is made here; it is fixed, so that runs with different seeds see the same images.
SPLIT_SEED = 0


@dataclass(frozen=True)
class Splits:
    """A data set as training, validation and test images, which share their classes.

    `val` selects the best epoch; results on `test` are only reported.

    Attributes:
        name: Name of the data set.
        train: Images to train on.
        val: Images to validate on.
        test: Images to test on; None if the set has none.
        allows_flips: Whether a mirrored image still belongs to its class, as far as the source knows.
        notes: Sentences that tell the user how the data set was read.
        known_fingerprint: Fingerprint of the splits, if it has been computed already.
        drawn: Names of the splits that were drawn at random from one set: with every image that comes or
            goes, others change their split.
    """

    name: str
    train: ImageDataset
    val: ImageDataset
    test: ImageDataset | None = None
    allows_flips: bool = True
    notes: tuple[str, ...] = ()
    known_fingerprint: str | None = None
    drawn: tuple[str, ...] = ()

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes."""
        return self.train.classes

    def without(self, bad: dict[str, set[int]]) -> Splits:
        """The splits without the images whose indices `bad` lists, by name of the split."""
        remaining: dict[str, Any] = {
            name: images.select(np.delete(np.arange(len(images)), sorted(bad[name])))
            for name, images in self.items()
            if bad.get(name)
        }
        return replace(self, **remaining)

    def in_range(self, grey: GreyRange | None) -> Splits:
        """The splits with this black and white of deep grey images; None judges each alone."""
        shown: dict[str, Any] = {name: images.in_range(grey) for name, images in self.items()}
        return replace(self, **shown)

    def items(self) -> list[tuple[str, ImageDataset]]:
        """(name, images) of each split that exists, in the order train, val, test."""
        splits = (("train", self.train), ("val", self.val), ("test", self.test))
        return [(name, images) for name, images in splits if images is not None]


def align_labels(images: ImageDataset, classes: tuple[str, ...], where: str) -> ImageDataset:
    """`images` with labels that are indices into `classes`; classes are matched by name.

    Classes without images may be missing on either side.

    Args:
        images: Images with classes of their own.
        classes: Names of the classes that the labels shall index.
        where: Name of the images in an error message.

    Raises:
        DataError: If an image belongs to a class that `classes` lacks.

    >>> from resnext.data.stored_images import ImageArrays
    >>> images = ImageArrays(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("cat", "dog"))
    >>> align_labels(images, ("ant", "cat", "dog"), "pets").labels.tolist()
    [1, 2]
    """
    position = {one_form(name): i for i, name in enumerate(classes)} | {n: i for i, n in enumerate(classes)}
    position |= {name: position[one_form(name)] for name in images.classes if _is_other_form(name, position)}
    present = [images.classes[i] for i in np.unique(images.labels)]
    if unknown := [name for name in present if name not in position]:
        raise DataError(
            f"{where} has images of {_first_few(unknown)}, which the network's classes lack "
            f"({_first_few(classes)}). Rename or remove them, or train with them"
        )
    new_labels = np.array([position.get(name, -1) for name in images.classes], dtype=np.int64)
    aligned = images.select(np.arange(len(images)))
    aligned.labels = new_labels[images.labels] if len(images) else images.labels
    aligned.classes = classes
    return aligned


def _is_other_form(name: str, position: dict[str, int]) -> bool:
    """Whether `name` is known only by another Unicode form."""
    return name not in position and one_form(name) in position


def stratified_holdout(labels: Labels, count: int, seed: int) -> tuple[Labels, Labels]:
    """Split indices into two sorted parts: the rest, and `count` that are held out.

    Each class gives its share of the held-out images, to within one image. scikit-learn's stratified
    splitters refuse small classes and miss exact counts. This function sorts the images by class, shuffled
    within each class, and takes every n-th.

    Args:
        labels: Class of each image, int64 (N,).
        count: Number of images to hold out.
        seed: Seed of the shuffle.

    Returns:
        Indices of the rest, int64 (N - count,), and of the held-out images, int64 (count,).

    >>> rest, held_out = stratified_holdout(np.array([0, 0, 0, 1, 1, 1]), count=2, seed=0)
    >>> len(rest), np.array([0, 0, 0, 1, 1, 1])[held_out].tolist()
    (4, [0, 1])
    """
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    held_out = np.zeros(len(labels), dtype=bool)
    held_out[((np.arange(count) + 0.5) * len(labels) / max(count, 1)).astype(np.int64)] = True
    return np.sort(by_class[~held_out]), np.sort(by_class[held_out])


def holdout_of_each_class(labels: Labels, count: int, seed: int, at_least: int) -> tuple[Labels, Labels]:
    """As `stratified_holdout`, and each class with `at_least` images holds one out, if `count` is not 0.

    A class that is too small for a share gives its first image in a shuffled order, in addition to `count`.

    >>> labels = np.array([0] * 50 + [1] * 5)
    >>> rest, held_out = holdout_of_each_class(labels, count=5, seed=0, at_least=3)
    >>> labels[held_out].tolist()
    [0, 0, 0, 0, 0, 1]
    """
    rest, held_out = stratified_holdout(labels, count, seed)
    sizes = np.bincount(labels)
    lacking = (sizes >= at_least) & (np.bincount(labels[held_out], minlength=len(sizes)) == 0)
    if count == 0 or not lacking.any():
        return rest, held_out
    shuffled = np.random.default_rng(seed).permutation(len(labels))
    first_of_class = [shuffled[np.argmax(labels[shuffled] == i)] for i in np.flatnonzero(lacking)]
    return np.setdiff1d(rest, first_of_class), np.union1d(held_out, first_of_class)


def fingerprint(splits: Splits) -> str:
    """Digest of the keys, labels and stored sizes of all images, 16 hexadecimal digits.

    Equal data sets have equal fingerprints, wherever they are stored.
    """
    if splits.known_fingerprint is not None:
        return splits.known_fingerprint
    digest = hashlib.sha256(repr(splits.classes).encode())
    for name, images in splits.items():
        digest.update(f"\n{name} {len(images)}\n".encode())
        for index, key in enumerate(images.keys):
            line = f"{key}\0{images.labels[index]}\0{images.stored_size(index)}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def _first_few(names: Sequence[str], limit: int = 5) -> str:
    listed = ", ".join(repr(name) for name in names[:limit])
    return listed + (f" and {len(names) - limit} more" if len(names) > limit else "")


def divide(images: ImageDataset, val: int, test: int) -> tuple[ImageDataset, ImageDataset, ImageDataset]:
    """(train, val, test): `test` images are held out, then `val` of the rest, but at least one; and at least
    one of each class that has an image for each part."""
    rest, test_indices = holdout_of_each_class(images.labels, test, SPLIT_SEED, at_least=3)
    train, val_indices = holdout_of_each_class(images.labels[rest], max(val, 1), SPLIT_SEED, at_least=2)
    return (
        images.select(rest[train]),
        images.select(rest[val_indices]),
        images.select(test_indices),
    )
