"""Predictions in files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from resnext.cli import prediction_files
from resnext.cli.prediction_files import open_prediction_writer
from resnext.engine import Prediction
from resnext.errors import UsageError

ANSWER = Prediction("1.png", "b", 0.75, (("b", 0.75), ("a", 0.25)))
ALL = prediction_files.AllColumns(("a", "b"))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file of predictions."""
    if ".csv" in path.name:
        return list(csv.DictReader(path.read_text().splitlines()))
    if ".jsonl" in path.name:
        return [json.loads(line) for line in path.read_text().splitlines()]
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("suffix", prediction_files.WRITERS)
def test_an_error_leaves_the_old_file_and_the_rows_so_far_beside_it(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    path.write_text("old")
    with pytest.raises(KeyError) as caught, open_prediction_writer(path, ALL) as writer:  # noqa: PT012
        writer.write(ANSWER)
        raise KeyError
    partial = tmp_path / f"out{suffix}.partial"
    assert path.read_text() == "old"
    assert caught.value.__notes__ == [f"{partial} holds the 1 rows so far"]
    assert [row["picture"] for row in read_rows(partial)] == ["1.png"]
    with open_prediction_writer(path, ALL) as writer:
        writer.write(ANSWER)
    assert [row["label"] for row in read_rows(path)] == ["b"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_before_the_first_row_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_prediction_writer(tmp_path / "out.csv", ALL):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_what_rows_hold(tmp_path: Path) -> None:
    """The same columns in every kind of file; the probabilities of all classes as each kind has them."""
    common = {"picture": "1.png", "label": "b", "probability": 0.75, "rejected": False}
    top = common | {"label_1": "b", "probability_1": 0.75, "label_2": "a", "probability_2": 0.25}
    text = {name: str(value).lower() for name, value in common.items()}
    rows = {}
    for columns in (prediction_files.TopColumns(2), ALL):
        for suffix in prediction_files.WRITERS:
            path = tmp_path / f"out{suffix}"
            with open_prediction_writer(path, columns) as writer:
                writer.write(ANSWER)
            [rows[type(columns), suffix]] = read_rows(path)
    top_rows = {suffix: rows[prediction_files.TopColumns, suffix] for suffix in prediction_files.WRITERS}
    assert top_rows == {
        ".csv": {name: str(value).lower() for name, value in top.items()},
        ".jsonl": top,
        ".parquet": top,
    }
    all_rows = {suffix: rows[prediction_files.AllColumns, suffix] for suffix in prediction_files.WRITERS}
    assert all_rows == {
        ".csv": text | {"p(a)": "0.25", "p(b)": "0.75"},
        ".jsonl": common | {"probabilities": {"b": 0.75, "a": 0.25}},
        ".parquet": common | {"probabilities": [0.25, 0.75]},
    }


def test_more_rows_than_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_files, "ROW_GROUP_ROWS", 2)
    with open_prediction_writer(tmp_path / "out.parquet", ALL) as writer:
        for _ in range(5):
            writer.write(ANSWER)
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_rows == 5


def test_an_unknown_suffix_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"out.xml: must end in .csv, .jsonl, .parquet"),
        open_prediction_writer(tmp_path / "out.xml", ALL),
    ):
        pass
