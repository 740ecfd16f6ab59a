"""Predictions in files."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from resnext.cli import prediction_files
from resnext.cli.prediction_files import open_prediction_writer
from resnext.engine import Prediction
from resnext.errors import UsageError

ANSWER = Prediction("1.png", "b", 0.75, (("b", 0.75), ("a", 0.25)))


def test_rows_written_before_an_error_are_kept(tmp_path: Path) -> None:
    for suffix in prediction_files.WRITERS:
        path = tmp_path / f"out{suffix}"
        with pytest.raises(RuntimeError), open_prediction_writer(path, ("a", "b")) as writer:  # noqa: PT012
            writer.write(ANSWER)
            raise RuntimeError
    assert (tmp_path / "out.csv").read_text().splitlines()[1] == "1.png,b,0.75,0.25,0.75"
    assert json.loads((tmp_path / "out.jsonl").read_text())["probabilities"] == {"b": 0.75, "a": 0.25}
    assert pq.read_table(tmp_path / "out.parquet").to_pylist() == [
        {"picture": "1.png", "label": "b", "probability": 0.75, "probabilities": [0.25, 0.75]}
    ]


def test_more_rows_than_a_row_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prediction_files, "ROW_GROUP_ROWS", 2)
    with open_prediction_writer(tmp_path / "out.parquet", ("a", "b")) as writer:
        for _ in range(5):
            writer.write(ANSWER)
    assert pq.ParquetFile(tmp_path / "out.parquet").metadata.num_rows == 5


def test_an_unknown_suffix_is_named(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match=r"out.xml: must end in .csv, .jsonl, .parquet"),
        open_prediction_writer(tmp_path / "out.xml", ("a", "b")),
    ):
        pass
