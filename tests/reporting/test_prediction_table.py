"""Predictions are read some rows at a time, and impossible ones are refused by the column."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.contract import Calibration, PredictionSets
from resnext.metrics import Outcomes
from resnext.reporting import prediction_table, write_report
from resnext.reporting.prediction_table import read_predictions

ROWS = np.random.default_rng(0).dirichlet(np.ones(3), 20).astype(np.float32)
LABELS = np.random.default_rng(1).integers(0, 3, 20)
KEYS = [f"{i}.png" for i in range(20)]


def write(path: Path, **changes: Any) -> Path:
    columns = {"key": KEYS, "label": LABELS, "probabilities": list(ROWS)} | changes
    pq.write_table(pa.table({name: values for name, values in columns.items() if values is not None}), path)
    return path


def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_table, "BLOCK_VALUES", 3 * 7)
    read = read_predictions(write(tmp_path / "x.parquet"), 3)
    expected, outcomes = Outcomes.of(ROWS, LABELS), read.outcomes
    assert read.keys == KEYS
    for name in vars(expected):
        assert np.array_equal(getattr(outcomes, name), getattr(expected, name))


def changed(place: tuple[int, int], value: float) -> list[np.ndarray]:
    rows = ROWS.copy()
    rows[place] = value
    return list(rows)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"key": None}, "0 columns called key"),
        ({"key": LABELS}, "column key holds int64"),
        ({"key": [None, *KEYS[1:]]}, "column key has empty cells"),
        ({"label": None}, "0 columns called label"),
        ({"label": LABELS + 1}, "none of the 3 classes"),
        ({"label": LABELS - 1}, "none of the 3 classes"),
        ({"label": LABELS.astype(float)}, "column label holds double"),
        ({"label": [None, *LABELS[1:]]}, "column label has empty cells"),
        ({"probabilities": LABELS}, "column probabilities holds int64"),
        ({"probabilities": list(ROWS[:, :2])}, "does not fit the classes"),
        ({"probabilities": [ROWS[0][:2], *ROWS[1:]]}, "does not fit the classes"),
        ({"probabilities": [[0.5, None, 0.5], *ROWS[1:].tolist()]}, "column probabilities has empty cells"),
        ({"probabilities": changed((3, 1), np.nan)}, "rows that are none"),
        ({"probabilities": changed((3, 1), -0.1)}, "rows that are none"),
        ({"probabilities": changed((3, 1), 1.5)}, "rows that are none"),
        ({"probabilities": list(ROWS / 2)}, "rows that are none"),
    ],
)
def test_what_is_impossible_is_refused(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=says):
        read_predictions(write(tmp_path / "x.parquet", **change), 3)


def test_no_rows_and_no_file(tmp_path: Path) -> None:
    table = pa.table({"key": KEYS, "label": LABELS, "probabilities": list(ROWS)})
    pq.write_table(table[:0], tmp_path / "x.parquet")
    with pytest.raises(ValueError, match="no rows"):
        read_predictions(tmp_path / "x.parquet", 3)
    with pytest.raises(ValueError, match="no such file"):
        read_predictions(tmp_path / "none.parquet", 3)


def test_thousands_of_classes_take_little_memory(many_classes: Path) -> None:
    """A matrix of all classes by all classes would take 512 MB, and 8 GB with its copies."""
    tracemalloc.start()
    try:
        write_report([many_classes])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200e6
    page = (many_classes / "report.html").read_text()
    assert "too many classes to draw the matrix" in page
    assert "hardest 1,000 of 8,000 classes" in page
    assert len(page) < 1_000_000


def in_parquet(path: Path, temperature: str) -> Path:
    table = pa.table({"key": KEYS, "label": LABELS, "probabilities": list(ROWS)})
    pq.write_table(table.replace_schema_metadata({"temperature": temperature}), path)
    return path


def test_a_later_calibration_is_applied(tmp_path: Path) -> None:
    """The table was written at another temperature."""
    calibration = Calibration(3.0, sets=PredictionSets(0.9, 0.3))
    read = read_predictions(in_parquet(tmp_path / "x.parquet", "1.5"), 3, calibration)
    softened = np.sqrt(ROWS)
    softened /= softened.sum(1, keepdims=True)
    np.testing.assert_allclose(read.outcomes.confidence, softened.max(1), atol=1e-6)
    assert read.sets is not None
    assert np.array_equal(read.sets.sizes, np.maximum(1, (softened >= 0.3).sum(1)))


@pytest.mark.parametrize("temperature", ["hot", "0", "nan", "1e9", ""])
def test_a_temperature_that_is_none(tmp_path: Path, temperature: str) -> None:
    with pytest.raises(ValueError, match="metadata say the temperature"):
        read_predictions(in_parquet(tmp_path / "x.parquet", temperature), 3)
