"""The splits that DATA has of its own, wherever its images are stored."""

from __future__ import annotations

import difflib
from pathlib import Path

import numpy as np

from resnext.data import archives, hf_datasets
from resnext.data.columns import LABEL_COLUMNS, SPLIT_BY_NAME
from resnext.data.decode import DataError
from resnext.data.folders import ANNOTATIONS, read_annotations, read_folder
from resnext.data.images import ImageDataset
from resnext.data.index import is_index, read_index
from resnext.data.labels_beside import read_labels_beside, read_metadata
from resnext.data.layouts import find_splits, folders_beside_splits, has_images, innermost, is_unlabelled
from resnext.data.repeats import check_apart
from resnext.data.splits import divide
from resnext.data.stored_images import ImageArrays, ImageFiles
from resnext.data.tables import column_names, read_shards, read_table
from resnext.names import encodable, printable

#: A split of which no image has a label. Only that is told: nothing asks for its images.
NO_LABELS = ImageFiles(Path(), (), np.empty(0, np.int64), ())
#: What can be given as DATA, in a few words.
DATA_KINDS = (
    "Give a folder of class folders, as in DATA/cat/1.jpg, a table (.parquet, .csv), an .index or `digits`"
)

SplitsByName = dict[str | None, ImageDataset]


def read_stored_splits(data: str) -> SplitsByName:
    """Images of `data` by name of the split, or all of them under None where it has no splits.

    Raises:
        DataError: If the data set cannot be read.
        OSError: If one of its files or folders cannot.
        SourceMissing: If it needs the library `datasets`, which is not installed.
    """
    if data == "digits":
        return _read_digits()
    if hf_datasets.is_supported(data):
        return hf_datasets.read_splits_by_name(data)
    if archives.is_supported(data):
        return archives.read_splits_by_name(data)
    path = Path(data)
    if is_index(path):
        indexed = read_index(path)
        for _, images in indexed.items():
            images.notes = indexed.notes
        return dict(indexed.items())
    if not path.exists():
        raise _no_such_data(data)
    if path.is_file():
        return read_table(path)
    if not path.is_dir():
        raise DataError(f"{path}: is a pipe, socket or device; give a folder or a file")
    if (path / "metrics.jsonl").exists() and (path / "config.toml").exists():
        raise DataError(f"{path}: is the folder of a run; give the folder of its images")
    if encodable(data) != data:
        raise DataError(f"{printable(data)}: the name of this folder is not UTF-8; rename it")
    found = find_splits(path)
    if not found:
        return read_metadata(path) or {None: read_folder(path)}
    splits: SplitsByName = {split: _read_found_split(split, paths, found) for split, paths in found.items()}
    if not all(paths[0].is_dir() for paths in found.values()):  # a table can name any file
        check_apart(splits, path)
    return splits


def check_data(data: str) -> None:
    """Raise `DataError` if `data` is a path where there is nothing. Nothing is read; it needs no torch."""
    named = data == "digits" or archives.is_supported(data) or hf_datasets.is_supported(data)
    if not named and not Path(data).exists():
        raise _no_such_data(data)


def _no_such_data(data: str) -> DataError:
    """The error for a path where there is nothing, with the likeliest mistake."""
    if "://" in data:
        return DataError(f"{data}: addresses are not read; download it first, and give the folder")
    parent = Path(data).parent
    siblings = [path.name for path in parent.iterdir()] if parent.is_dir() else []
    similar = difflib.get_close_matches(Path(data).name, [*siblings, "digits"], n=1)
    hint = f"Is it {similar[0]!r}?" if similar else f"{DATA_KINDS}, or the set on the hub as hf:owner/name"
    return DataError(f"{data}: there is no such folder or file. {hint}")


def _read_found_split(split: str, paths: list[Path], found: dict[str, list[Path]]) -> ImageDataset:
    """The images of one split: a folder, or one or more tables."""
    if not paths[0].is_dir():
        return NO_LABELS if split == "test" and _lacks_labels(paths, found) else read_shards(paths)
    folder = innermost(paths[0])
    if named := next(filter(None, map(read_metadata, dict.fromkeys((paths[0], folder)))), None):
        return _of_split(named, split, folder)
    if is_unlabelled(folder):
        if (folder / ANNOTATIONS).is_file():
            return read_annotations(folder)
        if named := read_labels_beside(paths[0]):
            return _of_split(named, split, paths[0])
        if split == "test" and "train" in found:
            return NO_LABELS
    return _read_class_folders(folder, found)


def _lacks_labels(test: list[Path], found: dict[str, list[Path]]) -> bool:
    """Whether the tables of train have labels and those of test none: a column less, and none that is called
    like labels."""
    if not all(path.is_file() for path in found.get("train", [Path()])):
        return False
    own, of_train = (set(column_names(paths[0])) for paths in (test, found["train"]))
    return own < of_train and not {name.lower() for name in own} & {*LABEL_COLUMNS}


def _of_split(named: SplitsByName, split: str, folder: Path) -> ImageDataset:
    """The images of `split` in its folder, which a table names. Raises `DataError` if it names others."""
    if others := [str(name) for name in named if name not in (None, split)]:
        raise DataError(
            f"{folder}: is {split} by its name, but {others[0]} by the column split of the table that names "
            "its images; remove the column, or give the table alone"
        )
    return next(iter(named.values()))


def _read_class_folders(folder: Path, found: dict[str, list[Path]]) -> ImageDataset:
    try:
        return read_folder(folder)
    except DataError as error:
        others = folders_beside_splits(folder.parent, [paths[0] for paths in found.values()])
        if others and has_images(folder) and folder.name.lower() in SPLIT_BY_NAME:
            raise DataError(
                f"{error}. Is it a class, as {printable(others[0])} is? By its name it is taken for a split: "
                f"call it {folder.name}s, or any other name"
            ) from None
        raise


def _read_digits() -> SplitsByName:
    """scikit-learn's 1,797 scanned digits of 8x8 pixels: 1,077 train, 180 val, 540 test."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = ImageArrays(
        np.rint(digits.images * (255 / 16)).astype(np.uint8),
        digits.target.astype(np.int64),
        tuple(str(i) for i in range(10)),
    )
    train, val, test = divide(images, 180, 540)
    return {"train": train, "val": val, "test": test}
