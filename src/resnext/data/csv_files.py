"""CSV files as rows of text, whatever program wrote them: separators, encodings, and blanks after commas."""

from __future__ import annotations

import codecs
import csv
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from resnext.data.columns import IMAGE_COLUMNS, LABEL_COLUMNS, check_names
from resnext.data.decode import IMAGE_SUFFIXES, DataError
from resnext.data.labels import describe_rows
from resnext.files import ordinary

#: Separators of fields, the usual one first.
SEPARATORS = (",", ";", "\t", "|")
#: Names of columns by which the separator is found.
KNOWN = frozenset((*IMAGE_COLUMNS, *LABEL_COLUMNS))
#: Rows that are objects of Python at a time, which take many times their bytes; characters read at a time.
ROWS, READ_CHARACTERS = 4096, 2**20


def read_csv(path: Path) -> pa.Table:
    """The table in a CSV file; all columns are text.

    Args:
        path: The file: UTF-8, UTF-16 with its mark, or else Windows-1252.

    Raises:
        DataError: If a row has too many or too few fields, there are no rows, or no line that names columns.
    """
    with open(path, encoding=_encoding(path), newline="", opener=ordinary) as file:
        first = next((line for line in file if line.strip()), "")
        file.seek(0)
        separator = _separator(first)
        has_blanks = re.search(f"{re.escape(separator)} +\\S", first) is not None
        reader = csv.reader(file, delimiter=separator, skipinitialspace=has_blanks, strict=True)
        rows = (row for row in reader if len(row) > 1 or "".join(row).strip())
        header = [name.strip() for name in next(rows, [])]
        check_names([name for name in header if name], path)
        _check_header(header, path)
        columns = _columns(rows, len(header), path)
    places = [place for place, name in enumerate(header) if name]
    return pa.Table.from_arrays([columns[i] for i in places], names=[header[i] for i in places])


def _columns(rows: Iterator[list[str]], width: int, path: Path) -> list[pa.ChunkedArray]:
    """The columns of a table, of which only some rows at a time are objects of Python."""
    parts: list[list[pa.Array]] = [[] for _ in range(width)]
    odd: list[int] = []
    count = 0
    while batch := list(itertools.islice(rows, ROWS)):
        odd += [row for row, fields in enumerate(batch, count) if len(fields) != width]
        count += len(batch)
        if not odd:
            for part, column in zip(parts, zip(*batch, strict=True), strict=True):
                part.append(pa.array(column, pa.string()))
    if not count:
        raise DataError(f"{path}: has no rows under its header line")
    if odd:
        raise DataError(f"{path}: more or fewer fields than the header line has: {describe_rows(odd)}")
    return [pa.chunked_array(part, pa.string()) for part in parts]


def _encoding(path: Path) -> str:
    with open(path, "rb", opener=ordinary) as file:
        start = file.read(100)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start:
        raise DataError(f"{path}: is not text, or UTF-16 without its mark at the start; save it as UTF-8")
    try:
        with open(path, encoding="utf-8-sig", newline="", opener=ordinary) as text:
            while text.read(READ_CHARACTERS):
                pass
        return "utf-8-sig"
    except UnicodeDecodeError:
        return "cp1252"


def _separator(header: str) -> str:
    """The first separator that makes a known column of a field of `header`; else a comma."""
    for separator in SEPARATORS:
        fields = [field.strip().strip('"').lower() for field in header.split(separator)]
        if len(fields) > 1 and KNOWN & set(fields):
            return separator
    return ","


def _check_header(header: list[str], path: Path) -> None:
    """Raises `DataError` if the first line names an image in place of columns."""
    are_known = any(name.lower() in KNOWN for name in header)
    if not are_known and any(Path(name).suffix.lower() in IMAGE_SUFFIXES for name in header):
        raise DataError(
            f"{path}: its first line is {', '.join(header)[:100]!r}, an image and not the names of "
            "the columns. Put a line such as path,label above it (split,path,label if the first column says "
            "train or test), and give paths of files on this machine"
        )
