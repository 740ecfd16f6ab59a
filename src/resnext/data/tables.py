"""Tables as images: Parquet, CSV and Arrow files, and any Arrow table with an image and a label column."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.data.columns import (
    LABEL_COLUMNS,
    SPLIT_BY_NAME,
    SPLIT_COLUMN,
    SPLIT_LIKE_COLUMNS,
    PixelColumns,
    check_names,
    find_column,
    image_column,
    known_column,
    pixel_columns,
    with_label,
)
from resnext.data.contents import UNKNOWN_STAMP, files_stamp
from resnext.data.csv_files import read_csv
from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.image_names import NamedFiles
from resnext.data.images import ImageDataset, Labels
from resnext.data.labels import describe_rows, label_column
from resnext.data.repeats import check_one_label_each, first_rows, leave_out_repeats, repeats_note
from resnext.data.shards import check_schemas, check_shards, lone_shard_note
from resnext.data.stored_images import ColumnImages, ImageArrays, ImageFiles
from resnext.files import check_ordinary, ordinary
from resnext.names import printable
from resnext.parsing import MAX_LINES_BYTES, build, parse_json, read_text

#: Suffixes of tables.
TABLE_SUFFIXES = (".parquet", ".csv", ".jsonl")
#: Most fields of JSON lines for each that is filled, where they are more than `MIN_CELLS`.
MAX_EMPTINESS, MIN_CELLS = 20, 1_000_000
#: Ends of a line in UTF-16.
UTF16_ENDS = (b"\n\0", b"\r\0")
#: Last bytes of an Arrow file: the end of its stream, or its mark if it can be read in any order.
ARROW_ENDS = (b"\xff\xff\xff\xff\0\0\0\0", b"ARROW1")


def read_table(path: Path) -> dict[str | None, ImageDataset]:
    """The images of one Parquet or CSV file.

    Returns:
        Images by name of the split if the table has a column `split`, else all of them under None.

    Raises:
        DataError: If the table cannot be read or lacks a column.
    """
    return images_by_split(load_table(path), path)


def images_by_split(table: pa.Table, path: Path) -> dict[str | None, ImageDataset]:
    """The rows of a table, which is the file `path`, as images by name of the split; see `read_table`.

    A row that names a file again is left out: it could come into another split.
    """
    images = images_from_table(table, path, files_stamp([path]))
    notes = images.notes + _end_notes([path]) + lone_shard_note(path)
    column = known_column(table, (SPLIT_COLUMN,), path)
    if column is None:
        notes += _unused_split_notes(table, path)
    splits = [None] * len(images) if column is None else _splits(table[column], column, path)
    rows = first_rows(images, splits, path)
    notes += repeats_note(len(images) - len(rows))
    parts: dict[str | None, ImageDataset] = {}
    for split in dict.fromkeys(splits):
        part = [row for row in rows if splits[row] == split]
        parts[split] = images.select(part) if len(part) < len(images) else images
        parts[split].notes = notes
    return parts


def _splits(column: pa.ChunkedArray, name: str, path: Path) -> list[str | None]:
    """The split of each row. Raises `DataError`."""
    values = [str(value).lower() for value in column.to_pylist()]
    if unknown := [row for row, value in enumerate(values) if value not in SPLIT_BY_NAME]:
        raise DataError(
            f"{path}: column {name} holds {values[unknown[0]]!r} in {describe_rows(unknown)}; known are "
            f"{', '.join(SPLIT_BY_NAME)}"
        )
    return [SPLIT_BY_NAME[value] for value in values]


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
    tables = [load_table(path) for path in paths]
    check_schemas([(path, table.schema) for path, table in zip(paths, tables, strict=True)])
    try:
        table = pa.concat_tables(tables)
        images = leave_out_repeats(images_from_table(table, paths[0], files_stamp(paths)), paths[0])
    except pa.ArrowException as error:
        raise DataError(f"{paths[0]}: its shards do not fit together ({error})") from None
    images.notes += notes
    return images


def load_table(path: Path) -> pa.Table:
    """The table in a Parquet or CSV file. Raises `DataError`."""
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        own = "; images lie in a folder for each class: give the folder of these folders"
        hint = own if suffix in IMAGE_SUFFIXES else ""
        raise DataError(f"{path}: a table must end in {' or '.join(TABLE_SUFFIXES)}{hint}")
    try:
        return {".parquet": _load_parquet, ".csv": read_csv, ".jsonl": _load_json_lines}[suffix](path)
    except PermissionError:
        raise DataError(f"{path}: no permission to read this file") from None
    except (pa.ArrowException, OSError, ValueError, csv.Error) as error:
        kind = "JSON lines" if suffix == ".jsonl" else suffix[1:]
        raise DataError(f"{path}: cannot be read as {kind} ({error})") from None


def column_names(path: Path) -> list[str]:
    """The names of the columns of a Parquet, CSV or JSON-lines file. Raises `DataError`."""
    if path.suffix.lower() != ".parquet":
        return list(map(str, load_table(path).column_names))
    try:
        check_ordinary(path)
        return list(map(str, pq.read_schema(path).names))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as parquet ({error})") from None


def _load_parquet(path: Path) -> pa.Table:
    check_ordinary(path)
    with pq.ParquetFile(path) as file:
        check_names(file.schema_arrow.names, path)
        if file.metadata.num_rows == 0:
            raise DataError(f"{path}: has no rows")
        table = file.read()
    table.validate(full=True)
    return table


def _load_json_lines(path: Path) -> pa.Table:
    lines = read_text(path, MAX_LINES_BYTES).split("\n")
    rows = [_parse_row(line, number) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        raise DataError(f"{path}: has no rows")
    names = list(dict.fromkeys(name for row in rows for name in row))
    check_names(names, path)
    cells, filled = len(rows) * len(names), sum(map(len, rows))
    if cells > MIN_CELLS and cells > MAX_EMPTINESS * filled:
        raise DataError(
            f"{path}: its {len(rows):,} rows have {len(names):,} columns between them, and nearly all fields "
            "are empty; give the rows the same names"
        )
    return pa.table({name: _json_column([row.get(name) for row in rows]) for name in names})


def _json_column(values: list[Any]) -> pa.Array:
    """A column of JSON. Of one with lists or objects, such as boxes in an image, only that is kept: it holds
    neither images nor classes, and must not be taken for either."""
    if any(isinstance(value, list | dict) for value in values):
        return pa.nulls(len(values), pa.list_(pa.null()))
    return pa.array(values)


def _parse_row(line: str, number: int) -> dict[str, Any]:
    try:
        return build(dict[str, Any], parse_json(line), "the row")
    except ValueError as error:
        raise ValueError(f"line {number}: {error}") from None


def load_arrow(path: Path) -> pa.Table:
    """The table in an Arrow file, whose columns stay on the disk until they are read.

    Raises:
        DataError: If the file is damaged or cut short.
    """
    check_arrow_end(path)
    try:
        check_ordinary(path)
        source = pa.memory_map(str(path))
        try:
            table = pa.ipc.open_stream(source).read_all()
        except (OSError, pa.ArrowException):
            table = pa.ipc.open_file(source).read_all()
        table.validate(full=True)
        check_names(table.column_names, path)
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
        table: Table with an image column (`IMAGE_COLUMNS`) and a label column (`LABEL_COLUMNS`), or of which
            only one thing can be meant: see `columns`.
        path: File that the table was read from; named in keys and errors.
        stamp: `files_stamp` of the files that the table was read from.

    Raises:
        DataError: If a column is missing or holds something else, or one file has two labels.
    """
    if (pixels := pixel_columns(table, path)) is not None:
        return _images_of_pixels(table, pixels, path)
    files = NamedFiles(path.parent)
    image_name = image_column(table, path, files)
    table, label_name, notes = with_label(table, image_name, path)
    images = _images_of_columns(table, image_name, label_name, path, files, stamp)
    images.notes += notes
    return images


