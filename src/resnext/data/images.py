"""`ImageDataset`: labelled images that any process can open by index, as often as it likes."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from resnext.data.class_names import one_form
from resnext.data.contents import UNKNOWN_STAMP, Contents, content_digest, size_and_time
from resnext.data.decode import BadImage, DataError, decode

Labels = NDArray[np.int64]
#: One image to predict; see `UnlabelledImages`.
ImageSource = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.uint8]

#: Larger files are not read into memory as a whole.
MAX_FILE_BYTES = 2**30


@dataclass(frozen=True)
class Scan:
    """What decoding every image of a data set once has found.

    Attributes:
        bad: The error of each image that cannot be read, by index.
        shorter_px: Shorter side of each image in pixels (N,); 0 for a bad one.
        mean: Mean of each channel (red, green, blue), on the scale 0 to 1.
        std: Standard deviation of each channel, on the same scale.
        contents: What was stored of each image; None if an earlier version made the scan.
    """

    bad: dict[int, BadImage]
    shorter_px: NDArray[np.int64]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    contents: Contents | None = None


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
    """

    window: int | None = None
    known_scan: Scan | None = None
    unread_files: Sequence[str] = ()
    notes: tuple[str, ...] = ()

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

    def open(self, index: int) -> Image.Image:
        return self.source.open(int(self.indices[index]))

    def read_bytes(self, index: int) -> bytes | None:
        return self.source.read_bytes(int(self.indices[index]))

    def stored(self, index: int) -> bytes | None:
        return self.source.stored(int(self.indices[index]))

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        return self.source.decode_stored(stored, int(self.indices[index]))

    def stamp(self, index: int) -> int:
        return self.source.stamp(int(self.indices[index]))

    def path(self, index: int) -> Path | None:
        return self.source.path(int(self.indices[index]))

    def stored_size(self, index: int) -> int:
        return self.source.stored_size(int(self.indices[index]))


class CachedImages(ImageDataset):
    """The images of `source`, decoded when they are first opened and kept in memory while there is space.

    Each process has its own cache.

    Args:
        source: The images to cache.
        max_bytes: Most memory that the decoded images may take together.

    Attributes:
        is_full: True once an image has found no space.

    >>> images = CachedImages(ImageArrays(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("a", "b")), 200)
    >>> images.open(0).size, images.is_full
    ((8, 8), False)
    >>> images.open(1).size, images.is_full
    ((8, 8), True)
    """

    def __init__(self, source: ImageDataset, max_bytes: int) -> None:
        super().__init__(source.keys, source.labels, source.classes)
        self.window, self.known_scan = source.window, source.known_scan
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

    def stored_size(self, index: int) -> int:
        return self.source.stored_size(index)


class ImageFiles(ImageDataset):
    """Image files; keys are paths relative to `root`."""

    def __init__(self, root: Path, keys: Sequence[str], labels: Labels, classes: tuple[str, ...]) -> None:
        super().__init__(keys, labels, classes)
        self.root = root

    def open(self, index: int) -> Image.Image:
        path = self.path(index)
        return decode(path, str(path))

    def read_bytes(self, index: int) -> bytes | None:
        try:
            return read_regular_file(self.path(index))
        except (OSError, ValueError):
            return None  # `open` raises the error

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        return self.open(index) if stored is None else decode(stored, str(self.path(index)))

    def path(self, index: int) -> Path:
        return self.root / self.keys[index]

    def stored_size(self, index: int) -> int:
        return int(self._sizes_and_times[index, 0])  # -1 where a table names a file that does not exist

    def stamp(self, index: int) -> int:
        return int(self._sizes_and_times[index, 1])

    @cached_property
    def _sizes_and_times(self) -> NDArray[np.int64]:
        """Size in bytes and time of the last change in ns of each file, int64 (N, 2), as they are when first
        asked for: a file that changes later has been read since, and its newer time asks for another look."""
        root = str(self.root)
        found = [size_and_time(os.path.join(root, key)) for key in self.keys]
        return np.array(found, np.int64).reshape(-1, 2)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_sizes_and_times"}


class EncodedImages(ImageDataset):
    """Encoded images in a column of bytes, such as one of a Parquet file.

    Args:
        column: The images; a row may be None.
        keys: Names of the images.
        labels: Classes as indices into `classes`, int64 (N,).
        classes: Names of the classes.
        files_stamp: Stamp of the files that the column was read from.
    """

    def __init__(
        self,
        column: pa.ChunkedArray,
        keys: Sequence[str],
        labels: Labels,
        classes: tuple[str, ...],
        files_stamp: int = UNKNOWN_STAMP,
    ) -> None:
        super().__init__(keys, labels, classes)
        self.column, self.files_stamp = column, files_stamp

    def open(self, index: int) -> Image.Image:
        return self.decode_stored(self.read_bytes(index), index)

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        return decode_present(stored, self.keys[index])

    def stamp(self, index: int) -> int:
        return self.files_stamp

    def read_bytes(self, index: int) -> bytes | None:
        encoded: bytes | None = self.column[index].as_py()
        return encoded

    def stored_size(self, index: int) -> int:
        buffer = self.column[index].as_buffer()
        return 0 if buffer is None else len(buffer)


