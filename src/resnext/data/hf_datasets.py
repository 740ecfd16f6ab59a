"""Data sets of the library `datasets` (extra `hf`): Hugging Face hub, WebDataset tars, Arrow, streams."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.images import ImageDataset
from resnext.data.streaming import ImageStream
from resnext.data.tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    SPLIT_BY_NAME,
    SPLIT_NAMES,
    find_column,
    images_from_table,
    label_column,
)
from resnext.errors import ResnextError

#: Prefixes of DATA: a repository of the hub, and a data set to stream.
HUB, STREAM = "hf:", "stream:"
#: Builder of `datasets` that reads files of each suffix.
BUILDERS = {".tar": "webdataset", ".arrow": "arrow"}
STREAM_BUILDERS = BUILDERS | {".parquet": "parquet"}
#: Files written by `Dataset.save_to_disk` and `DatasetDict.save_to_disk`.
SAVED_FILES = ("state.json", "dataset_dict.json")
#: Rows that a stream reads from its files at once.
ROWS = 64


class SourceMissing(ResnextError):
    """The library that this data set needs is not installed."""

    exit_code = 5


def is_supported(data: str) -> bool:
    """Whether this module reads `data`.

    >>> is_supported("hf:cifar10"), is_supported("digits")
    (True, False)
    """
    path = Path(data)
    return data.startswith((HUB, STREAM)) or _is_saved(path) or bool(_files_by_split(path, BUILDERS))


def read_splits_by_name(data: str) -> dict[str | None, ImageDataset]:
    """Images of `data` by name of the split, or all of them under None where it has no splits.

    Raises:
        DataError: If the data set cannot be read.
        SourceMissing: If the library `datasets` is not installed.
    """
    try:
        import datasets
    except ImportError:
        raise SourceMissing(f"{data}: needs the library datasets; pip install 'resnext[hf]'") from None
    streaming = data.startswith(STREAM)
    where = data.removeprefix(STREAM)
    convert = _as_stream if streaming else _as_images
    try:
        found = _open(datasets, where, streaming)
        return {split: convert(dataset, Path(where)) for split, dataset in found.items()}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # the many readers and protocols of `datasets` have no common error class
        raise DataError(f"{data}: {_root_cause(error)}") from error


def _open(datasets: Any, where: str, streaming: bool) -> dict[str | None, Any]:
    """Each split as a `Dataset`, or as an `IterableDataset` if `streaming`."""
    path = Path(where)
    if where.startswith(HUB):
        name, _, config = where.removeprefix(HUB).partition(":")
        return _known_splits(datasets.load_dataset(name, config or None, streaming=streaming), where)
    if _is_saved(path):
        if streaming:
            raise DataError(f"{where}: is read from the disk page by page anyway; leave out {STREAM}")
        found = datasets.load_from_disk(where)
        return {None: found} if isinstance(found, datasets.Dataset) else _known_splits(found, where)
    files = _files_by_split(path, STREAM_BUILDERS if streaming else BUILDERS)
    if not files:
        raise DataError(f"{where}: found no {', '.join(STREAM_BUILDERS)} files there")
    builder = STREAM_BUILDERS[Path(next(iter(files.values()))[0]).suffix]
    named_files = {split or "whole": paths for split, paths in files.items()}
    found = datasets.load_dataset(builder, data_files=named_files, streaming=streaming)
    return {split: found[split or "whole"] for split in files}


def _is_saved(path: Path) -> bool:
    return any((path / name).is_file() for name in SAVED_FILES)


def _known_splits(found: dict[str, Any], data: str) -> dict[str | None, Any]:
    """The train, val and test splits; others, such as `unsupervised`, are ignored."""
    splits: dict[str | None, Any] = {
        SPLIT_BY_NAME[name]: dataset for name, dataset in found.items() if name in SPLIT_BY_NAME
    }
    if not splits:
        raise DataError(f"{data}: has the splits {', '.join(found)}; known are {', '.join(SPLIT_BY_NAME)}")
    return splits


def _files_by_split(path: Path, suffixes: dict[str, str]) -> dict[str | None, list[str]]:
    """Files under `path`, by the split that a word in the name of the file or its folder says.

    Files beside class folders with images are ignored: they are the archives that the images came in.
    """
    if path.is_file():
        return {None: [str(path)]} if path.suffix in suffixes else {}
    folders = [path, *(path / name for names in SPLIT_NAMES.values() for name in names)]
    folders = [folder for folder in folders if folder.is_dir() and not _has_class_folders(folder)]
    by_split: dict[str | None, list[str]] = {}
    for suffix in suffixes:
        for file in sorted(f for folder in folders for f in folder.glob(f"*{suffix}")):
            words = re.split(r"[^a-z]+", str(file.relative_to(path)).lower())
            splits = [split for split, names in SPLIT_NAMES.items() if set(names) & set(words)]
            if len(splits) > 1:
                raise DataError(f"{file}: is it {' or '.join(splits)}? Rename it")
            by_split.setdefault(splits[0] if splits else None, []).append(str(file))
    if len({Path(file).suffix for files in by_split.values() for file in files}) > 1:
        raise DataError(f"{path}: has files of several formats ({', '.join(suffixes)}); keep one")
    if None in by_split and len(by_split) > 1:
        raise DataError(f"{by_split[None][0]}: no word of its name says which split it is")
    return by_split


def _has_class_folders(path: Path) -> bool:
    """Whether a folder in `path` holds an image at any depth; False if `path` may not be read."""
    if not os.access(path, os.R_OK | os.X_OK):
        return False
    folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    files = (file for folder in folders for _, _, files in os.walk(folder) for file in files)
    return any(Path(file).suffix.lower() in IMAGE_SUFFIXES for file in files)


def _as_images(dataset: Any, path: Path) -> ImageDataset:
    """A `datasets.Dataset` as images."""
    table = dataset.with_format("arrow")[:]
    return images_from_table(table.replace_schema_metadata(dataset.features.arrow_schema.metadata), path)


def _as_stream(dataset: Any, path: Path) -> ImageStream:
    """A `datasets.IterableDataset` as images: its labels are read now, its images when they are opened."""
    dataset = dataset.with_format("arrow")
    first = next(iter(dataset.iter(1)), None)
    if first is None:
        raise DataError(f"{path}: has no rows")
    image_name = find_column(first, IMAGE_COLUMNS, path, "image")
    label_name = find_column(first, LABEL_COLUMNS, path, "label")
    image_type = first[image_name].type
    if not pa.types.is_struct(image_type) and not pa.types.is_binary(image_type):
        raise DataError(f"{path}: column {image_name} holds {image_type}; a stream needs the images' bytes")
    key_names = [name for name in ("__key__",) if name in first.column_names]
    table = pa.concat_tables(list(dataset.select_columns([label_name, *key_names]).iter(ROWS)))
    if dataset.features is not None:
        table = table.replace_schema_metadata(dataset.features.arrow_schema.metadata)
    labels, classes = label_column(table, label_name, path)
    keys = (
        table[key_names[0]].to_pylist() if key_names else [f"{path.name}#{row}" for row in range(len(labels))]
    )
    reader = _ColumnReader(dataset.select_columns([image_name]), image_name)
    return ImageStream(reader, keys, np.asarray(labels), classes)


@dataclass(frozen=True)
class _ColumnReader:
    """Reads the encoded images of a `datasets.IterableDataset` from its start, in its order."""

    dataset: Any
    column: str

    def __call__(self) -> Iterator[bytes | None]:
        # `iter(dataset)` would read only a share of the files in a worker of a DataLoader.
        for table in self.dataset.iter(ROWS):
            for value in table[self.column]:
                encoded = value.as_py()
                yield encoded.get("bytes") if isinstance(encoded, dict) else encoded


def _root_cause(error: BaseException) -> str:
    """First line of the error that started the chain; it says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
