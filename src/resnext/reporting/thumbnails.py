"""Small images of a page, found by the keys of predictions.

A run folder may come from somebody else, and its DATA is then any text. So no set of the hub is asked for,
and no folder is searched: of a folder of image files, only those are looked at that the keys name.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from resnext.contract import Contract
from resnext.data import hf_datasets
from resnext.data.decode import DataError
from resnext.data.hf_datasets import SourceMissing
from resnext.data.images import ImageDataset
from resnext.data.layouts import find_splits, folders_in, innermost
from resnext.data.sources import read_split
from resnext.data.stored_images import ImageFiles
from resnext.data.streaming import STREAM
from resnext.names import encodable

#: Longest side of an image.
THUMBNAIL_PX = 112
#: A byte of a file name that is not UTF-8, as `encodable` writes it.
_ESCAPED = re.compile(r"\\u(dc[89a-f][0-9a-f])")


def is_on_hub(data: str) -> bool:
    """Whether the images of DATA could only be had over the network.

    >>> is_on_hub("stream:hf:owner/pets"), is_on_hub("pets")
    (True, False)
    """
    return data.removeprefix(STREAM).startswith(hf_datasets.HUB)


def find_thumbnails(
    data: str, split: str, keys: Sequence[str], contract: Contract, trained_on: str
) -> dict[str, str]:
    """The images with these keys as data URIs, as far as they are found, and no other image has the key.

    Args:
        data: DATA of the run.
        split: Name of the split that the keys are of.
        keys: Keys of predictions.
        contract: Contract of the network that predicted.
        trained_on: Fingerprint of the data of the run.
    """
    if not (keys and data) or is_on_hub(data):
        return {}
    try:
        images = _named_files(data, split, keys)
        if images is None and _needs_no_search(Path(data.removeprefix(STREAM))):
            images = read_split(data, contract.classes, split, trained_on)[1]
        if images is None:
            return {}
        images = images.in_range(contract.grey)
    except (DataError, SourceMissing, OSError, ValueError):  # a path that no system allows, too
        return {}
    found: dict[str, list[int]] = {key: [] for key in keys}
    for index, key in enumerate(map(encodable, images.keys)):  # those of predictions are
        if key in found:
            found[key].append(index)
    unique = sorted((own[0], key) for key, own in found.items() if len(own) == 1)  # streams read in order
    drawn = {key: thumbnail_uri(images, index) for index, key in unique}
    return {key: uri for key, uri in drawn.items() if uri is not None}


def _named_files(data: str, split: str, keys: Sequence[str]) -> ImageDataset | None:
    """The images that `keys` name in the folder `data`, or beside the table `data`; None if none is there."""
    for root in _roots(Path(data), split):
        names = [key if (root / key).is_file() else _unescaped(key) for key in keys]
        if there := [name for name in names if (root / name).is_file()]:
            return ImageFiles(root, there, np.zeros(len(there), np.int64), ())
    return None


def _roots(path: Path, split: str) -> Iterator[Path]:
    """The folders that keys may be relative to."""
    if path.is_file():
        yield path.parent
    elif path.is_dir():
        splits = find_splits(path)
        for folder in filter(Path.is_dir, splits.get(split) or splits.get("train", [])):
            yield from (innermost(folder), folder)
        yield path


def _needs_no_search(path: Path) -> bool:
    """Whether the set at `path` is read without a search of folders: it lies in files, also by splits."""
    if not path.is_dir():
        return True
    of_splits = [found for paths in find_splits(path).values() for found in paths]
    return all(one in of_splits and not folders_in(one) for one in folders_in(path))


def _unescaped(key: str) -> str:
    """The name of the file that has this key."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), key)


def thumbnail_uri(images: ImageDataset, index: int) -> str | None:
    """Image `index`, small, as a data URI; None if it cannot be read."""
    try:
        image = images.open(index)
    except DataError:
        return None
    image.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX), Image.Resampling.LANCZOS)
    file, kind = io.BytesIO(), "png" if max(image.size) <= 40 else "jpeg"
    image.save(file, kind.upper(), quality=85)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"
