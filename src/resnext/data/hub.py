"""What the library `datasets` reads (extra `hf`): the Hugging Face hub, WebDataset tars, Arrow, streams."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from resnext.data.decode import SUFFIXES, DataError
from resnext.data.pictures import Pictures
from resnext.data.streams import Stream
from resnext.data.tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    SPLIT_NAMES,
    find_column,
    label_column,
    pictures_of,
)

HUB, STREAM = "hf:", "stream:"
#: Suffix of files to the builder of `datasets` that reads them.
BUILDERS = {".tar": "webdataset", ".arrow": "arrow"}
STREAM_BUILDERS = BUILDERS | {".parquet": "parquet"}
#: Files that `Dataset.save_to_disk` and `DatasetDict.save_to_disk` leave.
SAVED = ("state.json", "dataset_dict.json")
#: Rows that a stream decodes from its files in one go.
ROWS = 64


class SourceMissing(Exception):
    """The library that this source needs is not installed."""


def reads(data: str) -> bool:
    """Is `data` for this module?"""
    path = Path(data)
    return data.startswith((HUB, STREAM)) or _is_saved(path) or bool(_files(path, BUILDERS))


def read_parts(data: str) -> dict[str | None, Pictures]:
    """Splits by name, or everything under None. Raises `DataError` or `SourceMissing`."""
    try:
        import datasets
    except ImportError:
        raise SourceMissing(f"{data}: needs the library datasets; pip install 'resnext[hf]'") from None
    streams = data.startswith(STREAM)
    where = data.removeprefix(STREAM)
    read = _stream if streams else _pictures
    try:
        return {split: read(part, Path(where)) for split, part in _open(datasets, where, streams).items()}
    except (DataError, MemoryError):
        raise
    except Exception as error:  # its many readers and protocols share no error of their own
        raise DataError(f"{data}: {_cause(error)}") from error


def _open(datasets: Any, where: str, streams: bool) -> dict[str | None, Any]:
    """Every split as a `Dataset`, or as an `IterableDataset` where `streams`."""
    path = Path(where)
    if where.startswith(HUB):
        name, _, config = where.removeprefix(HUB).partition(":")
        return _known(datasets.load_dataset(name, config or None, streaming=streams), where)
    if _is_saved(path):
        if streams:
            raise DataError(f"{where}: is read from the disk page by page anyway; leave out {STREAM}")
        found = datasets.load_from_disk(where)
        return {None: found} if isinstance(found, datasets.Dataset) else _known(found, where)
    files = _files(path, STREAM_BUILDERS if streams else BUILDERS)
    if not files:
        raise DataError(f"{where}: found no {', '.join(STREAM_BUILDERS)} files there")
    builder = STREAM_BUILDERS[Path(next(iter(files.values()))[0]).suffix]
    named = {split or "whole": paths for split, paths in files.items()}
    found = datasets.load_dataset(builder, data_files=named, streaming=streams)
    return {split: found[split or "whole"] for split in files}


def _is_saved(path: Path) -> bool:
    return any((path / name).is_file() for name in SAVED)


def _known(found: dict[str, Any], data: str) -> dict[str | None, Any]:
    """The splits that have a name of ours; others, such as `unsupervised`, are no business of ours."""
    known = {name: split for split, names in SPLIT_NAMES.items() for name in names}
    parts: dict[str | None, Any] = {known[name]: part for name, part in found.items() if name in known}
    if not parts:
        raise DataError(f"{data}: has the splits {', '.join(found)}; known are {', '.join(known)}")
    return parts


def _files(path: Path, suffixes: dict[str, str]) -> dict[str | None, list[str]]:
    """Files under `path` by the split that a word of their name, or their folder's, says. Beside folders with
    pictures they are but the archives that these came in."""
    if path.is_file():
        return {None: [str(path)]} if path.suffix in suffixes else {}
    folders = [path, *(path / name for names in SPLIT_NAMES.values() for name in names)]
    folders = [folder for folder in folders if folder.is_dir() and not _is_unpacked(folder)]
    parts: dict[str | None, list[str]] = {}
    for suffix in suffixes:
        for file in sorted(f for folder in folders for f in folder.glob(f"*{suffix}")):
            words = re.split(r"[^a-z]+", str(file.relative_to(path)).lower())
            splits = [split for split, names in SPLIT_NAMES.items() if set(names) & set(words)]
            if len(splits) > 1:
                raise DataError(f"{file}: is it {' or '.join(splits)}? Rename it")
            parts.setdefault(splits[0] if splits else None, []).append(str(file))
    if len({Path(file).suffix for files in parts.values() for file in files}) > 1:
        raise DataError(f"{path}: has files of several formats ({', '.join(suffixes)}); keep one")
    if None in parts and len(parts) > 1:
        raise DataError(f"{parts[None][0]}: no word of its name says which split it is")
    return parts


def _is_unpacked(path: Path) -> bool:
    """Is there a picture in any folder of the folder `path`? Not as far as may be read."""
    if not os.access(path, os.R_OK | os.X_OK):
        return False
    folders = [entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    files = (file for folder in folders for _, _, files in os.walk(folder) for file in files)
    return any(Path(file).suffix.lower() in SUFFIXES for file in files)


def _pictures(part: Any, path: Path) -> Pictures:
    table = part.with_format("arrow")[:]
    return pictures_of(table.replace_schema_metadata(part.features.arrow_schema.metadata), path)


def _stream(part: Any, path: Path) -> Stream:
    """Read the labels of a `datasets.IterableDataset` once; pictures come when they are opened."""
    part = part.with_format("arrow")
    first = next(iter(part.iter(1)), None)
    if first is None:
        raise DataError(f"{path}: has no rows")
    image = find_column(first, IMAGE_COLUMNS, path, "picture")
    label = find_column(first, LABEL_COLUMNS, path, "label")
    if not pa.types.is_struct(first[image].type) and not pa.types.is_binary(first[image].type):
        raise DataError(
            f"{path}: column {image} holds {first[image].type}; a stream needs the pictures' bytes"
        )
    key = [name for name in ("__key__",) if name in first.column_names]
    tables = list(part.select_columns([label, *key]).iter(ROWS))
    table = pa.concat_tables(tables)
    if part.features is not None:
        table = table.replace_schema_metadata(part.features.arrow_schema.metadata)
    labels, classes = label_column(table, label, path)
    keys = table[key[0]].to_pylist() if key else [f"{path.name}#{row}" for row in range(len(labels))]
    return Stream(_Reader(part.select_columns([image]), image), keys, np.asarray(labels), classes)


@dataclass(frozen=True)
class _Reader:
    """Reads the encoded pictures of a `datasets.IterableDataset`, from its start, in its order."""

    part: Any
    column: str

    def __call__(self) -> Iterator[bytes | None]:
        # Not `iter(part)`: in a loader's worker that reads a share of the files only.
        for table in self.part.iter(ROWS):
            for value in table[self.column]:
                encoded = value.as_py()
                yield encoded.get("bytes") if isinstance(encoded, dict) else encoded


def _cause(error: BaseException) -> str:
    """The first line of the error that all began with, which says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
