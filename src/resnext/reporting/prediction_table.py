"""The predictions of a run, read from their table some rows at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from resnext.confidence import SetSizes, soften_probabilities
from resnext.contract import MAX_TEMPERATURE, MIN_TEMPERATURE, Calibration
from resnext.files import check_ordinary
from resnext.metrics import BLOCK_VALUES, Outcomes
from resnext.run.folder import TEMPERATURE_KEY

#: How far the probabilities of an image may be from 1 in sum.
SUM_TOLERANCE = 1e-3
#: Bytes of a column that are read from the disk at once.
BUFFER_BYTES = 2**20


@dataclass(frozen=True)
class Predictions:
    """What is kept of a table of predictions.

    Attributes:
        keys: Names of the images.
        outcomes: Whether they are right, and how sure.
        sets: Sizes of their sets; None if no coverage is promised.
    """

    keys: list[str]
    outcomes: Outcomes
    sets: SetSizes | None


def read_predictions(path: Path, classes: int, calibration: Calibration | None = None) -> Predictions:
    """What a table of predictions says about its images.

    Memory is in proportion to the images and to the classes, not to both together.

    Args:
        path: A Parquet file with the columns key, label and probabilities.
        classes: Number of classes.
        calibration: What is made of the probabilities; the table says at which temperature they are.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no such table, or a value in it is impossible; names the column.
    """
    if not path.is_file():
        raise ValueError("there is no such file")
    calibration = calibration or Calibration(1.0)
    keys: list[str] = []
    parts: list[Outcomes] = []
    sets: list[SetSizes] = []
    check_ordinary(path)
    # With `pre_buffer`, the file would be read as a whole first.
    with pq.ParquetFile(path, buffer_size=BUFFER_BYTES, pre_buffer=False) as file:
        _check_columns(file.schema_arrow)
        ratio = calibration.temperature / _temperature(file.schema_arrow)
        rows = max(1, BLOCK_VALUES // classes)
        for batch in file.iter_batches(rows, columns=["key", "label", "probabilities"]):
            labels = _labels(batch["label"], classes)
            probabilities = _probabilities(batch["probabilities"], classes)
            if ratio != 1:
                probabilities = soften_probabilities(probabilities, ratio)
            parts.append(Outcomes.of(probabilities, labels))
            if calibration.sets is not None:
                sets.append(SetSizes.of(probabilities, labels, calibration.sets))
            keys += _no_nulls(batch["key"], "key").to_pylist()
    if not parts:
        raise ValueError("it has no rows")
    return Predictions(keys, Outcomes.join(parts), SetSizes.join(sets) if sets else None)


def _check_columns(schema: pa.Schema) -> None:
    kinds = {
        "key": pa.types.is_string,
        "label": pa.types.is_integer,
        "probabilities": lambda kind: pa.types.is_list(kind) and pa.types.is_floating(kind.value_type),
    }
    for name, fits in kinds.items():
        if schema.names.count(name) != 1:
            raise ValueError(f"it has {schema.names.count(name)} columns called {name}")
        if not fits(schema.field(name).type):
            raise ValueError(f"column {name} holds {schema.field(name).type}")


def _temperature(schema: pa.Schema) -> float:
    """The temperature of the probabilities; earlier versions did not say, and had 1."""
    text = (schema.metadata or {}).get(TEMPERATURE_KEY.encode(), b"1").decode("ascii", "replace")
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not MIN_TEMPERATURE <= value <= MAX_TEMPERATURE:
        raise ValueError(f"its metadata say the temperature {text[:40]!r}, which is none")
    return value


def _no_nulls(column: pa.Array, name: str) -> pa.Array:
    if column.null_count:
        raise ValueError(f"column {name} has empty cells")
    return column


def _labels(column: pa.Array, classes: int) -> NDArray[np.int64]:
    labels = _no_nulls(column, "label").to_numpy(zero_copy_only=False)
    if ((labels < 0) | (labels >= classes)).any():
        raise ValueError(f"column label has numbers that are none of the {classes} classes of contract.json")
    return labels.astype(np.int64)  # type: ignore[no-any-return]


def _probabilities(column: pa.Array, classes: int) -> NDArray[np.float32]:
    lengths = pc.list_value_length(_no_nulls(column, "probabilities")).to_numpy(zero_copy_only=False)
    if (lengths != classes).any():
        raise ValueError("column probabilities does not fit the classes of contract.json")
    values = _no_nulls(column.flatten(), "probabilities").to_numpy(zero_copy_only=False)
    rows: NDArray[np.float32] = values.astype(np.float32, copy=False).reshape(-1, classes)
    is_possible = ((rows >= 0) & (rows <= 1)).all()  # not of NaN
    if not (is_possible and (np.abs(rows.sum(axis=1) - 1) <= SUM_TOLERANCE).all()):
        raise ValueError("column probabilities has rows that are none")
    return rows
