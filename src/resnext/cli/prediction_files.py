"""Predictions written to a file row by row, in constant memory: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from resnext.engine import Prediction
from resnext.errors import UsageError
from resnext.names import csv_cell, printable

#: Rows of a row group of Parquet, which wait in memory.
ROW_GROUP_ROWS = 4096


class PredictionWriter(Protocol):
    """Takes predictions one by one."""

    def write(self, prediction: Prediction) -> None: ...

    def close(self) -> None: ...


class CsvPredictionWriter:
    """Columns: picture, label, probability, and one column of probabilities for each class.

    Names are printable, and none is a formula to a spreadsheet: see `csv_cell`.
    """

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self._file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115
        self._rows = csv.writer(self._file)
        columns = [f"p({printable(name)})" for name in classes]
        self._rows.writerow(["picture", "label", "probability", *columns])
        self._classes = classes

    def write(self, prediction: Prediction) -> None:
        of = dict(prediction.ranking)
        values = [f"{of[name]:.6g}" for name in self._classes]
        names = csv_cell(prediction.key), csv_cell(prediction.label)
        self._rows.writerow([*names, f"{prediction.probability:.6g}", *values])

    def close(self) -> None:
        self._file.close()


class JsonLinesPredictionWriter:
    """Lines of {"picture", "label", "probability", "probabilities": {class: p}}."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115

    def write(self, prediction: Prediction) -> None:
        row = _common_columns(prediction) | {"probabilities": dict(prediction.ranking)}
        self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        self._file.close()


class ParquetPredictionWriter:
    """Columns: picture, label, probability, and probabilities, a list in the order of the classes."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        columns = [
            ("picture", pa.string()),
            ("label", pa.string()),
            ("probability", pa.float32()),
            ("probabilities", pa.list_(pa.float32())),
        ]
        self._schema = pa.schema(columns, {"classes": json.dumps(classes)})
        self._file = pq.ParquetWriter(path, self._schema)
        self._classes = classes
        self._waiting: list[dict[str, Any]] = []

    def write(self, prediction: Prediction) -> None:
        of = dict(prediction.ranking)
        probabilities = [of[name] for name in self._classes]
        self._waiting.append(_common_columns(prediction) | {"probabilities": probabilities})
        if len(self._waiting) == ROW_GROUP_ROWS:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._file.close()

    def _flush(self) -> None:
        self._file.write_table(pa.Table.from_pylist(self._waiting, self._schema))
        self._waiting.clear()


def _common_columns(prediction: Prediction) -> dict[str, Any]:
    return {"picture": prediction.key, "label": prediction.label, "probability": prediction.probability}


WRITERS: dict[str, Callable[[Path, tuple[str, ...]], PredictionWriter]] = {
    ".csv": CsvPredictionWriter,
    ".jsonl": JsonLinesPredictionWriter,
    ".parquet": ParquetPredictionWriter,
}


@contextmanager
def open_prediction_writer(path: Path, classes: tuple[str, ...]) -> Iterator[PredictionWriter]:
    """The writer for `path` by its suffix. It is closed in any case: rows written before an error are kept.

    Args:
        path: File to write: .csv, .jsonl or .parquet.
        classes: Names of the classes, in the order of the probabilities.

    Raises:
        UsageError: For another suffix.
    """
    if path.suffix not in WRITERS:
        raise UsageError(f"--out {path}: must end in {', '.join(WRITERS)}")
    writer = WRITERS[path.suffix](path, classes)
    try:
        yield writer
    finally:
        writer.close()
