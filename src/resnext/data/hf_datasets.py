"""Data sets of the library `datasets` (extra `hf`): the Hugging Face hub, also as a stream, and folders that
`save_to_disk` has written. Only the hub is asked over the network, and only its sets are kept in a cache."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from resnext.data.columns import SPLIT_BY_NAME
from resnext.data.contents import files_stamp
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.layouts import check_one_each
from resnext.data.streaming import ROWS, STREAM, ImageStream, stream_of_rows
from resnext.data.tables import check_arrow_end, images_from_table
from resnext.errors import ResnextError

#: Prefix of DATA that is a repository of the hub.
HUB = "hf:"
#: Files written by `Dataset.save_to_disk` and `DatasetDict.save_to_disk`.
SAVED_FILES = ("state.json", "dataset_dict.json")
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
    known = {name: SPLIT_BY_NAME[name.lower()] for name in found if name.lower() in SPLIT_BY_NAME}
    if not known:
        raise DataError(f"{data}: has the splits {', '.join(found)}; known are {', '.join(SPLIT_BY_NAME)}")
    check_one_each(data, {split: [n for n in known if known[n] == split] for split in known.values()})
    return {split: found[name] for name, split in known.items()}


def _as_images(dataset: Any, path: Path) -> ImageDataset:
    """A `datasets.Dataset` as images."""
    files = [Path(file["filename"]) for file in dataset.cache_files]
    for file in files:
        check_arrow_end(file)
    table = dataset.with_format("arrow")[:]
    table = table.replace_schema_metadata(dataset.features.arrow_schema.metadata)
    return images_from_table(table, path, files_stamp(files))


def _as_stream(dataset: Any, path: Path) -> ImageStream:
    """A `datasets.IterableDataset` as images."""
    dataset = dataset.with_format("arrow")
    first = next(iter(dataset.iter(1)), None)
    if first is None:
        raise DataError(f"{path}: has no rows")
    about = None if dataset.features is None else dataset.features.arrow_schema.metadata
    images = stream_of_rows(HubRows(dataset, first.schema.with_metadata(about)), path)
    images.notes = (REMOTE_NOTE,)
    return images


@dataclass(frozen=True)
class HubRows:
    """The rows of a `datasets.IterableDataset` whose format is Arrow, from its start, in its order."""

    dataset: Any
    schema: pa.Schema

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns of all rows."""
        return pa.concat_tables(self.batches(*columns))

    def batches(self, *columns: str) -> Iterator[pa.Table]:
        """Some columns, `ROWS` rows at once."""
        # `iter(dataset)` would read only a share of the files in a worker of a DataLoader.
        yield from self.dataset.select_columns(list(columns)).iter(ROWS)


def _root_cause(error: BaseException) -> str:
    """First line of the error that started the chain; it says most."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
