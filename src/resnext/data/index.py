"""An index: names, labels and sizes of a data set's files, and what a look at all of them found.

Made once, for sets that take minutes to list and hours to look at. It is a folder of flat arrays, opened by
memory map: ten million pictures open at once, and processes share one copy.
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

from resnext.data.decode import BadPicture, DataError
from resnext.data.pictures import Files, Pictures, Scan, Splits, Subset, Taken, fingerprint

SUFFIX, SCHEMA = ".index", 1
FACTS = "index.json"
#: What each array of a split holds, one entry a picture (`text` has one a byte).
ARRAYS = {"text": np.uint8, "ends": np.int64, "labels": np.int64, "sizes": np.int64, "shorter_px": np.int64}


class Names(Sequence[str]):
    """File names as one array of bytes and the places where they end."""

    def __init__(self, text: NDArray[np.uint8], ends: NDArray[np.int64]) -> None:
        self.text, self.ends = text, ends

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Taken: ...
    def __getitem__(self, index: int | slice) -> str | Taken:
        if isinstance(index, slice):
            return Taken(self, np.arange(len(self))[index])
        index = range(len(self))[index]
        start = self.ends[index - 1] if index else 0
        return os.fsdecode(self.text[start : self.ends[index]].tobytes())


class Indexed(Files):
    """The pictures of one split of the index in `folder`."""

    def __init__(self, folder: Path, split: str, root: Path, classes: tuple[str, ...], known: Any) -> None:
        self.folder, self.split, self.known_as = folder, split, known
        arrays = {name: np.load(folder / f"{split}.{name}.npy", mmap_mode="r") for name in ARRAYS}
        super().__init__(root, Names(arrays["text"], arrays["ends"]), arrays["labels"], classes)
        self.sizes = arrays["sizes"]
        bad = {int(i): BadPicture(*error) for i, error in known["bad"].items()}
        self.known = Scan(bad, arrays["shorter_px"], tuple(known["mean"]), tuple(known["std"]))

    def weigh(self, index: int) -> int:
        return int(self.sizes[index])

    def __reduce__(self) -> tuple[Any, ...]:  # another process opens the files itself
        return Indexed, (self.folder, self.split, self.root, self.classes, self.known_as)


def is_index(path: Path) -> bool:
    """Is there an index at `path`?"""
    return (path / FACTS).is_file()


def write_index(splits: Splits, scans: Mapping[str, Scan], folder: Path) -> None:
    """Write the index of `splits`, in each of which `scans` has found what it has.

    Raises `DataError` if they are not files, and if `folder` exists.
    """
    if folder.suffix != SUFFIX:
        raise DataError(f"{folder}: the name of an index must end in {SUFFIX}")
    if folder.exists():
        raise DataError(f"{folder}: is there already; remove it, or choose another place")
    named = {name: _files(pictures, splits.name) for name, pictures in splits.items()}
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    facts: dict[str, Any] = {"schema": SCHEMA, "name": splits.name, "classes": splits.classes, "splits": {}}
    for name, pictures in splits.items():
        scan, (root, keys) = scans[name], named[name]
        text, ends = _joined(keys)
        arrays = {
            "text": text,
            "ends": ends,
            "labels": pictures.labels,
            "sizes": np.fromiter((pictures.weigh(i) for i in range(len(pictures))), np.int64, len(pictures)),
            "shorter_px": scan.shorter_px,
        }
        for what, values in arrays.items():
            np.save(aside / f"{name}.{what}.npy", np.asarray(values, ARRAYS[what]))
        bad = {str(i): [error.key, error.reason] for i, error in scan.bad.items()}
        known = {"bad": bad, "mean": scan.mean, "std": scan.std}
        facts["splits"][name] = {"root": str(root.resolve()), "count": len(pictures), "known": known}
    facts |= {"mirrors": splits.mirrors, "notes": splits.notes, "fingerprint": fingerprint(splits)}
    (aside / FACTS).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    os.replace(aside, folder)


def read_index(folder: Path) -> Splits:
    """The data set whose index lies in `folder`. Raises `DataError`."""
    try:
        facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
        if facts["schema"] != SCHEMA:
            raise DataError(
                f"{folder}: schema {facts['schema']!r}; this version reads {SCHEMA}. Make it again"
            )
        classes = tuple(facts["classes"])
        parts: dict[str, Pictures] = {}
        for name, about in facts["splits"].items():
            root = Path(about["root"])
            if not root.is_dir():
                raise DataError(f"{folder}: its pictures lay in {root}, which is not there. Make it again")
            parts[name] = Indexed(folder, name, root, classes, about["known"])
            if len(parts[name]) != about["count"] or len(parts[name].keys) != about["count"]:
                raise DataError(f"{folder}: {name} does not hold the {about['count']} pictures it should")
        more = {"mirrors": facts["mirrors"], "notes": tuple(facts["notes"]), "digest": facts["fingerprint"]}
        return Splits(facts["name"], parts["train"], parts["val"], parts.get("test"), **more)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: not a whole index ({error}). Make it again") from None


def _files(pictures: Pictures, name: str) -> tuple[Path, Sequence[str]]:
    """Root and names of picture files."""
    if isinstance(pictures, Files):
        return pictures.root, pictures.keys
    if isinstance(pictures, Subset):
        root, keys = _files(pictures.source, name)
        return root, Taken(keys, pictures.indices)
    raise DataError(f"{name}: its pictures are no files of their own, so there is nothing to index")


def _joined(names: Iterable[str]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    encoded = [os.fsencode(name) for name in names]
    ends = np.cumsum([len(name) for name in encoded], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), np.uint8), ends
