"""Data sets of the library `datasets` (extra `hf`): the Hugging Face hub, also as a stream, and folders that
`save_to_disk` has written. Only the hub is asked over the network, and only its sets are kept in a cache."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from resnext.data.contents import files_stamp
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.labels import label_column
from resnext.data.streaming import STREAM, ImageStream
from resnext.data.tables import (
    IMAGE_COLUMNS,
    LABEL_COLUMNS,
    SPLIT_BY_NAME,
    check_arrow_end,
    find_column,
    images_from_table,
)
from resnext.errors import ResnextError

#: Prefix of DATA that is a repository of the hub.
HUB = "hf:"
#: Files written by `Dataset.save_to_disk` and `DatasetDict.save_to_disk`.
SAVED_FILES = ("state.json", "dataset_dict.json")
#: Rows that a stream reads from its files at once.
ROWS = 64
#: What is not checked of a stream from the hub.
REMOTE_NOTE = "of a stream from the hub, files that were cut short or changed since would not be noticed"


class SourceMissing(ResnextError):
    """The library that this data set needs is not installed."""

    exit_code = 5


def is_supported(data: str) -> bool:
    """Whether this module reads `data`.

    >>> is_supported("hf:cifar10"), is_supported("digits")
    (True, False)
    """
    where = data.removeprefix(STREAM)
    return where.startswith(HUB) or _is_saved(Path(where))


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
    if where.startswith(HUB):
        name, _, config = where.removeprefix(HUB).partition(":")
        return _known_splits(datasets.load_dataset(name, config or None, streaming=streaming), where)
    if streaming:
        raise DataError(f"{where}: is read from the disk page by page anyway; leave out {STREAM}")
    found = datasets.load_from_disk(where)
    return {None: found} if isinstance(found, datasets.Dataset) else _known_splits(found, where)


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


def _as_images(dataset: Any, path: Path) -> ImageDataset:
    """A `datasets.Dataset` as images."""
    files = [Path(file["filename"]) for file in dataset.cache_files]
    for file in files:
        check_arrow_end(file)
    table = dataset.with_format("arrow")[:]
    table = table.replace_schema_metadata(dataset.features.arrow_schema.metadata)
    return images_from_table(table, path, files_stamp(files))


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
    images = ImageStream(reader, keys, np.asarray(labels), classes)
    images.notes = (REMOTE_NOTE,)
    return images


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
