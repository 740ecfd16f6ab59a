"""Tables as images: Parquet and CSV files, and any Arrow table with an image and a label column."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.images import EncodedImages, ImageDataset, ImageFiles, Labels

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


def read_table(path: Path) -> dict[str | None, ImageDataset]:
    """The images of one Parquet or CSV file.

    Returns:
        Images by name of the split if the table has a column `split`, else all of them under None.

    Raises:
        DataError: If the table cannot be read or lacks a column.
    """
    table = _load(path)
    images = images_from_table(table, path)
    column = next((name for name in table.column_names if name.lower() == "split"), None)
    if column is None:
        return {None: images}
    names = np.array([str(value).lower() for value in table[column].to_pylist()])
    if unknown := set(names.tolist()) - SPLIT_BY_NAME.keys():
        raise DataError(
            f"{path}: column split holds {sorted(unknown)[0]!r}; known are {', '.join(SPLIT_BY_NAME)}"
        )
    splits = np.array([SPLIT_BY_NAME[name] for name in names])
    return {split: images.select(np.flatnonzero(splits == split)) for split in np.unique(splits).tolist()}


def read_shards(paths: list[Path]) -> ImageDataset:
    """The images of one split that is stored as several tables.

    Raises:
        DataError: If a table cannot be read, or their columns differ.
    """
    tables = [_load(path) for path in paths]
    try:
        return images_from_table(pa.concat_tables(tables), paths[0])
    except pa.ArrowInvalid as error:
        raise DataError(f"{paths[0]}: its shards do not fit together ({error})") from None


def _load(path: Path) -> pa.Table:
    if path.suffix not in TABLE_SUFFIXES:
        raise DataError(f"{path}: a table must end in {' or '.join(TABLE_SUFFIXES)}")
    try:
        if path.suffix == ".parquet":
            table = pq.read_table(path)
            if table.num_rows == 0:
                raise DataError(f"{path}: has no rows")
            return table
        with open(path, newline="", encoding="utf-8-sig") as file:
            rows = list(csv.DictReader(file))
    except PermissionError:
        raise DataError(f"{path}: no permission to read this file") from None
    except (pa.ArrowInvalid, OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as {path.suffix[1:]} ({error})") from None
    if not rows:
        raise DataError(f"{path}: has no rows under its header line")
    if any(None in row or None in row.values() for row in rows):
        raise DataError(f"{path}: a line has more or fewer fields than the header line")
    return pa.Table.from_pylist(rows)


def images_from_table(table: pa.Table, path: Path) -> ImageDataset:
    """The rows of a table as images: encoded bytes, or paths relative to the folder of the table.

    Args:
        table: Table with an image column (`IMAGE_COLUMNS`) and a label column (`LABEL_COLUMNS`).
        path: File that the table was read from; named in keys and errors.

    Raises:
        DataError: If a column is missing or holds something else.
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
            return EncodedImages(encoded, _row_keys(names, path), labels, classes)
        if paths is None:
            raise DataError(f"{path}: column {image_name} holds neither bytes nor path")
        column = paths
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return EncodedImages(column, _row_keys([None] * len(table), path), labels, classes)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return ImageFiles(path.parent, [str(p) for p in column.to_pylist()], labels, classes)
    raise DataError(f"{path}: column {image_name} holds {column.type}, not bytes or paths")


def find_column(table: pa.Table, known: tuple[str, ...], path: Path, what: str) -> str:
    """Name of the first column of `table` that is one of `known`, in any case.

    Args:
        table: The table.
        known: Accepted names in lower case, the preferred ones first.
        path: File of the table, for the error.
        what: Content of the column, for the error.

    Raises:
        DataError: If no column has such a name.

    >>> find_column(pa.table({"Label": [0]}), LABEL_COLUMNS, Path("pets.csv"), "label")
    'Label'
    """
    for name in known:
        for column in table.column_names:
            if column.lower() == name:
                return str(column)
    raise DataError(
        f"{path}: no {what} column; it has {', '.join(table.column_names)}, and one of "
        f"{', '.join(known)} is needed"
    )


def _row_keys(names: list[str | None], path: Path) -> list[str]:
    """Keys that a person can find: the path in the table, or else the file of the table and the row."""
    return [name or f"{path.name}#{row}" for row, name in enumerate(names)]


def label_column(table: pa.Table, name: str, path: Path) -> tuple[Labels, tuple[str, ...]]:
    """The labels in column `name` of `table`, and the names of their classes in plain string order.

    Args:
        table: The table. Integer labels are replaced by class names where Hugging Face metadata have them.
        name: Name of the label column.
        path: File of the table, for errors.

    Returns:
        Labels as indices into the classes, int64 (rows,), and the classes; these are empty if all rows are
        unlabelled, which the Hugging Face hub writes as -1.

    Raises:
        DataError: If a row has no label or one that the metadata do not name.

    >>> label_column(pa.table({"label": ["dog", "cat", "dog"]}), "label", Path("pets.csv"))
    (array([1, 0, 1]), ('cat', 'dog'))
    """
    column = table[name]
    if pa.types.is_nested(column.type):
        raise DataError(f"{path}: column {name} holds {column.type}, not one label for each image")
    values = column.to_pylist()
    if unlabelled := sum(value is None or value == "" for value in values):
        raise DataError(f"{path}: column {name} has {unlabelled} rows without a label")
    class_names = _class_names(table, name, path)
    if class_names is not None and pa.types.is_integer(column.type):
        if set(values) == {-1}:
            return np.array(values, dtype=np.int64), ()
        if outside := [v for v in values if not 0 <= v < len(class_names)]:
            raise DataError(f"{path}: label {outside[0]} is not one of the {len(class_names)} named classes")
        words = [class_names[v] for v in values]
    else:
        words = [str(v) for v in values]
    classes = tuple(sorted(set(words)))
    position = {word: i for i, word in enumerate(classes)}
    return np.array([position[word] for word in words], dtype=np.int64), classes


def _class_names(table: pa.Table, column: str, path: Path) -> list[str] | None:
    """Class names in the Hugging Face metadata of the table's schema."""
    metadata: dict[bytes, bytes] = table.schema.metadata or {}
    if b"huggingface" not in metadata:
        return None
    try:
        info: dict[str, Any] = json.loads(metadata[b"huggingface"]).get("info") or {}
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: its Hugging Face metadata cannot be read ({error})") from None
    feature = (info.get("features") or {}).get(column) or {}
    names: list[str] | None = feature.get("names")
    return names
