"""A manifest: what to do with single images of a data set, as a check of it proposes and a person decides.

A row is an image and a finding, with an action. It is a Parquet file, or a CSV file, which any program for
tables edits. `resnext.data.obeying` does what it says.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from resnext.data.decode import DataError
from resnext.files import check_ordinary, ordinary, write_whole
from resnext.names import csv_cell, encodable
from resnext.parsing import show

Action = Literal["keep", "drop", "relabel", "move"]

SUFFIXES = (".parquet", ".csv")
#: Columns and their types. `to` is the new label or the other split, `other` the second image of a pair,
#: `score` how sure the finding is (0 to 1), `detail` the finding in words, `proposed` the action before a
#: person changed it.
COLUMNS = {
    **{name: pa.string() for name in ("split", "key", "label", "finding", "action", "to", "other")},
    "score": pa.float64(),
    "detail": pa.string(),
    "proposed": pa.string(),
}
#: Columns without which a manifest says nothing.
NEEDED = ("split", "key", "action")
#: Columns that are read.
_READ = ("split", "key", "label", "finding", "action", "to", "other", "detail", "proposed")
#: Largest manifest, in bytes.
MAX_BYTES = 2**31
#: What stands between the cells of CSV files: commas, or what spreadsheets write in other languages.
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


@dataclass(frozen=True, slots=True)
class ManifestRow:
    """A finding on one image, and what is done with it.

    Attributes:
        split: Name of its split.
        key: Its name.
        label: Its class.
        finding: Name of the kind of finding.
        action: What is done: `keep`, `drop`, `relabel` or `move`.
        to: The new class or split.
        other: The other image of a pair, with its split.
        score: How sure it is, from 0 to 1; None where that means nothing.
        detail: The finding in words.
        proposed: The action before a person changed it; empty in rows that a person added.
    """

    split: str
    key: str
    label: str
    finding: str
    action: Action
    to: str = ""
    other: str = ""
    score: float | None = None
    detail: str = ""
    proposed: str = ""


def write_manifest(rows: Iterable[ManifestRow], path: Path) -> None:
    """Write a manifest, in the format of the suffix of `path`. Raises `OSError`."""
    write_whole(path, manifest_bytes(rows, path.suffix))


def manifest_bytes(rows: Iterable[ManifestRow], suffix: str) -> bytes:
    """A manifest as the content of a file that ends in `suffix`, .parquet or .csv.

    >>> row = ManifestRow("train", "cat/1.png", "cat", "leak", "drop", other="test: cat/7.png")
    >>> print(manifest_bytes([row], ".csv").decode().partition("\\n")[0])
    "split","key","label","finding","action","to","other","score","detail","proposed"
    """
    given = list(rows)
    columns = {name: [getattr(row, name) for row in given] for name in COLUMNS}
    texts = {name: [encodable(text) for text in columns[name]] for name in columns if name != "score"}
    if suffix == ".csv":
        texts = {name: [csv_cell(text) for text in values] for name, values in texts.items()}
    table = pa.table({**columns, **texts}, schema=pa.schema(list(COLUMNS.items())))
    file = io.BytesIO()
    if suffix == ".csv":
        pyarrow.csv.write_csv(table, file)
    else:
        pq.write_table(table, file)
    return file.getvalue()


def manifest_digest(path: Path) -> str:
    """Digest of the bytes of a manifest, 16 hexadecimal digits. Raises `OSError`."""
    with open(path, "rb", opener=ordinary) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def written_as(text: str, suffix: str) -> str:
    """A name as a manifest that ends in `suffix` has it.

    >>> written_as("=1+1.png", ".csv"), written_as("=1+1.png", ".parquet")
    ("'=1+1.png", '=1+1.png')
    """
    return csv_cell(encodable(text)) if suffix == ".csv" else encodable(text)


def read_manifest(path: Path) -> Iterator[tuple[str, ManifestRow]]:
    """The rows of a manifest, with names as they are written there, each with its place for errors
    (`doctor.csv: line 3`); `score` is not read.

    Args:
        path: The file. A CSV file may be what a spreadsheet saved: with semicolons or tabs, as UTF-16, with
            empty lines, with columns of its own.

    Raises:
        DataError: It is no manifest, or a row has an unknown action.
        OSError: It cannot be read.
    """
    if path.suffix not in SUFFIXES:
        raise DataError(f"{path}: a manifest ends in {' or '.join(SUFFIXES)}")
    if path.stat().st_size > MAX_BYTES:
        raise DataError(f"{path}: is too large to be a manifest")
    word = "line" if path.suffix == ".csv" else "row"
    for number, cells in (_csv_rows if word == "line" else _parquet_rows)(path):
        place = f"{path}: {word} {number}"
        if cells["action"] not in get_args(Action):
            raise DataError(
                f"{place}: action: {show(cells['action'])}: must be {', '.join(get_args(Action))}"
            )
        yield place, ManifestRow(**({"label": "", "finding": ""} | cells))  # type: ignore[arg-type]


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each row of a CSV file that are read, and the line where it begins."""
    head, positions, line = None, dict[str, int](), 1
    try:
        with open(path, newline="", encoding=_encoding(path), opener=ordinary) as file:
            first = next((text for text in file if text.strip()), "")
            separator = _separator(first)
            file.seek(0)
            lines = csv.reader(file, delimiter=separator, strict=True)
            for cells in lines:
                begun, line = line, lines.line_num + 1
                if not any(map(str.strip, cells)):
                    continue
                if head is None:
                    head = [cell.strip() for cell in cells]
                    positions = _positions(head, path)
                elif len(cells) > len(head):
                    raise DataError(
                        f"{path}: line {begun}: has {len(cells)} cells, the first line {len(head)}; put "
                        f"texts with {SEPARATORS[separator]} in double quotes"
                    )
                else:
                    cells += [""] * (len(head) - len(cells))
                    yield begun, {name: cells[position] for name, position in positions.items()}
    except UnicodeError:
        raise DataError(f"{path}: is not UTF-8 text; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise DataError(f"{path}: line {line}: is no line of a CSV file ({error})") from None
    if head is None:
        _positions([], path)


def _encoding(path: Path) -> str:
    with open(path, "rb", opener=ordinary) as file:
        return "utf-16" if file.read(2) in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"


def _separator(head: str) -> str:
    """What separates the cells of the first line, that by which it has most of the columns."""

    def known(separator: str) -> int:
        return len({cell.strip().strip('"') for cell in head.split(separator)} & COLUMNS.keys())

    return max(SEPARATORS, key=known)


def _parquet_rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The cells of each row of a Parquet file that are read, and its number from 0 on."""
    check_ordinary(path)
    try:
        with pq.ParquetFile(path) as file:
            positions = _positions(file.schema_arrow.names, path)
            if nested := [
                name for name in positions if pa.types.is_nested(file.schema_arrow.field(name).type)
            ]:
                raise DataError(f"{path}: column {nested[0]} holds lists, not text")
            numbers = itertools.count()
            for batch in file.iter_batches(columns=list(positions)):
                texts = [pc.fill_null(batch[name].cast(pa.string()), "").to_pylist() for name in positions]
                for cells in zip(*texts, strict=True):
                    yield next(numbers), dict(zip(positions, cells, strict=True))
    except (pa.ArrowException, UnicodeDecodeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: is no manifest that can be read ({reason[:200]})") from None


def _positions(names: Sequence[str], path: Path) -> dict[str, int]:
    """Position of each column that is read. Raises `DataError` if one is missing, or there twice."""
    counts = Counter(names)
    if missing := [name for name in NEEDED if not counts[name]]:
        raise DataError(
            f"{path}: has no column {', '.join(missing)}; `resnext doctor DATA` writes a manifest"
        )
    if twice := [name for name in _READ if counts[name] > 1]:
        raise DataError(f"{path}: has two columns {twice[0]}; remove one of them")
    return {name: names.index(name) for name in _READ if name in counts}
