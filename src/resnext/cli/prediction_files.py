"""Predictions written to a file row by row, in constant memory: CSV, JSON lines or Parquet."""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from resnext.cli.option_checks import check_suffix
from resnext.files import as_it_is, naming
from resnext.names import csv_cell, printable

if TYPE_CHECKING:
    from resnext.engine import Prediction

#: Rows of a row group of Parquet, which wait in memory.
ROW_GROUP_ROWS = 4096
#: What every row begins with, and the types in Parquet.
COMMON_COLUMNS = [
    ("picture", pa.string()),
    ("label", pa.string()),
    ("probability", pa.float32()),
    ("rejected", pa.bool_()),
]


class Columns(ABC):
    """What a row has after the common columns."""

    @abstractmethod
    def cells(self, prediction: Prediction) -> dict[str, Any]:
        """Values of a row by column, for files that have columns only."""

    def objects(self, prediction: Prediction) -> dict[str, Any]:
        """The same for JSON, where a value may be an object."""
        return self.cells(prediction)

    def lists(self, prediction: Prediction) -> dict[str, Any]:
        """The same for Parquet, where a value may be a list."""
        return self.cells(prediction)

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Names of the columns of `cells`."""

    @property
    @abstractmethod
    def types(self) -> list[tuple[str, pa.DataType]]:
        """Names and types of the columns of `lists`."""


@dataclass(frozen=True)
class TopColumns(Columns):
    """The likeliest classes: label_1, probability_1, label_2, and so on up to `top`."""

    top: int

    def cells(self, prediction: Prediction) -> dict[str, Any]:
        likeliest = [value for pair in prediction.ranking[: self.top] for value in pair]
        return dict(zip(self.names, likeliest, strict=True))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.types]

    @property
    def types(self) -> list[tuple[str, pa.DataType]]:
        kinds = (("label", pa.string()), ("probability", pa.float32()))
        return [(f"{name}_{rank}", kind) for rank in range(1, self.top + 1) for name, kind in kinds]


@dataclass(frozen=True)
class AllColumns(Columns):
    """The probabilities of all classes, in the order of `classes`."""

    classes: tuple[str, ...]

    def cells(self, prediction: Prediction) -> dict[str, Any]:
        return dict(zip(self.names, self.lists(prediction)["probabilities"], strict=True))

    def objects(self, prediction: Prediction) -> dict[str, Any]:
        return {"probabilities": dict(prediction.ranking)}

    def lists(self, prediction: Prediction) -> dict[str, Any]:
        of = dict(prediction.ranking)
        return {"probabilities": [of[name] for name in self.classes]}

    @property
    def names(self) -> list[str]:
        return [f"p({name})" for name in self.classes]

    @property
    def types(self) -> list[tuple[str, pa.DataType]]:
        return [("probabilities", pa.list_(pa.float32()))]


class PredictionWriter(Protocol):
    """Takes predictions one by one."""

    def write(self, prediction: Prediction) -> None: ...

    def close(self) -> None: ...


class FileWriter(PredictionWriter, Protocol):
    """Writes them to a file."""

    def abandon(self) -> None:
        """Write nothing more, not even when this object is removed."""


class TextWriter:
    """Lines of text."""

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        self._text, self._columns = io.TextIOWrapper(file, encoding="utf-8", newline=""), columns

    def close(self) -> None:
        self._text.detach()

    def abandon(self) -> None:
        pass  # what waits here is dropped once the file is closed


class CsvPredictionWriter(TextWriter):
    """A line of cells for each image.

    Names are printable, and none is a formula to a spreadsheet: see `csv_cell`.
    """

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        super().__init__(file, columns)
        self._rows = csv.writer(self._text)
        common = [name for name, _ in COMMON_COLUMNS]
        self._rows.writerow([*common, *map(csv_cell, columns.names)])

    def write(self, prediction: Prediction) -> None:
        row = _common(prediction) | self._columns.cells(prediction)
        self._rows.writerow(map(_cell, row.values()))


class JsonLinesPredictionWriter(TextWriter):
    """An object for each image, on a line of its own; escapes stand for what no terminal should be sent."""

    def write(self, prediction: Prediction) -> None:
        row = _common(prediction) | self._columns.objects(prediction)
        self._text.write(printable(json.dumps(row, ensure_ascii=False)) + "\n")


class ParquetPredictionWriter:
    """A row for each image. The names of the classes are in the file's metadata, as JSON, where a row holds
    the probabilities of all."""

    def __init__(self, file: BinaryIO, columns: Columns) -> None:
        notes = {"classes": json.dumps(columns.classes)} if isinstance(columns, AllColumns) else None
        self._schema = pa.schema([*COMMON_COLUMNS, *columns.types], notes)
        self._file, self._columns = pq.ParquetWriter(file, self._schema), columns
        self._waiting: list[dict[str, Any]] = []

    def write(self, prediction: Prediction) -> None:
        self._waiting.append(_common(prediction) | self._columns.lists(prediction))
        if len(self._waiting) == ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def abandon(self) -> None:
        self._file.is_open = False  # pyarrow would write the end of the file

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._waiting, self._schema))
        self._waiting.clear()


class CountingWriter:
    """Hands predictions on to the writer of `file`, counts them, and knows whether `file` holds them all.

    After an error of a writer nobody knows what it has handed on: it may have dropped what it could not write
    and go on as if nothing had happened.
    """

    def __init__(self, writer: FileWriter, file: BinaryIO) -> None:
        self._writer, self._file, self.count = writer, file, 0
        self._state: Literal["open", "broken", "saved"] = "open"

    def write(self, prediction: Prediction) -> None:
        self._state = "broken"
        with naming(self._file.name):
            self._writer.write(prediction)
        self.count += 1
        self._state = "open"

    def close(self) -> None:
        """Write the end of the file, and wait until the disk has it. A second time does nothing."""
        if self._state == "saved":
            return
        self._state = "broken"
        with naming(self._file.name):
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        self._state = "saved"

    def close_after_error(self) -> bool:
        """Close after an error, unless the writer raised it. Returns whether the file holds all rows."""
        with contextlib.suppress(Exception):  # as of a full disk
            if self._state != "broken":
                self.close()
        if self._state != "saved":
            self._writer.abandon()
        return self._state == "saved"


def _common(prediction: Prediction) -> dict[str, Any]:
    return {
        "picture": prediction.key,
        "label": prediction.label,
        "probability": prediction.probability,
        "rejected": prediction.rejected,
    }


def _cell(value: str | float | bool) -> str:
    """A value as a cell of CSV."""
    if isinstance(value, str):
        return csv_cell(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:.6g}"


WRITERS: dict[str, Callable[[BinaryIO, Columns], FileWriter]] = {
    ".csv": CsvPredictionWriter,
    ".jsonl": JsonLinesPredictionWriter,
    ".parquet": ParquetPredictionWriter,
}
#: Those of them whose first rows can be read without the end of the file.
READABLE_IN_PART = (".csv", ".jsonl")


@contextmanager
def open_prediction_writer(path: Path, columns: Columns) -> Iterator[PredictionWriter]:
    """The writer for `path` by its suffix.

    It writes to a file beside it, whose name ends in .partial, and which is renamed to `path` at the end:
    until then `path` stays as it is. After an error a note on it says what the other file holds: the rows so
    far, or, if they could not be written, perhaps a part of them. A Parquet file without its end cannot be
    read, and is removed, as is a file without rows.

    Args:
        path: File to write: .csv, .jsonl or .parquet.
        columns: What the rows hold.

    Raises:
        UsageError: For another suffix.
    """
    check_suffix("--out", path, WRITERS)
    partial = path.with_name(f"{path.name}.partial")
    with _open_partial(partial) as file:
        writer = _begin(path, partial, file, columns)
        try:
            yield writer
            writer.close()
            os.replace(partial, path)
        except BaseException as error:
            _tell_rows(writer, path, partial, error)
            raise


@contextmanager
def _open_partial(partial: Path) -> Iterator[BinaryIO]:
    """The file `partial`, to be written and closed. After an error it is closed without another one."""
    file = open(partial, "wb", opener=as_it_is)  # noqa: SIM115
    try:
        yield file
    finally:
        # Closing writes what waits, which a full disk does not take either.
        with contextlib.suppress(OSError):
            file.close()


def _begin(path: Path, partial: Path, file: BinaryIO, columns: Columns) -> CountingWriter:
    """The writer of `file`, which is `partial`; that is removed if not even its beginning can be written."""
    try:
        with naming(partial):
            return CountingWriter(WRITERS[path.suffix](file, columns), file)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise


def _tell_rows(writer: CountingWriter, path: Path, partial: Path, error: BaseException) -> None:
    """Write what `writer` has, and say in a note on `error` what `partial` holds; see
    `open_prediction_writer`."""
    are_saved = writer.close_after_error()
    if writer.count and are_saved:
        error.add_note(f"{partial} holds the {writer.count:,} rows so far")
    elif writer.count and path.suffix in READABLE_IN_PART:
        error.add_note(
            f"{partial} may hold a part of the {writer.count:,} rows so far; its last line may be cut off"
        )
    else:
        with contextlib.suppress(OSError):
            partial.unlink()
