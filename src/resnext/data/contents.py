"""What tells whether stored images have changed: a digest of each, and a stamp that saves reading it."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.data.npy_files import parse_array

Digests = NDArray[np.uint64]
Stamps = NDArray[np.int64]

#: Stamp of an image that must be read to find out whether it has changed.
UNKNOWN_STAMP = -(2**63)
#: Digest of an image of which nothing can be read.
NO_DIGEST = 0


@dataclass(frozen=True)
class Contents:
    """What was stored of each image of a split when it was scanned.

    Attributes:
        digests: `content_digest` of each image, uint64 (N,).
        stamps: Stamp of each image, taken before it was read, int64 (N,); see `ImageDataset.stamp`.
    """

    digests: Digests
    stamps: Stamps


def content_digest(stored: bytes | None) -> int:
    """Digest of 64 bits of what is stored of an image; `NO_DIGEST` for None.

    It is SHA-256, cut off: processors have instructions for it, so that 100 kB take 0.1 ms, where decoding
    them takes several.

    >>> f"{content_digest(b'cat'):016x}"
    '77af778b51abd4a3'
    """
    if stored is None:
        return NO_DIGEST
    return int.from_bytes(hashlib.sha256(stored).digest()[:8], "big")


def contents_digest(contents: Mapping[str, Contents]) -> str:
    """Digest of all images by split, 16 hexadecimal digits. Copies of a data set have equal ones.

    >>> one = Contents(np.array([1, 2], np.uint64), np.zeros(2, np.int64))
    >>> copied = Contents(np.array([1, 2], np.uint64), np.ones(2, np.int64))
    >>> contents_digest({"train": one}) == contents_digest({"train": copied})
    True
    """
    digest = hashlib.sha256()
    for split, one in contents.items():
        digest.update(f"{split} {len(one.digests)}\n".encode())
        digest.update(np.ascontiguousarray(one.digests, "<u8").tobytes())
    return digest.hexdigest()[:16]


def size_and_time(path: str | Path) -> tuple[int, int]:
    """Size of a file in bytes, and when it was last changed, in ns since 1970; (-1, -1) if there is none.

    >>> size_and_time("no such file")
    (-1, -1)
    """
    try:
        about = os.stat(path)
    except (OSError, ValueError):
        return -1, -1
    return about.st_size, about.st_mtime_ns


def files_stamp(paths: Sequence[Path]) -> int:
    """One stamp for images that lie together in files: it changes with the size or the time of any. Unknown
    without files."""
    if not paths:
        return UNKNOWN_STAMP
    about = repr([size_and_time(path) for path in paths])
    return int.from_bytes(hashlib.sha256(about.encode()).digest()[:7], "big")


def to_bytes(contents: Mapping[str, Contents]) -> bytes:
    """The arrays of all splits as one npz file; `from_bytes` is the inverse."""
    arrays: dict[str, NDArray[Any]] = {}
    for split, one in contents.items():
        arrays |= {f"{split}.digests": one.digests, f"{split}.stamps": one.stamps}
    file = io.BytesIO()
    np.savez(file, **arrays)  # type: ignore[arg-type]
    return file.getvalue()


def from_bytes(npz: bytes) -> dict[str, Contents]:
    """The contents of each split in an npz file. Raises `ValueError` if it is none or damaged.

    >>> one = Contents(np.array([1, 2], np.uint64), np.array([3, 4], np.int64))
    >>> from_bytes(to_bytes({"train": one}))["train"].stamps.tolist()
    [3, 4]
    """
    try:
        with zipfile.ZipFile(io.BytesIO(npz)) as archive:
            members = archive.infolist()
            if any(one.compress_type != zipfile.ZIP_STORED or one.file_size > len(npz) for one in members):
                raise ValueError("no contents of images: packed")  # they could unpack to any size
            arrays = {one.filename.removesuffix(".npy"): parse_array(archive.read(one)) for one in members}
        splits = [name.removesuffix(".digests") for name in arrays if name.endswith(".digests")]
        found = {split: Contents(arrays[f"{split}.digests"], arrays[f"{split}.stamps"]) for split in splits}
    except (OSError, EOFError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        raise ValueError(f"no contents of images: {error}") from None
    for split, one in found.items():
        fits = one.digests.dtype == np.uint64 and one.stamps.dtype == np.int64
        if not fits or len(one.digests) != len(one.stamps):
            raise ValueError(f"no contents of images: the arrays of {split} do not fit together")
    return found
