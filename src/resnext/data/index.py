"""An index: names, labels, sizes and digests of the files of a data set, and what a scan of them found.

It is made once, for sets that take minutes to list and hours to scan. It is a folder of flat arrays that are
opened by memory map: ten million images open at once, and processes share one copy.

An index is believed as far as it can be checked: its own files by a digest, and those of the images, all or a
sample, by sizes and times; an image whose file has another time is read and compared.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from resnext.contract import GreyRange
from resnext.data.contents import Contents
from resnext.data.decode import BadImage, DataError
from resnext.data.grey import GreyValues
from resnext.data.images import NOT_BLANK, Blank, ImageDataset, ImageSubset, NameView, Scan
from resnext.data.index_checks import check_bounds, check_files, check_types, leads_out
from resnext.data.npy_files import map_array
from resnext.data.splits import Splits, fingerprint
from resnext.data.stored_images import ImageFiles
from resnext.files import ordinary
from resnext.parsing import build, read_json, show

INDEX_SUFFIX, SCHEMA = ".index", 3
#: File in the folder of an index that describes its splits.
INDEX_FILE = "index.json"
#: Arrays of each split and their types, by schema. They have one entry for each image, `text` one for each
#: byte.
_ARRAYS_1 = {
    "text": np.uint8,
    "ends": np.int64,
    "labels": np.int64,
    "sizes": np.int64,
    "shorter_px": np.int64,
}
_ARRAYS_2: dict[str, Any] = _ARRAYS_1 | {"times": np.int64, "digests": np.uint64}
ARRAYS: dict[int, dict[str, Any]] = {1: _ARRAYS_1, 2: _ARRAYS_2, 3: _ARRAYS_2}
#: Facts of a scan that indexes know since schema 3.
_FACTS_3 = ("grey_values", "grey", "blank")
#: What an index of each earlier schema cannot tell.
OLD_NOTE = (
    "the index is of an earlier version, by which changed images of equal size are not noticed: make it again"
)
OLD_NOTES = {
    1: OLD_NOTE,
    2: "the index is of an earlier version, which judged each grey image of more than 8 bits alone: if it "
    "has such images, make it again",
}


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


@dataclass(frozen=True)
class ScanFacts:
    """What the scan of a split found, but for its arrays: see `Scan`."""

    bad: dict[str, tuple[str, str]]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    grey_values: GreyValues | None = None
    grey: GreyRange | None = None
    blank: Blank = NOT_BLANK


@dataclass(frozen=True)
class SplitFacts:
    """A split: the folder that names are relative to, the number of images, and what the scan found.

    `inside` says that no name leads out of the folder: those of a table may, and an earlier version did not
    say.
    """

    root: str
    count: int
    known: ScanFacts
    inside: bool = False


@dataclass(frozen=True)
class IndexFacts:
    """index.json. `digest` is that of all else in it and of all arrays; an earlier version had none."""

    schema: int
    name: str
    classes: tuple[str, ...]
    splits: dict[str, SplitFacts]
    mirrors: bool
    notes: tuple[str, ...]
    fingerprint: str
    digest: str = ""


class IndexedFiles(ImageFiles):
    """The images of one split of an index.

    Args:
        folder: Folder of the index.
        split: Name of the split.
        facts: What index.json says of it.
        classes: Names of the classes.
        schema: Version of the index.
    """

    def __init__(
        self, folder: Path, split: str, facts: SplitFacts, classes: tuple[str, ...], schema: int
    ) -> None:
        self.folder, self.split, self.facts, self.schema = folder, split, facts, schema
        self.arrays: dict[str, NDArray[Any]] = {
            name: map_array(folder / f"{split}.{name}.npy") for name in ARRAYS[schema]
        }
        names = PackedNames(self.arrays["text"], self.arrays["ends"])
        super().__init__(Path(facts.root), names, self.arrays["labels"], classes)
        known, shorter_px = facts.known, self.arrays["shorter_px"]
        bad = {int(i): BadImage(*error) for i, error in known.bad.items()}
        contents = Contents(self.arrays["digests"], self.arrays["times"]) if schema > 1 else None
        deep = known.grey_values, known.grey
        self.known_scan = Scan(bad, shorter_px, known.mean, known.std, contents, *deep, known.blank)

    def stored_size(self, index: int) -> int:
        return int(self.arrays["sizes"][index])

    def stamp(self, index: int) -> int:
        return int(self.arrays["times"][index]) if self.schema > 1 else super().stamp(index)

    def __reduce__(self) -> tuple[Any, ...]:  # another process maps the files itself
        made_from = self.folder, self.split, self.facts, self.classes, self.schema
        return IndexedFiles, made_from, {"grey": self.grey}


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
        raise DataError(
            f"{folder}: the name of an index must end in {INDEX_SUFFIX}, as in {folder.stem}{INDEX_SUFFIX}"
        )
    if folder.exists():
        raise DataError(f"{folder}: exists already; remove it, or choose another name")
    files = {name: _root_and_names(images, splits.name) for name, images in splits.items()}
    temporary = folder.with_name(folder.name + ".part")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    for name, images in splits.items():
        for array, values in _arrays(images, scans[name], files[name][1]).items():
            np.save(temporary / f"{name}.{array}.npy", np.asarray(values, ARRAYS[SCHEMA][array]))
    facts = IndexFacts(
        SCHEMA,
        splits.name,
        splits.classes,
        {name: _split_facts(root, names, scans[name]) for name, (root, names) in files.items()},
        splits.allows_flips,
        splits.notes,
        fingerprint(splits),
    )
    facts = replace(facts, digest=_digest(temporary, facts))
    (temporary / INDEX_FILE).write_text(json.dumps(asdict(facts), indent=2) + "\n", encoding="utf-8")
    os.replace(temporary, folder)


def _arrays(images: ImageDataset, scan: Scan, names: Sequence[str]) -> dict[str, Any]:
    if scan.contents is None:
        raise DataError(
            "an index of an earlier version says too little for a new one; give its folder of images"
        )
    text, ends = _pack(names)
    return {
        "text": text,
        "ends": ends,
        "labels": images.labels,
        "sizes": np.fromiter((images.stored_size(i) for i in range(len(images))), np.int64, len(images)),
        "shorter_px": scan.shorter_px,
        "times": scan.contents.stamps,
        "digests": scan.contents.digests,
    }


def _split_facts(root: Path, names: Sequence[str], scan: Scan) -> SplitFacts:
    bad = {str(i): (error.key, error.reason) for i, error in scan.bad.items()}
    known = ScanFacts(bad, scan.mean, scan.std, scan.grey_values, scan.grey, scan.blank)
    return SplitFacts(str(root.resolve()), len(names), known, inside=not any(map(leads_out, names)))


def read_index(folder: Path) -> Splits:
    """The data set whose index is the folder `folder`, compared with its files.

    Raises:
        DataError: If the index is damaged or of another version, or if its images have been moved or changed.
    """
    splits = open_index(folder)
    notes = check_files(dict(splits.items()), int(str(splits.known_fingerprint), 16), str(folder))
    return replace(splits, notes=splits.notes + notes)


def open_index(folder: Path) -> Splits:
    """As `read_index`, but without a look at the files of the images.

    Raises:
        DataError: If the index is damaged or of another version, or if its images have been moved.
    """
    try:
        value = read_json(folder / INDEX_FILE)
        if value["schema"] not in ARRAYS:
            raise DataError(
                f"{folder}: schema {value['schema']!r}; this version reads up to {SCHEMA}. Make it again"
            )
        facts = build(IndexFacts, value, INDEX_FILE)
        if facts.schema > 1 and facts.digest != _digest(folder, facts):
            raise ValueError("its digest is another: one of its files was changed or damaged")
        return _open_splits(folder, facts)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder}: not a complete index ({error}). Make it again") from None


def _open_splits(folder: Path, facts: IndexFacts) -> Splits:
    if len(set(facts.classes)) < len(facts.classes):
        raise ValueError("two of its classes have one name")
    if not re.fullmatch("[0-9a-f]{16}", facts.fingerprint):
        raise ValueError("its fingerprint is not one of 16 hexadecimal digits")
    splits = {name: _open_split(folder, name, split, facts) for name, split in facts.splits.items()}
    found = Splits(
        facts.name,
        splits["train"],
        splits["val"],
        splits.get("test"),
        allows_flips=facts.mirrors,
        notes=facts.notes + tuple(note for schema, note in OLD_NOTES.items() if schema == facts.schema),
    )
    if facts.schema == 1 and facts.fingerprint != fingerprint(found):  # it has no digest
        raise ValueError("its fingerprint is that of other names, labels or sizes")
    return replace(found, known_fingerprint=facts.fingerprint)


def _open_split(folder: Path, name: str, facts: SplitFacts, index: IndexFacts) -> IndexedFiles:
    if not os.path.isdir(facts.root):
        raise DataError(f"{folder}: its images were in {show(facts.root)}, which is not there. Make it again")
    images = IndexedFiles(folder, name, facts, index.classes, index.schema)
    check_types(images.arrays, ARRAYS[index.schema], facts.count)
    assert images.known_scan is not None
    check_bounds(images.arrays, images.known_scan, len(index.classes), facts.inside)
    return images


def _digest(folder: Path, facts: IndexFacts) -> str:
    """Digest of an index: of its facts, and of its arrays as they lie in `folder`."""

    def digest_file(name: str) -> str:
        with open(folder / name, "rb", opener=ordinary) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    names = [f"{split}.{array}.npy" for split in facts.splits for array in ARRAYS[facts.schema]]
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(digest_file, names))
    value = asdict(replace(facts, digest=""))
    for split in value["splits"].values() if facts.schema < 3 else ():
        for name in _FACTS_3:
            del split["known"][name]
    text = json.dumps([value, names, digests], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
