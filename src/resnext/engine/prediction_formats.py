"""Tables of predictions: CSV, JSON lines or Parquet, each with the likeliest classes or with all of them."""

from __future__ import annotations

import csv
import io
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from resnext.engine.classifier import Prediction
from resnext.engine.kept_rows import TableFormat
from resnext.names import csv_cell, printable

#: What every row begins with, after the name of its image.
COMMON_COLUMNS = [
    ("label", pa.string()),
    ("probability", pa.float32()),
    ("rejected", pa.bool_()),
    ("set", pa.list_(pa.string())),
]
#: Between the names of a set, where a cell holds all of them.
BETWEEN = "; "
#: The column of that name, in files: earlier versions called an image a picture.
KEY = "picture"

Row = dict[str, Any]


class Columns(ABC):
    """What a row has after the common columns."""

    @property
    @abstractmethod
    def types(self) -> list[tuple[str, pa.DataType]]:
        """Names and types of the columns, where a value may be a list."""

    @abstractmethod
    def values(self, prediction: Prediction) -> Row:
        """Their values for one image."""

    @property
    def cell_names(self) -> list[str]:
        """Names of the columns of a table whose cells are texts and numbers."""
        return [name for name, _ in self.types]

    def cells(self, row: Row) -> list[Any]:
        """The values of `row` in these columns."""
        return [row[name] for name in self.cell_names]

    def objects(self, row: Row) -> Row:
        """The same for JSON, where a value may be an object."""
        return {name: row[name] for name, _ in self.types}


@dataclass(frozen=True)
class TopColumns(Columns):
    """The likeliest classes: label_1, probability_1, label_2, and so on up to `top`."""

    top: int

    @property
    def types(self) -> list[tuple[str, pa.DataType]]:
        kinds = (("label", pa.string()), ("probability", pa.float32()))
        return [(f"{name}_{rank}", kind) for rank in range(1, self.top + 1) for name, kind in kinds]

    def values(self, prediction: Prediction) -> Row:
        likeliest = [value for pair in prediction.ranking[: self.top] for value in pair]
        return dict(zip(self.cell_names, likeliest, strict=True))


@dataclass(frozen=True)
class AllColumns(Columns):
    """The probabilities of all classes, in the order of `classes`."""

    classes: tuple[str, ...]

    @property
    def types(self) -> list[tuple[str, pa.DataType]]:
        return [("probabilities", pa.list_(pa.float32()))]

    def values(self, prediction: Prediction) -> Row:
        of = dict(prediction.ranking)
        return {"probabilities": [of[name] for name in self.classes]}

    @property
    def cell_names(self) -> list[str]:
        return [f"p({name})" for name in self.classes]

    def cells(self, row: Row) -> list[Any]:
        return list(row["probabilities"])

    def objects(self, row: Row) -> Row:
        values = row["probabilities"]
        order = np.argsort(-np.array(values), kind="stable")
        return {"probabilities": {self.classes[i]: values[i] for i in order}}


def choose_columns(classes: tuple[str, ...], top: int | None) -> Columns:
    """The `top` likeliest of `classes`, or all of them if None."""
    return AllColumns(classes) if top is None else TopColumns(min(top, len(classes)))


@dataclass(frozen=True)
class PredictionFormat(TableFormat):
    """What all tables of predictions have."""

    content: Columns

    @property
    def about(self) -> tuple[str, ...]:
        return ("key",)

    @property
    def computed(self) -> list[tuple[str, pa.DataType]]:
        return [*COMMON_COLUMNS, *self.content.types]

    @property
    def width(self) -> int:
        return 1 + len(COMMON_COLUMNS) + len(self.content.cell_names)

    def compute(self, predictions: Sequence[Prediction]) -> dict[str, pa.Array]:
        """The computed columns of `predictions`."""
        rows = [
            {name: getattr(one, name) for name, _ in COMMON_COLUMNS} | self.content.values(one)
            for one in predictions
        ]
        return {name: pa.array([row[name] for row in rows], kind) for name, kind in self.computed}


class CsvFormat(PredictionFormat):
    """A line of cells for each image.

    Names are printable, and none is a formula to a spreadsheet: see `csv_cell`.
    """

    def write(self, tables: Iterator[pa.Table], file: BinaryIO, metadata: dict[bytes, bytes]) -> None:
        common = [name for name, _ in COMMON_COLUMNS]
        with _text(file) as text:
            lines = csv.writer(text)
            lines.writerow([KEY, *common, *map(csv_cell, self.content.cell_names)])
            for row in _rows(tables):
                values = [row["key"], *(row[name] for name in common), *self.content.cells(row)]
                lines.writerow(map(_cell, values))


class JsonLinesFormat(PredictionFormat):
    """An object for each image, on a line of its own; escapes stand for what no terminal should be sent."""

    def write(self, tables: Iterator[pa.Table], file: BinaryIO, metadata: dict[bytes, bytes]) -> None:
        with _text(file) as text:
            for row in _rows(tables):
                common = {KEY: row["key"]} | {name: row[name] for name, _ in COMMON_COLUMNS}
                value = common | self.content.objects(row)
                text.write(printable(json.dumps(value, ensure_ascii=False)) + "\n")


class ParquetFormat(PredictionFormat):
    """A row for each image. The names of the classes are in the file's metadata, as JSON, where a row holds
    the probabilities of all."""

    def write(self, tables: Iterator[pa.Table], file: BinaryIO, metadata: dict[bytes, bytes]) -> None:
        if isinstance(self.content, AllColumns):
            metadata = metadata | {b"classes": json.dumps(self.content.classes).encode()}
        schema = pa.schema([(KEY, pa.string()), *self.computed], metadata)
        with pq.ParquetWriter(file, schema) as writer:
            for table in tables:
                writer.write_table(table.rename_columns(schema.names).cast(schema))


#: The formats by the suffix of the file.
FORMATS: dict[str, type[PredictionFormat]] = {
    ".csv": CsvFormat,
    ".jsonl": JsonLinesFormat,
    ".parquet": ParquetFormat,
}


@contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """`file`, to write text into; it stays open."""
    text = io.TextIOWrapper(file, encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()


def _rows(tables: Iterator[pa.Table]) -> Iterator[Row]:
    for table in tables:
        yield from table.to_pylist()


#: Names of classes come again and again.
_text_cell = lru_cache(maxsize=2**16)(csv_cell)


def _cell(value: str | float | bool | list[str]) -> str:
    """A value as a cell of CSV."""
    if isinstance(value, list):
        value = BETWEEN.join(value)
    if isinstance(value, str):
        return _text_cell(value)
    return str(value).lower() if isinstance(value, bool) else f"{value:.6g}"
