"""An index: names, labels and sizes of the files of a data set, and what a scan of them found.

It is made once, for sets that take minutes to list and hours to scan. It is a folder of flat arrays that are
opened by memory map: ten million images open at once, and processes share one copy.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import BadImage, DataError
from resnext.data.images import ImageDataset, ImageFiles, ImageSubset, NameView, Scan, Splits, fingerprint

INDEX_SUFFIX, SCHEMA = ".index", 1
#: File in the folder of an index that describes its splits.
INDEX_FILE = "index.json"
#: Arrays of each split and their types. They have one entry for each image, `text` one for each byte.
ARRAYS = {"text": np.uint8, "ends": np.int64, "labels": np.int64, "sizes": np.int64, "shorter_px": np.int64}


class PackedNames(Sequence[str]):
    """File names in one array of bytes.

    Args:
        text: Bytes of all names, one after the other, uint8.
        ends: Place in `text` where each name ends, int64 (N,).

    >>> list(PackedNames(np.frombuffer(b"a.pngb.png", np.uint8), np.array([5, 10])))
    ['a.png', 'b.png']
    """

    def __init__(self, text: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.text, self.ends = text, ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> NameView: ...
    def __getitem__(self, index: int | slice) -> str | NameView:
        if isinstance(index, slice):
            return NameView(self, np.arange(len(self))[index])
        index = range(len(self))[index]
        start = self.ends[index - 1] if index else 0
        return os.fsdecode(self.text[start : self.ends[index]].tobytes())


class IndexedFiles(ImageFiles):
    """The images of one split of an index.

    Args:
        folder: Folder of the index.
        split: Name of the split.
        root: Folder that the keys are relative to.
        classes: Names of the classes.
        scan_json: What the scan of the split found, as the index stores it.
    """

    def __init__(
        self, folder: Path, split: str, root: Path, classes: tuple[str, ...], scan_json: dict[str, Any]
    ) -> None:
        self.folder, self.split, self.scan_json = folder, split, scan_json
        arrays = {name: np.load(folder / f"{split}.{name}.npy", mmap_mode="r") for name in ARRAYS}
        super().__init__(root, PackedNames(arrays["text"], arrays["ends"]), arrays["labels"], classes)
        self.sizes = arrays["sizes"]
        bad = {int(i): BadImage(*error) for i, error in scan_json["bad"].items()}
        mean, std = tuple(scan_json["mean"]), tuple(scan_json["std"])
        self.known_scan = Scan(bad, arrays["shorter_px"], mean, std)

    def stored_size(self, index: int) -> int:
        return int(self.sizes[index])

    def __reduce__(self) -> tuple[Any, ...]:  # another process maps the files itself
        return IndexedFiles, (self.folder, self.split, self.root, self.classes, self.scan_json)


def is_index(path: Path) -> bool:
    """Whether `path` is the folder of an index."""
    return (path / INDEX_FILE).is_file()


def write_index(splits: Splits, scans: Mapping[str, Scan], folder: Path) -> None:
    """Write the index of a data set.

    Args:
        splits: The data set; its images must be files.
        scans: Scan of each split, by name.
        folder: Folder to create; its name must end in ".index".

    Raises:
        DataError: If the images are not files, or if `folder` exists or has another suffix.
    """
    if folder.suffix != INDEX_SUFFIX:
        raise DataError(f"{folder}: the name of an index must end in {INDEX_SUFFIX}")
    if folder.exists():
        raise DataError(f"{folder}: exists already; remove it, or choose another name")
    files = {name: _root_and_names(images, splits.name) for name, images in splits.items()}
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    index: dict[str, Any] = {"schema": SCHEMA, "name": splits.name, "classes": splits.classes, "splits": {}}
    for name, images in splits.items():
        scan, (root, names) = scans[name], files[name]
        text, ends = _pack(names)
        arrays = {
            "text": text,
            "ends": ends,
            "labels": images.labels,
            "sizes": np.fromiter((images.stored_size(i) for i in range(len(images))), np.int64, len(images)),
            "shorter_px": scan.shorter_px,
        }
        for array_name, values in arrays.items():
            np.save(temporary / f"{name}.{array_name}.npy", np.asarray(values, ARRAYS[array_name]))
        bad = {str(i): [error.key, error.reason] for i, error in scan.bad.items()}
        scan_json = {"bad": bad, "mean": scan.mean, "std": scan.std}
        index["splits"][name] = {"root": str(root.resolve()), "count": len(images), "known": scan_json}
    index |= {"mirrors": splits.allows_flips, "notes": splits.notes, "fingerprint": fingerprint(splits)}
    (temporary / INDEX_FILE).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder)


def read_index(folder: Path) -> Splits:
    """The data set whose index is the folder `folder`.

    Raises:
        DataError: If the index is damaged or of another version, or if its images have been moved.
    """
    try:
        index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        if index["schema"] != SCHEMA:
            raise DataError(
                f"{folder}: schema {index['schema']!r}; this version reads {SCHEMA}. Make it again"
            )
        classes = tuple(index["classes"])
        splits: dict[str, ImageDataset] = {}
        for name, entry in index["splits"].items():
            root = Path(entry["root"])
            if not root.is_dir():
                raise DataError(f"{folder}: its images were in {root}, which is not there. Make it again")
            images = IndexedFiles(folder, name, root, classes, entry["known"])
            if len(images) != entry["count"] or len(images.keys) != entry["count"]:
                raise DataError(f"{folder}: {name} does not hold the {entry['count']} images it should")
            splits[name] = images
        return Splits(
            index["name"],
            splits["train"],
            splits["val"],
            splits.get("test"),
            allows_flips=index["mirrors"],
            notes=tuple(index["notes"]),
            known_fingerprint=index["fingerprint"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: not a complete index ({error}). Make it again") from None


def _root_and_names(images: ImageDataset, set_name: str) -> tuple[Path, Sequence[str]]:
    """Root folder of image files, and their names relative to it."""
    if isinstance(images, ImageFiles):
        return images.root, images.keys
    if isinstance(images, ImageSubset):
        root, names = _root_and_names(images.source, set_name)
        return root, NameView(names, images.indices)
    raise DataError(f"{set_name}: its images are not files of their own, so there is nothing to index")


def _pack(names: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """`text` and `ends` of `PackedNames`."""
    encoded = [os.fsencode(name) for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends
