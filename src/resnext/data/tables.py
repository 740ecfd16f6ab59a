"""Tables as images: Parquet, CSV and Arrow files, and any Arrow table with an image and a label column."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.contents import UNKNOWN_STAMP, files_stamp
from resnext.data.csv_files import read_csv
from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.images import ImageDataset, Labels
from resnext.data.labels import describe_rows, find_twice, label_column
from resnext.data.shards import check_shards, lone_shard_note
from resnext.data.stored_images import ColumnImages, ImageFiles
from resnext.files import ordinary
from resnext.names import printable

#: Names of each split in files, folders and columns, in any case.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
#: Split of each of these names.
SPLIT_BY_NAME = {name: split for split, names in SPLIT_NAMES.items() for name in names}
#: Names of the image column. WebDataset names an image by its suffix.
IMAGE_COLUMNS = (
    *("image", "img", "picture", "bytes", "path", "file", "filename", "file_name", "filepath"),
    *sorted(suffix[1:] for suffix in IMAGE_SUFFIXES),
)
#: Names of the label column.
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "fine_label", "cls")
TABLE_SUFFIXES = (".parquet", ".csv")
#: Most columns of a table.
MAX_COLUMNS = 10_000
#: Ends of a line in UTF-16.
UTF16_ENDS = (b"\n\0", b"\r\0")
#: Columns that may say which split an image is of, in a way that is not read.
SPLIT_LIKE_COLUMNS = (
    "is_valid",
    "is_val",
    "is_test",
    "is_train",
    "subset",
    "set",
    "fold",
    "phase",
    "partition",
)
#: Last bytes of an Arrow file: the end of its stream, or its mark if it can be read in any order.
ARROW_ENDS = (b"\xff\xff\xff\xff\0\0\0\0", b"ARROW1")


def read_table(path: Path) -> dict[str | None, ImageDataset]:
    """The images of one Parquet or CSV file.

    Returns:
        Images by name of the split if the table has a column `split`, else all of them under None.

    Raises:
        DataError: If the table cannot be read or lacks a column.
    """
    table = _load(path)
    images = images_from_table(table, path, files_stamp([path]))
    notes = _end_notes([path]) + lone_shard_note(path)
    column = _find_column(table, ("split",), path)
    if column is None:
        images.notes = notes + _unused_split_notes(table, path)
        return {None: images}
    names = np.array([str(value).lower() for value in table[column].to_pylist()])
    if unknown := np.flatnonzero(~np.isin(names, list(SPLIT_BY_NAME))).tolist():
        name, known = str(names[unknown[0]]), ", ".join(SPLIT_BY_NAME)
        raise DataError(
            f"{path}: column {column} holds {name!r} in {describe_rows(unknown)}; known are {known}"
        )
    splits = np.array([SPLIT_BY_NAME[name] for name in names])
    parts: dict[str | None, ImageDataset] = {}
    for split in np.unique(splits).tolist():
        parts[split] = images.select(np.flatnonzero(splits == split))
        parts[split].notes = notes
    return parts


def _unused_split_notes(table: pa.Table, path: Path) -> tuple[str, ...]:
    """A note on each column that looks like splits, in a table without a column `split`."""
    return tuple(
        f"the column {printable(name)} of {printable(path.name)} is not used; if it says which images are "
        "for validation, give the table a column split with train, val and test in place of it"
        for name in table.column_names
        if name.lower() in SPLIT_LIKE_COLUMNS
    )


def read_shards(paths: list[Path]) -> ImageDataset:
    """The images of one split that is stored as several tables.

    Raises:
        DataError: If a table cannot be read or is missing, or their columns differ.
    """
    notes = check_shards(paths) + _end_notes(paths)
    tables = [_load(path) for path in paths]
    try:
        images = images_from_table(pa.concat_tables(tables), paths[0], files_stamp(paths))
    except pa.ArrowException as error:
        raise DataError(f"{paths[0]}: its shards do not fit together ({error})") from None
    images.notes = notes
    return images


def _load(path: Path) -> pa.Table:
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        own = "; images lie in a folder for each class: give the folder of these folders"
        hint = own if suffix in IMAGE_SUFFIXES else ""
        raise DataError(f"{path}: a table must end in {' or '.join(TABLE_SUFFIXES)}{hint}")
    try:
        return _load_parquet(path) if suffix == ".parquet" else _load_csv(path)
    except PermissionError:
        raise DataError(f"{path}: no permission to read this file") from None
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as {suffix[1:]} ({error})") from None


def _load_parquet(path: Path) -> pa.Table:
    with pq.ParquetFile(path) as file:
        _check_names(file.schema_arrow.names, path)
        if file.metadata.num_rows == 0:
            raise DataError(f"{path}: has no rows")
        table = file.read()
    table.validate(full=True)
    return table


def _load_csv(path: Path) -> pa.Table:
    table = read_csv(path, {*IMAGE_COLUMNS, *LABEL_COLUMNS})
    _check_names(table.column_names, path)
    return table


def is_hub_metadata(path: Path) -> bool:
    """Whether `path` is a table that the hub keeps beside images (`metadata.csv`), with their labels."""
    if not path.is_file():
        return False
    table = _load(path)
    return _find_column(table, ("file_name",), path) is not None and (
        _find_column(table, LABEL_COLUMNS, path) is not None
    )


def load_arrow(path: Path) -> pa.Table:
    """The table in an Arrow file, whose columns stay on the disk until they are read.

    Raises:
        DataError: If the file is damaged or cut short.
    """
    check_arrow_end(path)
    try:
        source = pa.memory_map(str(path))
        try:
            table = pa.ipc.open_stream(source).read_all()
        except (OSError, pa.ArrowException):
            table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        _check_names(table.column_names, path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as Arrow ({error})") from None
    return table


def check_arrow_end(path: Path) -> None:
    """Raises `DataError` if an Arrow file does not end as such a file must: cut between two batches, it could
    still be read."""
    try:
        is_whole = read_end(path, 8).endswith(ARROW_ENDS)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    if not is_whole:
        raise DataError(f"{path}: is cut short: its end is missing. Fetch or write it again")


def _check_names(names: Sequence[str], path: Path) -> None:
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path}: has {len(names):,} columns, and at most {MAX_COLUMNS:,} are read")
    if twice := find_twice(names):
        raise DataError(f"{path}: has several columns called {twice!r}; rename or remove all but one")


def _end_notes(paths: Iterable[Path]) -> tuple[str, ...]:
    """A note on each CSV file whose last line has no end: it may be cut short."""
    tables = [path for path in paths if path.suffix.lower() == ".csv"]
    return tuple(
        f"the last line of {printable(path.name)} has no line end: is the file whole?"
        for path in tables
        if read_end(path, 2)[-1:] not in (b"\n", b"\r") and read_end(path, 2) not in UTF16_ENDS
    )


def read_end(path: Path, count: int) -> bytes:
    """The last `count` bytes of a file, or all of them if it has fewer."""
    with open(path, "rb", opener=ordinary) as file:
        file.seek(-min(count, file.seek(0, os.SEEK_END)), os.SEEK_END)
        return file.read()


def images_from_table(table: pa.Table, path: Path, stamp: int = UNKNOWN_STAMP) -> ImageDataset:
    """The rows of a table as images: encoded bytes, or paths relative to the folder of the table.

    Args:
        table: Table with an image column (`IMAGE_COLUMNS`) and a label column (`LABEL_COLUMNS`).
        path: File that the table was read from; named in keys and errors.
        stamp: `files_stamp` of the files that the table was read from.

    Raises:
        DataError: If a column is missing or holds something else, or one file has two labels.
    """
    image_name = find_column(table, IMAGE_COLUMNS, path, "image")
    label_name = find_column(table, LABEL_COLUMNS, path, "label")
    labels, classes = label_column(table, label_name, path)
    column = table[image_name]
    if pa.types.is_struct(column.type):  # the Image feature of Hugging Face
        fields = {column.type.field(i).name: field for i, field in enumerate(column.flatten())}
        paths = fields.get("path")
        encoded = fields.get("bytes")
        if encoded is not None and encoded.null_count < len(encoded):
            names = paths.to_pylist() if paths is not None else [None] * len(table)
            return ColumnImages(encoded, row_keys(names, path), labels, classes, stamp)
        if paths is None:
            raise DataError(f"{path}: column {image_name} holds neither bytes nor path")
        column = paths
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return ColumnImages(column, row_keys([None] * len(table), path), labels, classes, stamp)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        keys = column.to_pylist()
        if unnamed := [row for row, key in enumerate(keys) if not key]:
            raise DataError(f"{path}: column {image_name} names no image in {describe_rows(unnamed)}")
        keys = _with_slashes(keys, path.parent)
        _check_one_label_each(keys, labels, classes, path)
        return ImageFiles(path.parent, keys, labels, classes)
    raise DataError(f"{path}: column {image_name} holds {column.type}, not bytes or paths")


def _with_slashes(keys: list[str], folder: Path) -> list[str]:
    """`keys` with the slashes of this system, where they were written on Windows: as given there are no such
    files, and with slashes there are."""
    written = next((key for key in keys if "\\" in key), None)
    if written is None or os.path.exists(folder / written):  # Path.exists raises where a text is no name
        return keys
    slashed = [key.replace("\\", "/") for key in keys]
    return slashed if any(os.path.exists(folder / key) for key in slashed) else keys


def _check_one_label_each(keys: list[str], labels: Labels, classes: tuple[str, ...], path: Path) -> None:
    """Raises `DataError` if two rows name the same file and different classes."""
    first_row: dict[str, int] = {}
    for row, key in enumerate(keys):
        other = first_row.setdefault(key, row)
        if labels[other] != labels[row]:
            raise DataError(
                f"{path}: {printable(key)} is {classes[labels[other]]!r} in row {other} and "
                f"{classes[labels[row]]!r} in {describe_rows([row])}; an image has one label"
            )


def find_column(table: pa.Table, known: tuple[str, ...], path: Path, what: str) -> str:
    """Name of the first column of `table` that is one of `known`, in any case.

    Args:
        table: The table.
        known: Accepted names in lower case, the preferred ones first.
        path: File of the table, for the error.
        what: Content of the column, for the error.

    Raises:
        DataError: If no column has such a name, or two have the same but for their case.

    >>> find_column(pa.table({"Label": [0]}), LABEL_COLUMNS, Path("pets.csv"), "label")
    'Label'
    """
    if (found := _find_column(table, known, path)) is not None:
        return found
    raise DataError(
        f"{path}: no {what} column; it has {_some(table.column_names)}, and one of "
        f"{', '.join(known)} is needed"
    )


def _find_column(table: pa.Table, known: tuple[str, ...], path: Path) -> str | None:
    for name in known:
        found = [str(column) for column in table.column_names if column.lower() == name]
        if len(found) > 1:
            raise DataError(f"{path}: has the columns {' and '.join(found)}; rename or remove all but one")
        if found:
            return found[0]
    return None


def _some(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return printable(", ".join(names[:limit])) + more


def row_keys(names: Sequence[str | None], path: Path) -> list[str]:
    """Keys that a person can find: the path in the table, or else the file of the table and the row."""
    return [name or f"{path.name}#{row}" for row, name in enumerate(names)]
