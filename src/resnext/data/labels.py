"""The label column of a table: which class each row is of. A row of which that is not certain is an error."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from resnext.data.class_names import check_lookalikes, join_forms
from resnext.data.decode import DataError
from resnext.data.images import Labels
from resnext.parsing import parse_json

#: A label by which the hub and others say that there is none.
UNLABELLED = -1
#: Whole numbers with a decimal point, as programs write them where the column has missing values.
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+(\.0*)?")


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
    column, where = table[name], f"{path}: column {name}"
    if pa.types.is_nested(column.type):
        raise DataError(f"{where} holds {column.type}, not one label for each image")
    values = _plain_values(column.to_pylist())
    if missing := [row for row, value in enumerate(values) if _is_missing(value)]:
        raise DataError(
            f"{where} has {len(missing)} rows without a label: {describe_rows(missing)}. Fill them in, or "
            "remove them"
        )
    if unlabelled := [row for row, value in enumerate(values) if str(value) == str(UNLABELLED)]:
        if len(unlabelled) == len(values):
            return np.full(len(values), UNLABELLED, dtype=np.int64), ()
        raise DataError(
            f"{where} is {UNLABELLED} in {describe_rows(unlabelled)}, which says that an image has no label. "
            "Remove these rows; if it is a class, give the classes names"
        )
    words = _words(values, class_names(table.schema, name, path), where)
    class_of = join_forms(set(words))
    words = [class_of[word] for word in words]
    classes = tuple(sorted(set(words)))
    check_lookalikes(classes, where)
    position = {word: i for i, word in enumerate(classes)}
    return np.array([position[word] for word in words], dtype=np.int64), classes


def _plain_values(values: list[Any]) -> list[Any]:
    """`values` with bytes as text, and whole numbers as integers where missing values made them floats."""
    if all(isinstance(value, bytes) for value in values):
        values = [value.decode("utf-8", "replace") for value in values]
    present = [value for value in values if not _is_missing(value)]
    if all(isinstance(value, float) and value.is_integer() for value in present):
        return [value if _is_missing(value) else int(value) for value in values]
    are_whole = all(isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value) for value in present)
    if are_whole and any("." in value for value in present):
        return [value if _is_missing(value) else int(value.partition(".")[0]) for value in values]
    return values


def _is_missing(value: Any) -> bool:
    """Whether a label is None, blank, or not a number."""
    if isinstance(value, str):
        return value.strip().lower() in ("", "nan")
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _words(values: list[Any], names: list[str] | None, where: str) -> list[str]:
    """The class of each row by name. Raises `DataError` if `names` are given and a label is none of them."""
    if names is None:
        return [str(value) for value in values]
    by_label: dict[Any, str] = dict(enumerate(names)) | {name: name for name in names}
    if outside := [row for row, value in enumerate(values) if value not in by_label]:
        label = values[outside[0]]
        raise DataError(
            f"{where}: {label} is not one of the {len(names)} named classes, in {describe_rows(outside)}"
        )
    return [by_label[value] for value in values]


def class_names(schema: pa.Schema, column: str, path: Path) -> list[str] | None:
    """Class names in the Hugging Face metadata of a table's schema.

    Raises:
        DataError: If labels would not say which of them they mean.
    """
    metadata: dict[bytes, bytes] = schema.metadata or {}
    if b"huggingface" not in metadata:
        return None
    try:
        info = parse_json(metadata[b"huggingface"]).get("info") or {}
        names = ((info.get("features") or {}).get(column) or {}).get("names")
    except (ValueError, AttributeError) as error:
        raise DataError(f"{path}: its Hugging Face metadata cannot be read ({error})") from None
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise DataError(f"{path}: its Hugging Face metadata do not name the classes of {column} by words")
    if twice := find_twice(names):
        raise DataError(f"{path}: its Hugging Face metadata name several classes of {column} {twice!r}")
    return names


def find_twice(names: Sequence[str]) -> str | None:
    """The first name that stands there more than once; None if there is none."""
    return next((name for name, count in Counter(names).items() if count > 1), None)


def describe_rows(rows: Sequence[int]) -> str:
    """`rows` for an error. They count from 0, as in the keys of images.

    >>> describe_rows([1]), describe_rows([1, 4, 5, 9])
    ('row 1 (from 0)', 'rows 1, 4, 5 and 1 more (from 0)')
    """
    more = f" and {len(rows) - 3} more" if len(rows) > 3 else ""
    return f"row{'s' * (len(rows) > 1)} {', '.join(map(str, rows[:3]))}{more} (from 0)"