class ImageArrays(ImageDataset):
    """Grey images in memory.

    Args:
        values: Pixels, uint8 (N, H, W).
        labels: Classes as indices into `classes`, int64 (N,).
        classes: Names of the classes.
    """

    def __init__(self, values: NDArray[np.uint8], labels: Labels, classes: tuple[str, ...]) -> None:
        super().__init__([str(i) for i in range(len(values))], labels, classes)
        self.values = values

    def open(self, index: int) -> Image.Image:
        return Image.fromarray(self.values[index]).convert("RGB")

    def stored(self, index: int) -> bytes | None:
        pixels: bytes = self.values[index].tobytes()
        return pixels

    def stamp(self, index: int) -> int:
        return content_digest(self.stored(index)) >> 1  # they are in memory: nothing is saved by not looking

    def stored_size(self, index: int) -> int:
        return int(self.values[index].nbytes)


class UnlabelledImages(ImageDataset):
    """Images without labels, to predict (all labels are 0).

    Args:
        items: Paths, encoded images (bytes or binary files, which are read at once), Pillow images and uint8
            arrays, grey (H, W) or RGB (H, W, 3), in any mixture. The key of a path is the path itself, that
            of another item its number.

    Raises:
        TypeError: If an item is none of these.

    >>> UnlabelledImages(["cat.jpg", Image.new("RGB", (8, 8))]).keys
    ['cat.jpg', 'image 1']
    """

    def __init__(self, items: Sequence[ImageSource]) -> None:
        keys = [str(item) if isinstance(item, str | Path) else f"image {i}" for i, item in enumerate(items)]
        super().__init__(keys, np.zeros(len(items), dtype=np.int64), ("",))
        self.items = [_decodable(item, key) for item, key in zip(items, keys, strict=True)]

    def open(self, index: int) -> Image.Image:
        return decode(self.items[index], self.keys[index])

    def stored_size(self, index: int) -> int:
        item = self.items[index]
        return len(item) if isinstance(item, bytes) else 0


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
    """

    name: str
    train: ImageDataset
    val: ImageDataset
    test: ImageDataset | None = None
    allows_flips: bool = True
    notes: tuple[str, ...] = ()
    known_fingerprint: str | None = None

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

    def items(self) -> list[tuple[str, ImageDataset]]:
        """(name, images) of each split that exists, in the order train, val, test."""
        splits = (("train", self.train), ("val", self.val), ("test", self.test))
        return [(name, images) for name, images in splits if images is not None]


def _decodable(item: Any, key: str) -> str | Path | bytes | Image.Image:
    """`item` as `decode` takes it."""
    if isinstance(item, str | Path | bytes | Image.Image):
        return item
    if isinstance(item, bytearray | memoryview):
        return bytes(item)
    if isinstance(item, np.ndarray):
        return _image_of(item, key)
    if not hasattr(item, "read"):
        raise TypeError(
            f"{key}: is of type {type(item).__name__}; give a path, bytes, a file open in binary mode, a "
            "Pillow image, or a uint8 array (H, W) or (H, W, 3)"
        )
    content = item.read()
    if not isinstance(content, bytes):
        raise TypeError(f"{key}: this file gives {type(content).__name__}; open it in binary mode, 'rb'")
    return content


def _image_of(pixels: NDArray[Any], key: str) -> Image.Image:
    is_grey, is_colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[-1] == 3
    if pixels.dtype != np.uint8 or not (is_grey or is_colour) or pixels.size == 0:
        raise TypeError(
            f"{key}: an array {pixels.shape} of {pixels.dtype}; give uint8, grey (H, W) or RGB (H, W, 3)"
        )
    return Image.fromarray(pixels)


def decode_present(encoded: bytes | None, key: str) -> Image.Image:
    """The image in `encoded`. Raises `BadImage` if there are no bytes, or they cannot be decoded."""
    if encoded is None:
        raise BadImage(key, "has no bytes")
    return decode(encoded, key)


def read_regular_file(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: If it cannot be read, is larger than `MAX_FILE_BYTES`, or is a pipe, socket or device, which
            could keep a reader waiting.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(handle, "rb") as file:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if about.st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "too large to be an image", str(path))
        return file.read()


def align_labels(images: ImageDataset, classes: tuple[str, ...], where: str) -> ImageDataset:
    """`images` with labels that are indices into `classes`; classes are matched by name.

    Classes without images may be missing on either side.

    Args:
        images: Images with classes of their own.
        classes: Names of the classes that the labels shall index.
        where: Name of the images in an error message.

    Raises:
        DataError: If an image belongs to a class that `classes` lacks.

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
