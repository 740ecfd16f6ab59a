"""CSV files as rows of text, whatever program wrote them: separators, encodings, and blanks after commas."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Set
from pathlib import Path

import pyarrow as pa

from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.labels import describe_rows

#: Separators of fields, the usual one first.
SEPARATORS = (",", ";", "\t", "|")


def read_csv(path: Path, known: Set[str]) -> pa.Table:
    """The table in a CSV file; all columns are text.

    Args:
        path: The file: UTF-8, UTF-16 with its mark, or else Windows-1252.
        known: Names of columns in lower case, by which the separator is found.

    Raises:
        DataError: If a row has too many or too few fields, there are no rows, or no line that names columns.
    """
    text = _text(path)
    separator = _separator(text.partition("\n")[0], known)
    has_blanks = re.search(f"{re.escape(separator)} +\\S", text.partition("\n")[0]) is not None
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=has_blanks, strict=True
    )
    header, *rows = [row for row in reader if row] or [[]]
    _check_header(header, known, path)
    if not rows:
        raise DataError(f"{path}: has no rows under its header line")
    if odd := [row for row, fields in enumerate(rows) if len(fields) != len(header)]:
        raise DataError(f"{path}: more or fewer fields than the header line has: {describe_rows(odd)}")
    columns = [pa.array([row[i] for row in rows], pa.string()) for i in range(len(header))]
    places = [place for place, name in enumerate(header) if name]
    return pa.Table.from_arrays([columns[i] for i in places], names=[header[i] for i in places])


def _text(path: Path) -> str:
    stored = path.read_bytes()
    if stored.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return stored.decode("utf-16")
    if b"\0" in stored[:100]:
        raise DataError(f"{path}: is not text, or UTF-16 without its mark at the start; save it as UTF-8")
    try:
        return stored.decode("utf-8-sig")
    except UnicodeDecodeError:
        return stored.decode("cp1252")


def _separator(header: str, known: Set[str]) -> str:
    """The first separator that makes a known column of a field of `header`; else a comma."""
    for separator in SEPARATORS:
        fields = [field.strip().strip('"').lower() for field in header.split(separator)]
        if len(fields) > 1 and known & set(fields):
            return separator
    return ","


def _check_header(header: list[str], known: Set[str], path: Path) -> None:
    """Raises `DataError` if the first line names an image in place of columns."""
    are_known = any(name.strip().lower() in known for name in header)
    if not are_known and any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in header):
        raise DataError(
            f"{path}: its first line is {', '.join(header)[:100]!r}, an image and not the names of "
            "the columns. Put a line such as path,label above it (split,path,label if the first column says "
            "train or test), and give paths of files on this machine"
        )