def _images_of_columns(
    table: pa.Table, image_name: str, label_name: str, path: Path, files: NamedFiles, stamp: int
) -> ImageDataset:
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
        names = column.to_pylist()
        if unnamed := [row for row, name in enumerate(names) if not name]:
            raise DataError(f"{path}: column {image_name} names no image in {describe_rows(unnamed)}")
        return _image_files(names, labels, classes, path, files)
    raise DataError(f"{path}: column {image_name} holds {column.type}, not bytes or paths")


def _image_files(
    names: list[str], labels: Labels, classes: tuple[str, ...], path: Path, files: NamedFiles
) -> ImageFiles:
    keys = files.meant(names) or names
    check_one_label_each(keys, labels, classes, path)
    images = ImageFiles(path.parent, keys, labels, classes)
    if keys[0] not in (names[0], names[0].replace("\\", "/")):
        name, key = printable(names[0]), printable(keys[0])
        images.notes = (f"{name} in {printable(path.name)} is {key}, and so on",)
    return images


def _images_of_pixels(table: pa.Table, pixels: PixelColumns, path: Path) -> ImageArrays:
    label_name = find_column(table, LABEL_COLUMNS, path, "label")
    labels, classes = label_column(table, label_name, path)
    values = np.stack([_pixel_values(table, name, path) for name in pixels.names], axis=1)
    return ImageArrays(values.reshape(-1, pixels.height, pixels.width), labels, classes)


def _pixel_values(table: pa.Table, name: str, path: Path) -> NDArray[np.uint8]:
    column = table[name]
    if missing := np.flatnonzero(column.is_null()).tolist():
        raise DataError(f"{path}: column {name} has no pixel in {describe_rows(missing)}")
    try:
        values: NDArray[np.uint8] = column.cast(pa.uint8()).to_numpy()
    except pa.ArrowException as error:
        raise DataError(
            f"{path}: column {name}: a pixel is not a whole number from 0 to 255 ({error})"
        ) from None
    return values


def row_keys(names: Sequence[str | None], path: Path) -> list[str]:
    """Keys that a person can find: the path in the table, or else the file of the table and the row."""
    return [name or f"{path.name}#{row}" for row, name in enumerate(names)]
