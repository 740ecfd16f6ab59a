"""The set that is examined: as training reads it, or as far as it can be read where training refuses it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.data.class_names import lookalikes, telling_lookalikes
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.sources import read_splits, read_splits_by_name
from resnext.data.splits import fingerprint
from resnext.names import encodable

#: Split of the images of a set that has none, where training refuses it.
ALL = "all"


@dataclass(frozen=True)
class ExaminedSet:
    """A data set whose images are numbered through: those of the first split, then those of the next.

    Attributes:
        data: DATA, as it was typed.
        splits: The images by split, in the order train, val, test.
        fingerprint: That of the set as training would read it; empty if training refuses it.
        lookalikes: Sentences about class names that look alike.
        refusal: Why training refuses the set; empty if it does not.
        notes: How it was read.
        drawn: Names of the splits that were drawn at random from one set, among which images may move when
            others come or go.
    """

    data: str
    splits: dict[str, ImageDataset]
    fingerprint: str = ""
    lookalikes: tuple[str, ...] = ()
    refusal: str = ""
    notes: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()

    @classmethod
    def read(cls, data: str) -> ExaminedSet:
        """The set `data`. Raises `DataError` if not even its images can be listed."""
        with telling_lookalikes() as told:
            try:
                read = read_splits(data)
                found, alike = dict(read.items()), tuple(dict.fromkeys(told))
                return cls(data, found, fingerprint(read), alike, "", read.notes, read.drawn)
            except DataError as error:
                refusal = str(error)
            by_name = {name or ALL: images for name, images in read_splits_by_name(data).items()}
        order = [name for name in ("train", "val", "test") if name in by_name]
        found = {name: by_name[name] for name in dict.fromkeys([*order, *by_name])}
        if not any(map(len, found.values())):
            raise DataError(refusal)
        everywhere = {name for images in found.values() for name in images.classes}
        across = [f"{data}: {problem}" for problem in lookalikes(everywhere)]
        told = [sentence for sentence in told if not across]  # which are among these
        return cls(data, found, "", tuple(dict.fromkeys([*told, *across])), refusal)

    def __len__(self) -> int:
        return sum(map(len, self.splits.values()))

    def home(self, split: str) -> str:
        """The splits that the images of a split may move among, as one name."""
        return "+".join(self.drawn) if split in self.drawn else split

    def locate(self, number: int) -> tuple[str, int]:
        """Split and index of the image with this number."""
        for split, images in self.splits.items():
            if number < len(images):
                return split, int(number)
            number -= len(images)
        raise IndexError(number)

    def parts(self) -> Iterator[tuple[int, str, ImageDataset]]:
        """Number of the first image, name and images of each split."""
        first = 0
        for split, images in self.splits.items():
            yield first, split, images
            first += len(images)

    def key(self, number: int) -> str:
        """Name of an image, as files can hold it."""
        split, index = self.locate(number)
        return encodable(self.splits[split].keys[index])

    def label(self, number: int) -> str:
        """Class of an image."""
        split, index = self.locate(number)
        images = self.splits[split]
        return encodable(images.classes[images.labels[index]])

    @property
    def split_of(self) -> NDArray[Any]:
        """Place of the split of each image among `splits`, int8 (N,)."""
        return np.repeat(np.arange(len(self.splits), dtype=np.int8), [len(i) for i in self.splits.values()])

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of all classes, in plain string order."""
        return tuple(sorted({name for images in self.splits.values() for name in images.classes}))

    @property
    def labels(self) -> NDArray[Any]:
        """Class of each image as an index into `classes`, int64 (N,)."""
        position = {name: number for number, name in enumerate(self.classes)}
        own = [
            np.array([position[name] for name in images.classes], np.int64)[images.labels]
            for images in self.splits.values()
            if len(images)
        ]
        return np.concatenate(own)
