"""Tables that say classes of images beside them: `metadata.csv` of the hub, and `Test.csv` beside `Test`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from resnext.data.columns import IMAGE_COLUMNS, LABEL_COLUMNS, find_column
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.layouts import shown_entries
from resnext.data.tables import TABLE_SUFFIXES, images_by_split, load_table
from resnext.files import check_ordinary, ordinary

#: Tables by which the hub ("imagefolder") names the images in a folder, in the column `file_name`.
METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE_NAME = "file_name"
#: Most bytes of a first line that names columns.
MAX_HEADER_BYTES = 2**20


def read_metadata(folder: Path) -> dict[str | None, ImageDataset]:
    """The images that the hub's table in `folder` names, by name of the split, or all under None.

    Empty if there is no such table, or it says no classes.

    Raises:
        DataError: If there are several such tables, or it cannot be read.
    """
    found = _load_metadata(folder)
    return images_by_split(*found) if found else {}


def read_labels_beside(folder: Path) -> dict[str | None, ImageDataset]:
    """The images in `folder` that a table beside it names: `Test.csv` beside `Test`, or else the hub's.

    They are by name of the split, or all under None; empty if there is no such table, or it names no images
    and classes. Paths are relative to the table; those of `Test.csv` may be to the folder.

    Raises:
        DataError: If there are several such tables, or it cannot be read.
    """
    path = _only(_files_called(folder.parent, [f"{folder.name}{end}".lower() for end in TABLE_SUFFIXES]))
    if path is None:
        found = _load_metadata(folder.parent)
        return _rows_under(folder, *found) if found else {}
    table = load_table(path)
    if not _has_any(table, IMAGE_COLUMNS) or not _has_any(table, LABEL_COLUMNS):
        return {}
    return images_by_split(_relative_to_table(table, path, folder), path)


def _load_metadata(folder: Path) -> tuple[pa.Table, Path] | None:
    """The hub's table in `folder`, with no other column of images, and its path. Raises `DataError`."""
    path = _only([path for path in _files_called(folder, METADATA) if _has_file_names(path)])
    if path is None:
        return None
    table = load_table(path)
    name = find_column(table, (FILE_NAME,), path, "image")
    others = [one for one in table.column_names if one.lower() in IMAGE_COLUMNS and one != name]
    return (table.drop_columns(others), path) if _has_any(table, LABEL_COLUMNS) else None


def _rows_under(folder: Path, table: pa.Table, path: Path) -> dict[str | None, ImageDataset]:
    """The images in `folder` that the hub's table beside it names."""
    names = table[find_column(table, (FILE_NAME,), path, "image")].to_pylist()
    rows = [row for row, name in enumerate(names) if str(name).startswith(f"{folder.name}/")]
    return images_by_split(table.take(rows), path) if rows else {}


def _files_called(folder: Path, names: Sequence[str]) -> list[Path]:
    """The files in `folder` that have one of `names`, in any case."""
    found = [Path(entry) for entry in shown_entries(folder) if entry.name.lower() in names]
    return [path for path in found if path.is_file()]


def _only(paths: Sequence[Path]) -> Path | None:
    """The one path, or None. Raises `DataError` if there are several."""
    if len(paths) > 1:
        names = " and ".join(path.name for path in paths)
        raise DataError(f"{paths[0].parent}: {names} name the same images; keep one")
    return paths[0] if paths else None


def _has_file_names(path: Path) -> bool:
    """Whether a table has the column `file_name`, also where it cannot be read as a whole."""
    if path.suffix.lower() == ".parquet":
        try:
            check_ordinary(path)
            return FILE_NAME in map(str.lower, pq.read_schema(path).names)
        except (pa.ArrowException, ValueError):
            return False
    with open(path, "rb", opener=ordinary) as file:
        first = file.readline(MAX_HEADER_BYTES).replace(b"\0", b"")  # UTF-16 has them between letters
    return re.search(rf"\b{FILE_NAME}\b".encode(), first.lower()) is not None


def _has_any(table: pa.Table, known: tuple[str, ...]) -> bool:
    return any(name.lower() in known for name in table.column_names)


def _relative_to_table(table: pa.Table, path: Path, folder: Path) -> pa.Table:
    """`table` with paths of images that are relative to its place, also where they were to `folder`."""
    column = find_column(table, IMAGE_COLUMNS, path, "image")
    if not pa.types.is_string(table[column].type):
        return table
    names = table[column].to_pylist()
    if not names[0] or (path.parent / names[0]).exists() or not (folder / names[0]).exists():
        return table
    names = [name and f"{folder.name}/{name}" for name in names]
    return table.set_column(table.column_names.index(column), column, pa.array(names, pa.string()))
