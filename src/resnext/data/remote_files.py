"""Image files in an object store, by address (`s3://`, `gs://`, `hf://`, ...): listed and read by fsspec.

Nothing is asked of a network but for an address that the user gave.
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from resnext.data.decode import IMAGE_SUFFIXES, BadImage, DataError
from resnext.data.stored_images import MAX_FILE_BYTES, EncodedImages
from resnext.errors import PackageMissing

#: What a listing calls the version of a file, by the store.
VERSIONS = ("ETag", "etag", "md5Hash", "generation", "LastModified", "mtime", "created", "blob_id")


class RemoteFile(NamedTuple):
    """What a listing says of a file, by which a change shows."""

    size: int
    stamp: int


#: What is said of a file that no listing was asked for.
NOT_LISTED = RemoteFile(0, 0)


def find_remote_images(address: str, skipped: Counter[str]) -> dict[str, RemoteFile]:
    """The images that an address names: a file, a folder (searched to any depth) or a pattern.

    Args:
        address: The address, with its protocol.
        skipped: Counts the other files of a folder by kind, as `folders.images_under` does.

    Returns:
        The images by their addresses, in plain string order.

    Raises:
        DataError: Nothing can be listed there.
        PackageMissing: The package for this kind of address is not installed.
    """
    fs, path = _open_store(address)
    protocol, is_named = address.partition("://")[0], False
    try:
        if glob.has_magic(path):
            listed = fs.glob(path, detail=True)
        elif fs.isdir(path):
            listed = fs.find(path, detail=True)
        else:
            listed, is_named = {path: fs.info(path)}, True
    except FileNotFoundError:
        raise DataError(f"{address}: there is nothing at this address; look at the spelling") from None
    except Exception as error:  # each store has errors of its own
        raise DataError(f"{address}: cannot be listed ({_reason(error)})") from None
    found = {}
    for name, about in sorted(listed.items()):
        if about.get("type") == "directory":
            continue
        suffix = os.path.splitext(name)[1].lower()
        if suffix in IMAGE_SUFFIXES or is_named:
            found[f"{protocol}://{name.removeprefix(f'{protocol}://').lstrip('/')}"] = _describe(about)
        else:
            skipped[suffix or "without a suffix"] += 1
    return found


class RemoteImages(EncodedImages):
    """Images without labels in an object store; keys are their addresses.

    Args:
        files: What a listing says of each, by address.
    """

    def __init__(self, files: Mapping[str, RemoteFile]) -> None:
        super().__init__(list(files), np.zeros(len(files), np.int64), ("",))
        self._about = np.array([*files.values()], np.int64).reshape(-1, 2)

    def read_bytes(self, index: int) -> bytes:
        address = self.keys[index]
        if self.stored_size(index) > MAX_FILE_BYTES:
            raise BadImage(address, f"has more than {MAX_FILE_BYTES:,} bytes, too large to be an image")
        fs, path = _open_store(address)
        try:
            content: bytes = fs.cat_file(path)
        except Exception as error:
            raise BadImage(address, f"cannot be fetched ({_reason(error)})") from None
        return content

    def stored_size(self, index: int) -> int:
        return int(self._about[index, 0])

    def stamp(self, index: int) -> int:
        return int(self._about[index, 1])


def _open_store(address: str) -> tuple[Any, str]:
    """The store of an address, and the path in it."""
    from fsspec.core import url_to_fs  # comes with torch, and takes a while

    try:
        fs, path = url_to_fs(address)
    except ImportError as error:
        raise PackageMissing(f"{address}: needs a package that is not installed ({error})") from None
    except Exception as error:
        raise BadImage(address, f"cannot be opened ({_reason(error)})") from None
    return fs, path


def _describe(about: Mapping[str, Any]) -> RemoteFile:
    version = next((about[name] for name in VERSIONS if about.get(name) is not None), "")
    digest = hashlib.sha256(repr((about.get("size"), str(version))).encode()).digest()
    return RemoteFile(int(about.get("size") or 0), int.from_bytes(digest[:7], "big"))


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
