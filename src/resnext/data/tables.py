"""Tables to pictures: Parquet and CSV files, and any Arrow table with a picture and a label column."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.decode import SUFFIXES, DataError
from resnext.data.pictures import Encoded, Files, Labels, Pictures

#: Names that a split goes by, in small letters or others.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
#: Names that columns go by; WebDataset calls a picture by its suffix.
IMAGE_COLUMNS = (
    *("image", "img", "picture", "bytes", "path", "file", "filename", "file_name", "filepath"),
    *sorted(suffix[1:] for suffix in SUFFIXES),
)
LABEL_COLUMNS = ("label", "labels", "class", "class_name", "category", "target", "fine_label", "cls")
TABLE_SUFFIXES = (".parquet", ".csv")


def read_table(path: Path) -> dict[str | None, Pictures]:
    """A table alone: by its `split` column where it has one."""
    table = _load(path)
    whole = pictures_of(table, path)
    split = next((name for name in table.column_names if name.lower() == "split"), None)
    if split is None:
        return {None: whole}
    column = np.array([str(v).lower() for v in table[split].to_pylist()])
    known = {name: split for split, names in SPLIT_NAMES.items() for name in names}
    if unknown := set(column.tolist()) - known.keys():
        raise DataError(f"{path}: column split holds {sorted(unknown)[0]!r}; known are {', '.join(known)}")
    splits = np.array([known[v] for v in column])
    return {name: whole.select(np.flatnonzero(splits == name)) for name in np.unique(splits).tolist()}


def read_shards(paths: list[Path]) -> Pictures:
    tables = [_load(path) for path in paths]
    try:
        return pictures_of(pa.concat_tables(tables), paths[0])
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
        raise DataError(f"{path}: no rows under its head line")
    if any(None in row or None in row.values() for row in rows):
        raise DataError(f"{path}: a line has more or fewer fields than the head line")
    return pa.Table.from_pylist(rows)


def pictures_of(table: pa.Table, path: Path) -> Pictures:
    """The rows of `table`, which was read from `path`. Raises `DataError`."""
    image_name = find_column(table, IMAGE_COLUMNS, path, "picture")
    label_name = find_column(table, LABEL_COLUMNS, path, "label")
    labels, classes = label_column(table, label_name, path)
    image = table[image_name]
    if pa.types.is_struct(image.type):  # the Hugging Face Image feature
        struct = {image.type.field(i).name: part for i, part in enumerate(image.flatten())}
        paths = struct.get("path")
        encoded = struct.get("bytes")
        if encoded is not None and encoded.null_count < len(encoded):
            keys = paths.to_pylist() if paths is not None else [None] * len(table)
            return Encoded(encoded, _unique(keys, path), labels, classes)
        if paths is None:
            raise DataError(f"{path}: column {image_name} holds neither bytes nor path")
        image = paths
    if pa.types.is_binary(image.type) or pa.types.is_large_binary(image.type):
        return Encoded(image, _unique([None] * len(table), path), labels, classes)
    if pa.types.is_string(image.type) or pa.types.is_large_string(image.type):
        return Files(path.parent, [str(p) for p in image.to_pylist()], labels, classes)
    raise DataError(f"{path}: column {image_name} holds {image.type}, not bytes or paths")


def find_column(table: pa.Table, known: tuple[str, ...], path: Path, what: str) -> str:
    for name in known:
        for column in table.column_names:
            if column.lower() == name:
                return str(column)
    raise DataError(
        f"{path}: no {what} column; it has {', '.join(table.column_names)}, and one of "
        f"{', '.join(known)} is needed"
    )


def _unique(keys: list[str | None], path: Path) -> list[str]:
    """Keys that a person can find: the path in the table, or the table's name and the row."""
    return [key or f"{path.name}#{row}" for row, key in enumerate(keys)]


def label_column(table: pa.Table, name: str, path: Path) -> tuple[Labels, tuple[str, ...]]:
    """Each row's place among the classes, and these; no classes where all rows are unlabelled, which the hub
    writes as -1."""
    column = table[name]
    if pa.types.is_nested(column.type):
        raise DataError(f"{path}: column {name} holds {column.type}, not one label a picture")
    values = column.to_pylist()
    if unlabelled := sum(value is None or value == "" for value in values):
        raise DataError(f"{path}: column {name} has {unlabelled} rows without a label")
    names = _feature_names(table, name, path)
    if names is not None and pa.types.is_integer(column.type):
        if set(values) == {-1}:
            return np.array(values, dtype=np.int64), ()
        if outside := [v for v in values if not 0 <= v < len(names)]:
            raise DataError(f"{path}: label {outside[0]} is not one of the {len(names)} named classes")
        words = [names[v] for v in values]
    else:
        words = [str(v) for v in values]
    classes = tuple(sorted(set(words)))
    position = {word: i for i, word in enumerate(classes)}
    return np.array([position[word] for word in words], dtype=np.int64), classes


def _feature_names(table: pa.Table, column: str, path: Path) -> list[str] | None:
    """Class names in the schema's Hugging Face metadata."""
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
