"""`ImageDataset`: labelled images that any process can open by index, as often as it likes."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resnext.contract import GreyRange
from resnext.data.contents import UNKNOWN_STAMP, Contents
from resnext.data.decode import BadImage
from resnext.data.grey import DeepGrey, GreyValues

Labels = NDArray[np.int64]


@dataclass(frozen=True)
class Blank:
    """How many images are one colour throughout, and the names of the first ones."""

    count: int = 0
    first: tuple[str, ...] = ()


NOT_BLANK = Blank()


@dataclass(frozen=True)
class Scan:
    """What decoding every image of a data set once has found.

    Attributes:
        bad: The error of each image that cannot be read, by index.
        shorter_px: Shorter side of each image in pixels (N,); 0 for a bad one.
        mean: Mean of each channel (red, green, blue), on the scale 0 to 1.
        std: Standard deviation of each channel, on the same scale.
        contents: What was stored of each image; None if an earlier version made the scan.
        grey_values: The values of the deep grey images; None if there are none, or an earlier version made
            the scan.
        grey: Black and white of the deep grey images in `mean` and `std`. None if there are none, which such
            images then are no part of, or if an earlier version judged each alone.
        blank: The images that are one colour throughout.
    """

    bad: dict[int, BadImage]
    shorter_px: NDArray[np.int64]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    contents: Contents | None = None
    grey_values: GreyValues | None = None
    grey: GreyRange | None = None
    blank: Blank = NOT_BLANK


class ImageDataset(ABC):
    """N labelled images.

    Attributes:
        keys: Name of each image, by which a person finds it: a path, or a table and a row.
        labels: Class of each image as an index into `classes`, int64 (N,).
        classes: Names of the classes.
        window: None if images can be opened in any order. A number means that opening is fast only in an
            order that is shuffled within windows of this many images.
        known_scan: What an earlier scan of these images found; None if there was none.
        unread_files: Paths of files beside the images in formats that are not supported.
        notes: Sentences that tell the user what was left out, and what could not be checked.
        grey: Black and white of deep grey images; None judges each alone.
    """

    window: int | None = None
    known_scan: Scan | None = None
    unread_files: Sequence[str] = ()
    notes: tuple[str, ...] = ()
    grey: GreyRange | None = None

    def __init__(self, keys: Sequence[str], labels: Labels, classes: tuple[str, ...]) -> None:
        self.keys = keys
        self.labels = labels
        self.classes = classes

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def open(self, index: int) -> Image.Image:
        """Image `index`, decoded: upright and RGB.

        Raises:
            BadImage: If the image cannot be read.
        """

    def read_bytes(self, index: int) -> bytes | None:
        """Encoded bytes of image `index`; None if they do not exist or cannot be read.

        A stream gives the bytes of an image only once.
        """
        return None

    def stored(self, index: int) -> bytes | None:
        """What is stored of image `index`: its encoded bytes, or its pixels if it has none. None if it cannot
        be read."""
        return self.read_bytes(index)

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        """Image `index` from what `stored` has returned; both together do what `open` does.

        Raises:
            BadImage: If the image cannot be read.
        """
        return self.open(index)

    def load_stored(self, stored: bytes | None, index: int) -> Image.Image | DeepGrey:
        """As `decode_stored`, but a deep grey image keeps the values that are stored."""
        return self.decode_stored(stored, index)

    def in_range(self, grey: GreyRange | None) -> Self:
        """The same images with this black and white of deep grey; these themselves if they have it."""
        if grey == self.grey:
            return self
        other = copy.copy(self)
        other.grey = grey
        return other

    def stamp(self, index: int) -> int:
        """A number that stays the same while image `index` is certainly unchanged: the time at which its file
        was last changed, in ns. `UNKNOWN_STAMP` if only reading the image could tell."""
        return UNKNOWN_STAMP

    def path(self, index: int) -> Path | None:
        """File that holds image `index` and nothing else; None if no such file exists."""
        return None

    @abstractmethod
    def stored_size(self, index: int) -> int:
        """Size of image `index` as stored, in bytes. It is part of the fingerprint."""

    def select(self, indices: Sequence[int] | Labels) -> ImageDataset:
        """The images at `indices`, in that order.

        >>> from resnext.data.stored_images import ImageArrays
        >>> images = ImageArrays(np.zeros((3, 8, 8), np.uint8), np.array([0, 1, 0]), ("cat", "dog"))
        >>> images.select([1, 2]).labels.tolist()
        [1, 0]
        """
        return ImageSubset(self, np.asarray(indices, dtype=np.int64))


class NameView(Sequence[str]):
    """The entries of `names` at `indices`, without a copy.

    >>> list(NameView(["a", "b", "c"], np.array([2, 0])))
    ['c', 'a']
    """

    def __init__(self, names: Sequence[str], indices: Labels) -> None:
        self.names, self.indices = names, indices

    def __len__(self) -> int:
        return len(self.indices)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> NameView: ...
    def __getitem__(self, index: int | slice) -> str | NameView:
        if isinstance(index, slice):
            return NameView(self.names, self.indices[index])
        return self.names[int(self.indices[index])]


class ImageSubset(ImageDataset):
    """The images at `indices` of another data set.

    Args:
        source: The data set that the images are taken from.
        indices: Their places in `source`, int64 (N,).
    """

    def __init__(self, source: ImageDataset, indices: Labels) -> None:
        super().__init__(NameView(source.keys, indices), source.labels[indices], source.classes)
        if source.window is not None:  # the share of one window of the source that is selected
            self.window = max(1, source.window * len(indices) // max(1, len(source)))
        self.source = source
        self.indices = indices
        self.unread_files, self.notes, self.grey = source.unread_files, source.notes, source.grey

    def open(self, index: int) -> Image.Image:
        return self.source.open(int(self.indices[index]))

    def read_bytes(self, index: int) -> bytes | None:
        return self.source.read_bytes(int(self.indices[index]))

    def stored(self, index: int) -> bytes | None:
        return self.source.stored(int(self.indices[index]))

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        return self.source.decode_stored(stored, int(self.indices[index]))

    def load_stored(self, stored: bytes | None, index: int) -> Image.Image | DeepGrey:
        return self.source.load_stored(stored, int(self.indices[index]))

    def in_range(self, grey: GreyRange | None) -> Self:
        other = super().in_range(grey)
        if other is not self:
            other.source = self.source.in_range(grey)
        return other

    def stamp(self, index: int) -> int:
        return self.source.stamp(int(self.indices[index]))

    def path(self, index: int) -> Path | None:
        return self.source.path(int(self.indices[index]))

    def stored_size(self, index: int) -> int:
        return self.source.stored_size(int(self.indices[index]))


class JoinedImages(ImageDataset):
    """The images of several data sets that have the same classes, one after the other.

    Args:
        parts: The data sets, of which there is at least one; none is a stream.

    >>> from resnext.data.stored_images import ImageArrays
    >>> one = ImageArrays(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("cat", "dog"))
    >>> both = JoinedImages([one, one.select([1])])
    >>> both.labels.tolist(), both.open(2).size
    ([0, 1, 1], (8, 8))
    """

    def __init__(self, parts: Sequence[ImageDataset]) -> None:
        keys = [key for part in parts for key in part.keys]
        super().__init__(keys, np.concatenate([part.labels for part in parts]), parts[0].classes)
        self.parts, self.grey = tuple(parts), parts[0].grey
        self.unread_files, self.notes = parts[0].unread_files, parts[0].notes
        self._ends = np.cumsum([len(part) for part in parts])

    def open(self, index: int) -> Image.Image:
        part, own = self._find(index)
        return part.open(own)

    def read_bytes(self, index: int) -> bytes | None:
        part, own = self._find(index)
        return part.read_bytes(own)

    def stored(self, index: int) -> bytes | None:
        part, own = self._find(index)
        return part.stored(own)

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        part, own = self._find(index)
        return part.decode_stored(stored, own)

    def load_stored(self, stored: bytes | None, index: int) -> Image.Image | DeepGrey:
        part, own = self._find(index)
        return part.load_stored(stored, own)

    def in_range(self, grey: GreyRange | None) -> Self:
        other = super().in_range(grey)
        if other is not self:
            other.parts = tuple(part.in_range(grey) for part in self.parts)
        return other

    def stamp(self, index: int) -> int:
        part, own = self._find(index)
        return part.stamp(own)

    def path(self, index: int) -> Path | None:
        part, own = self._find(index)
        return part.path(own)

    def stored_size(self, index: int) -> int:
        part, own = self._find(index)
        return part.stored_size(own)

    def _find(self, index: int) -> tuple[ImageDataset, int]:
        index = int(index)
        number = int(np.searchsorted(self._ends, index, side="right"))
        return self.parts[number], index - (int(self._ends[number - 1]) if number else 0)


class CachedImages(ImageDataset):
    """The images of `source`, decoded when they are first opened and kept in memory while there is space.

    Each process has its own cache.

    Args:
        source: The images to cache.
        max_bytes: Most memory that the decoded images may take together.

    Attributes:
        is_full: True once an image has found no space.

    >>> from resnext.data.stored_images import ImageArrays
    >>> images = CachedImages(ImageArrays(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("a", "b")), 200)
    >>> images.open(0).size, images.is_full
    ((8, 8), False)
    >>> images.open(1).size, images.is_full
    ((8, 8), True)
    """

    def __init__(self, source: ImageDataset, max_bytes: int) -> None:
        super().__init__(source.keys, source.labels, source.classes)
        self.window, self.known_scan, self.grey = source.window, source.known_scan, source.grey
        self.source = source
        self.is_full = False
        self._free_bytes = max_bytes
        self._cache: dict[int, NDArray[np.uint8]] = {}

    def open(self, index: int) -> Image.Image:
        if index in self._cache:
            return Image.fromarray(self._cache[index])
        image = self.source.open(index)
        pixels = np.asarray(image)
        if pixels.nbytes <= self._free_bytes:
            self._free_bytes -= pixels.nbytes
            self._cache[index] = pixels
        else:
            self.is_full = True
        return image

    def in_range(self, grey: GreyRange | None) -> Self:
        other = super().in_range(grey)
        if other is not self:
            other.source, other._cache = self.source.in_range(grey), {}
        return other

    def stored_size(self, index: int) -> int:
        return self.source.stored_size(index)
