"""Predictions to a file, row by row, at constant memory: CSV, JSON lines or Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from resnext.cli.usage import UsageError
from resnext.engine import Prediction

#: Rows of Parquet that wait in memory.
GROUP = 4096


class Writer(Protocol):
    """Takes predictions, one after the other."""

    count: int

    def write(self, prediction: Prediction) -> None: ...

    def close(self) -> None: ...


class Csv:
    """picture, label, probability, and one column of probabilities a class."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self.file = open(path, "w", newline="", encoding="utf-8")  # noqa: SIM115
        self.rows = csv.writer(self.file)
        self.rows.writerow(["picture", "label", "probability", *(f"p({name})" for name in classes)])
        self.classes = classes
        self.count = 0

    def write(self, prediction: Prediction) -> None:
        of = dict(prediction.ranking)
        values = [f"{of[name]:.6g}" for name in self.classes]
        self.rows.writerow([prediction.key, prediction.label, f"{prediction.probability:.6g}", *values])
        self.count += 1

    def close(self) -> None:
        self.file.close()


class JsonLines:
    """{"picture", "label", "probability", "probabilities": {class: p}}."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        self.file = open(path, "w", encoding="utf-8")  # noqa: SIM115
        self.count = 0

    def write(self, prediction: Prediction) -> None:
        row = {
            "picture": prediction.key,
            "label": prediction.label,
            "probability": prediction.probability,
            "probabilities": dict(prediction.ranking),
        }
        self.file.write(json.dumps(row, ensure_ascii=False) + "\n")
        self.count += 1

    def close(self) -> None:
        self.file.close()


class Parquet:
    """picture, label, probability, probabilities (a list in the order of the classes)."""

    def __init__(self, path: Path, classes: tuple[str, ...]) -> None:
        metadata = {"classes": json.dumps(classes)}
        self.schema = pa.schema(
            [
                ("picture", pa.string()),
                ("label", pa.string()),
                ("probability", pa.float32()),
                ("probabilities", pa.list_(pa.float32())),
            ],
            metadata,
        )
        self.writer = pq.ParquetWriter(path, self.schema)
        self.classes = classes
        self.waiting: list[dict[str, object]] = []
        self.count = 0

    def write(self, prediction: Prediction) -> None:
        of = dict(prediction.ranking)
        row = {"picture": prediction.key, "label": prediction.label, "probability": prediction.probability}
        self.waiting.append(row | {"probabilities": [of[name] for name in self.classes]})
        self.count += 1
        if len(self.waiting) == GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        self.writer.close()

    def _flush(self) -> None:
        self.writer.write_table(pa.Table.from_pylist(self.waiting, self.schema))
        self.waiting.clear()


KINDS: dict[str, type[Csv] | type[JsonLines] | type[Parquet]] = {
    ".csv": Csv,
    ".jsonl": JsonLines,
    ".parquet": Parquet,
}


@contextmanager
def open_writer(path: Path, classes: tuple[str, ...]) -> Iterator[Writer]:
    """The writer for `path` by its suffix; rows written before an error are kept. Raises `UsageError`."""
    if path.suffix not in KINDS:
        raise UsageError(f"--out {path}: must end in {', '.join(KINDS)}")
    writer: Writer = KINDS[path.suffix](path, classes)
    try:
        yield writer
    finally:
        writer.close()
