"""Images by where they are stored: files, encoded bytes, arrays, and what a program gives to be predicted."""

from __future__ import annotations

import errno
import os
from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from resnext.data.contents import UNKNOWN_STAMP, content_digest, size_and_time
from resnext.data.decode import BadImage, decode, load
from resnext.data.grey import DeepGrey
from resnext.data.images import ImageDataset, Labels
from resnext.files import ordinary

#: One image to predict; see `UnlabelledImages`.
ImageSource = str | Path | bytes | BinaryIO | Image.Image | NDArray[np.uint8]

#: Larger files are not read into memory as a whole.
MAX_FILE_BYTES = 2**30


class ImageFiles(ImageDataset):
    """Image files; keys are paths relative to `root`.

    Attributes:
        root: Folder of the files.
        link_targets: Real paths of what links among them lead to.
    """

    link_targets: frozenset[str] = frozenset()

    def __init__(self, root: Path, keys: Sequence[str], labels: Labels, classes: tuple[str, ...]) -> None:
        super().__init__(keys, labels, classes)
        self.root = root

    def open(self, index: int) -> Image.Image:
        path = self.path(index)
        return decode(path, str(path), self.grey)

    def read_bytes(self, index: int) -> bytes | None:
        try:
            return read_regular_file(self.path(index))
        except (OSError, ValueError):
            return None  # `open` raises the error

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        return self.open(index) if stored is None else decode(stored, str(self.path(index)), self.grey)

    def load_stored(self, stored: bytes | None, index: int) -> Image.Image | DeepGrey:
        path = self.path(index)
        return load(path if stored is None else stored, str(path))

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
    """Images whose encoded bytes are read, then decoded."""

    @abstractmethod
    def read_bytes(self, index: int) -> bytes | None:
        """Encoded bytes of image `index`; None if there are none."""

    def open(self, index: int) -> Image.Image:
        return self.decode_stored(self.read_bytes(index), index)

    def decode_stored(self, stored: bytes | None, index: int) -> Image.Image:
        return decode(self._existing(stored, index), self.keys[index], self.grey)

    def load_stored(self, stored: bytes | None, index: int) -> Image.Image | DeepGrey:
        return load(self._existing(stored, index), self.keys[index])

    def _existing(self, stored: bytes | None, index: int) -> bytes:
        if stored is None:
            raise BadImage(self.keys[index], "has no bytes")
        return stored


class ColumnImages(EncodedImages):
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
        return content_digest(self.stored(index)) >> 1  # in memory, so that looking is cheap

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
        return decode(self.items[index], self.keys[index], self.grey)

    def stored_size(self, index: int) -> int:
        item = self.items[index]
        return len(item) if isinstance(item, bytes) else 0


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


def read_regular_file(path: Path) -> bytes:
    """All bytes of a file.

    Raises:
        OSError: If it cannot be read, is larger than `MAX_FILE_BYTES`, or is a pipe, socket or device, which
            could keep a reader waiting.
    """
    with open(path, "rb", opener=ordinary) as file:
        if os.fstat(file.fileno()).st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, "too large to be an image", str(path))
        return file.read()
