"""Which column of a table holds the images, and which says their classes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.image_names import NamedFiles
from resnext.data.labels import describe_rows, find_twice
from resnext.names import printable

#: Names of the image column. WebDataset names an image by its suffix.
IMAGE_COLUMNS = (
    *("image", "img", "picture", "bytes", "path", "file", "filename", "file_name", "filepath"),
    *sorted(suffix[1:] for suffix in IMAGE_SUFFIXES),
)
#: Names of the label column.
LABEL_COLUMNS = (
    *("label", "labels", "class", "class_name", "category", "target", "fine_label", "cls"),
    *("class_id", "classid"),
)
SPLIT_COLUMN = "split"
#: Names of each split in files, folders and columns, in any case.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "val": ("val", "valid", "validation"),
    "test": ("test", "testing"),
}
#: Split of each of these names.
SPLIT_BY_NAME = {name: split for split, names in SPLIT_NAMES.items() for name in names}
#: Columns that may say which split an image is of, in a way that is not read.
SPLIT_LIKE_COLUMNS = (
    *("is_valid", "is_val", "is_test", "is_train", "subset", "set", "fold", "folds", "kfold", "phase"),
    *("partition", "usage"),
)
#: Most columns of a table.
MAX_COLUMNS = 10_000
#: Fewest columns of pixels that are taken for an image.
MIN_PIXELS = 16
#: Numbers that are measured, and so are no classes.
_FRACTION = re.compile(r"[+-]?[0-9]*\.[0-9]*[1-9][0-9]*")
#: Whole numbers, as text.
_COUNT = re.compile(r"[0-9]{1,9}")
#: Names of columns that hold a pixel each: by its number, or by its row and column.
_PIXEL = re.compile(
    r"pixel[ _]?(?P<number>[0-9]{1,6})|(?P<row>[0-9]{1,6})x(?P<column>[0-9]{1,6})", re.IGNORECASE
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
    if (found := known_column(table, known, path)) is not None:
        return found
    raise DataError(
        f"{path}: no {what} column; it has {_some(table.column_names)}, and one of "
        f"{', '.join(known)} is needed"
    )


def known_column(table: pa.Table, known: tuple[str, ...], path: Path) -> str | None:
    """As `find_column`, but None if no column has such a name."""
    for name in known:
        found = [str(column) for column in table.column_names if column.lower() == name]
        if len(found) > 1:
            raise DataError(f"{path}: has the columns {' and '.join(found)}; rename or remove all but one")
        if found:
            return found[0]
    return None


def image_column(table: pa.Table, path: Path, files: NamedFiles) -> str:
    """The column of images: one that is called so, or else the only one of which each value names another
    image beside the table.

    Raises:
        DataError: If there is none.
    """
    if (found := known_column(table, IMAGE_COLUMNS, path)) is not None:
        return found
    naming = [name for name in table.column_names if _names_images(table[name], files)]
    return naming[0] if len(naming) == 1 else find_column(table, IMAGE_COLUMNS, path, "image")


def _names_images(column: pa.ChunkedArray, files: NamedFiles) -> bool:
    if not pa.types.is_string(column.type) or len(column) == 0 or column.null_count:
        return False
    if files.meant([column[0].as_py()]) is None:
        return False
    found = files.meant(column.to_pylist())
    return found is not None and len(set(found)) == len(found) and all(map(files.has, found))


def with_label(table: pa.Table, image: str, path: Path) -> tuple[pa.Table, str, tuple[str, ...]]:
    """`table` with a column of labels, the name of that, and notes on what it was made of: a column that is
    called so, one of zeros and ones for each class, or the only column beside `image`.

    Raises:
        DataError: If it is not certain which class each row is of.
    """
    if (found := label_column_name(table, path)) is not None:
        return table, found, ()
    no_labels = (image, *(n for n in table.column_names if n.lower() in (SPLIT_COLUMN, *SPLIT_LIKE_COLUMNS)))
    others = [name for name in table.column_names if name not in no_labels]
    if len(others) > 1 and (flags := _flags(table, others)) is not None:
        _check_no_splits(others, path)
        words = [others[column] for column in _only_ones(flags, path)]
        note = f"each class is a column of {printable(path.name)}: {_some(others, 5)}"
        return table.append_column(LABEL_COLUMNS[0], pa.array(words)), LABEL_COLUMNS[0], (note,)
    if len(others) == 1 and _repeats(table[others[0]]):
        note = f"the column {printable(others[0])} of {printable(path.name)} is the label: it has no other"
        return table, others[0], (note,)
    return table, find_column(table, LABEL_COLUMNS, path, "label"), ()


def label_column_name(table: pa.Table, path: Path) -> str | None:
    """The column that is called like labels; None if there is none.

    Raises:
        DataError: Several are, and do not divide the images alike.
    """
    found = known_column(table, LABEL_COLUMNS, path)
    others = [name for name in table.column_names if name.lower() in LABEL_COLUMNS and name != found]
    for other in others:
        pairs = set(zip(_texts(table[found]), _texts(table[other]), strict=True))
        if len(pairs) > len({one for one, _ in pairs}) or len(pairs) > len({two for _, two in pairs}):
            raise DataError(
                f"{path}: the columns {found} and {other} are both called like labels, and divide the images "
                "differently; rename or remove the one that is not the class"
            )
    return found


def _texts(column: pa.ChunkedArray) -> list[str]:
    return list(map(str, column.to_pylist()))


def _check_no_splits(names: Sequence[str], path: Path) -> None:
    if all(name.lower() in SPLIT_BY_NAME for name in names):
        raise DataError(
            f"{path}: the columns {_some(names)} of zeros and ones say splits, not classes; put one column "
            "split in their place, with train, val and test, and add a column label"
        )


def _flags(table: pa.Table, names: Sequence[str]) -> NDArray[np.float64] | None:
    """Columns of zeros and ones (rows, columns); None if one of them holds something else."""
    columns = []
    for name in names:
        try:
            column = np.array(table[name].to_pylist(), dtype=np.float64)
        except (TypeError, ValueError):
            return None
        if column.ndim != 1 or not np.isin(column, (0, 1)).all():
            return None
        columns.append(column)
    return np.stack(columns, axis=1)


def _only_ones(flags: NDArray[np.float64], path: Path) -> list[int]:
    """The column of the one in each row."""
    if odd := np.flatnonzero(flags.sum(1) != 1).tolist():
        raise DataError(
            f"{path}: has a column of zeros and ones for each class, and several ones or none in "
            f"{describe_rows(odd)}; an image has one label"
        )
    return [int(column) for column in flags.argmax(1)]


def _repeats(column: pa.ChunkedArray) -> bool:
    """Whether values can be classes, each of which several rows have: words, or numbers that count classes,
    from 0 or 1 on and at least every other one. Other numbers measure something."""
    values = column.to_pylist()
    if min(Counter(values).values()) == 1:
        return False
    if all(_COUNT.fullmatch(str(value)) for value in values):
        numbers = set(map(int, values))
        return min(numbers) <= 1 and max(numbers) < 2 * len(numbers)
    return all(isinstance(value, str) and "." not in value for value in values)


@dataclass(frozen=True)
class PixelColumns:
    """The columns of a table that hold a grey image, a pixel in each: row by row, whatever their order in the
    table was."""

    names: tuple[str, ...]
    height: int
    width: int


def pixel_columns(table: pa.Table, path: Path) -> PixelColumns | None:
    """The columns that hold a pixel each, in the order that their names say; None if there are no such.

    `pixel0`, `pixel1`, ... count the pixels of a square from 0 or 1; `1x1`, `1x2`, ... are their rows and
    columns.

    Raises:
        DataError: One is missing, or they are not those of a square.
    """
    found = {name: match for name in table.column_names if (match := _PIXEL.fullmatch(name))}
    if len(found) < MIN_PIXELS or known_column(table, IMAGE_COLUMNS, path) is not None:
        return None
    places = {name: _place(match) for name, match in found.items()}
    names = tuple(sorted(found, key=lambda name: places[name]))
    first, last = places[names[0]], places[names[-1]]
    height, width = (1 + max(p[axis] for p in places.values()) - first[axis] for axis in (0, 1))
    is_whole = set(places.values()) == {
        (first[0] + row, first[1] + column) for row in range(height) for column in range(width)
    }
    if max(first) > 1 or len(names) != height * width or not is_whole:
        raise DataError(
            f"{path}: has {len(names):,} columns of pixels, from {names[0]} to {names[-1]}, and some between "
            "are missing, or stand there twice; an image needs each once, from 0 or 1 on"
        )
    if last[0] > first[0]:
        return PixelColumns(names, height, width)
    side = math.isqrt(width)
    if side**2 != width:
        raise DataError(f"{path}: has {width:,} columns of pixels, which are not those of a square image")
    return PixelColumns(names, side, side)


def _place(match: re.Match[str]) -> tuple[int, int]:
    """Row and column of a pixel; those that are only numbered lie in one row."""
    return (0, int(match["number"])) if match["number"] else (int(match["row"]), int(match["column"]))


def check_names(names: Sequence[str], path: Path) -> None:
    """Raises `DataError` if a table has too many columns, or two of one name."""
    if len(names) > MAX_COLUMNS:
        raise DataError(f"{path}: has {len(names):,} columns, and at most {MAX_COLUMNS:,} are read")
    if twice := find_twice(names):
        raise DataError(f"{path}: has several columns called {twice!r}; rename or remove all but one")


def _some(names: Sequence[str], limit: int = 20) -> str:
    more = f" and {len(names) - limit:,} more" if len(names) > limit else ""
    return printable(", ".join(names[:limit])) + more
