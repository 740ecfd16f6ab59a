"""`ImageList`: images in a fixed order, of which a table has rows: files, or a data set with its splits."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.data import archives, hf_datasets
from resnext.data.decode import DataError
from resnext.data.image_files import FoundImages, find_image_files
from resnext.data.images import ImageDataset
from resnext.data.index import is_index
from resnext.data.layouts import is_unlabelled
from resnext.data.sources import read_splits_by_name, split_notes
from resnext.data.tables import TABLE_SUFFIXES
from resnext.errors import UsageError
from resnext.names import encodable

#: Images of which a digest is updated at once.
CHUNK = 4096


@dataclass(frozen=True)
class Part:
    """Some of the images: a split, or all.

    Attributes:
        split: Name of the split; None if the images are in none.
        images: The images.
        is_labelled: Whether their labels mean anything.
    """

    split: str | None
    images: ImageDataset
    is_labelled: bool


@dataclass(frozen=True)
class ImageList:
    """All images, in a fixed order: those of the first part, then those of the next.

    Attributes:
        parts: The images by split.
        notes: Sentences that tell the user what was left out.
    """

    parts: tuple[Part, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return sum(len(part.images) for part in self.parts)

    def describe(self, indices: NDArray[np.int64]) -> dict[str, list[Any]]:
        """What is known of some images before they are read, by column: `key`, `split`, `label`, and `size`
        and `stamp`, by which a change shows."""
        rows: dict[str, list[Any]] = {"key": [], "split": [], "label": [], "size": [], "stamp": []}
        for index in indices.tolist():
            part, own = self._find(index)
            images = part.images
            rows["key"].append(encodable(images.keys[own]))
            rows["split"].append(part.split)
            rows["label"].append(images.classes[images.labels[own]] if part.is_labelled else None)
            rows["size"].append(images.stored_size(own))
            rows["stamp"].append(images.stamp(own))
        return rows

    def rest(self, start: int, batch: int) -> Iterator[tuple[int, ImageDataset]]:
        """What follows the images before `start`, by part: the place of its first image, and its images.

        It begins where a batch does: `start` is what follows the last image of a batch that could be read.
        """
        before = 0
        for part in self.parts:
            count = len(part.images)
            done = min(count, -(-max(0, start - before) // batch) * batch)
            if done == 0:
                yield before, part.images
            elif done < count:
                yield before + done, part.images.select(np.arange(done, count))
            before += count

    def digest(self) -> str:
        """Digest of names, labels, sizes and times of all images, 16 hexadecimal digits."""
        digest = hashlib.sha256()
        for start in range(0, len(self), CHUNK):
            rows = self.describe(np.arange(start, min(start + CHUNK, len(self))))
            digest.update(repr(list(zip(*rows.values(), strict=True))).encode())
        return digest.hexdigest()[:16]

    def _find(self, index: int) -> tuple[Part, int]:
        for part in self.parts:
            if index < len(part.images):
                return part, index
            index -= len(part.images)
        raise IndexError(index)


def find_images_to_embed(sources: Sequence[str | Path], split: str | None = None) -> ImageList:
    """The images that `sources` name.

    Args:
        sources: One data set, as `evaluate` takes it; or files, folders and globs, whose images have no
            labels. A folder with folders in it is a data set, one with nothing but images is not.
        split: Name of the split of a data set; all if None.

    Raises:
        DataError: There are no images, or no such split, or the data set cannot be read.
        UsageError: `split` is given for images that are in none.
    """
    names = [str(source) for source in sources]
    if not any(map(is_data_set, names)):
        if split is not None:
            raise UsageError(f"--split {split}: files and folders of images without labels have no splits")
        return list_image_files(find_image_files(names))
    if len(names) > 1:
        sets = [name for name in names if is_data_set(name)]
        raise UsageError(
            f"{sets[0]}: is a data set, and of these one is embedded at a time; for the files of a folder "
            "whatever their labels give a pattern, as in 'IMAGES/**/*.jpg'"
        )
    try:
        by_name = read_splits_by_name(names[0])
        if not any(map(len, by_name.values())):
            raise DataError(f"{names[0]}: has no images in a format that is read (JPEG, PNG, ...)")
    except DataError as error:
        error.add_note("for the files of a folder whatever their labels give a pattern: 'IMAGES/**/*.jpg'")
        raise
    if split is not None and split not in by_name:
        there = ", ".join(name for name in by_name if name) or "no splits"
        raise DataError(f"{names[0]}: no {split} split; found {there}")
    parts = [Part(name, images, True) for name, images in by_name.items() if split in (None, name)]
    notes = dict.fromkeys(note for part in parts for note in split_notes(part.images))
    return ImageList(tuple(parts), tuple(notes))


def list_image_files(found: FoundImages) -> ImageList:
    """The image files that were found."""
    return ImageList((Part(None, found.dataset(), is_labelled=False),), tuple(filter(None, [found.note()])))


def is_data_set(source: str) -> bool:
    """Whether `source` is a data set with labels, and not files of images.

    >>> is_data_set("digits"), is_data_set("photos/*.jpg")
    (True, False)
    """
    path = Path(source)
    if source == "digits" or hf_datasets.is_supported(source) or archives.is_supported(source):
        return True
    if path.is_dir():
        return is_index(path) or not is_unlabelled(path)
    return path.suffix.lower() in TABLE_SUFFIXES
