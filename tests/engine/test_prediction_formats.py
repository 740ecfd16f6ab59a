"""Tables of predictions, as CSV, JSON lines and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from resnext.engine import Prediction
from resnext.engine.prediction_formats import FORMATS, AllColumns, Columns, TopColumns

ANSWER = Prediction("1.png", "b", 0.75, (("b", 0.75), ("a", 0.25)), set=("b", "a"))
ALL = AllColumns(("a", "b"))


def write(path: Path, columns: Columns, predictions: Sequence[Prediction]) -> None:
    format = FORMATS[path.suffix](columns)
    computed = format.compute(predictions)
    table = pa.table({"key": [one.key for one in predictions], **computed}, pa.schema(format.columns))
    with open(path, "wb") as file:
        format.write(iter([table]), file, {})


def _cell(value: Any) -> str:
    return "; ".join(value) if isinstance(value, list) else str(value).lower()


def read(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".csv":
        return list(csv.DictReader(path.read_text().splitlines()))
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("columns", [TopColumns(2), ALL])
def test_what_rows_hold(columns: Columns, suffix: str, tmp_path: Path) -> None:
    """The same columns in every kind of file; the probabilities of all classes as each kind has them."""
    common = {
        "picture": "1.png",
        "label": "b",
        "probability": 0.75,
        "rejected": False,
        "set": ["b", "a"],
    }
    top = common | {"label_1": "b", "probability_1": 0.75, "label_2": "a", "probability_2": 0.25}
    text = {name: _cell(value) for name, value in common.items()}
    expected = {
        (TopColumns, ".csv"): {name: _cell(value) for name, value in top.items()},
        (TopColumns, ".jsonl"): top,
        (TopColumns, ".parquet"): top,
        (AllColumns, ".csv"): text | {"p(a)": "0.25", "p(b)": "0.75"},
        (AllColumns, ".jsonl"): common | {"probabilities": {"b": 0.75, "a": 0.25}},
        (AllColumns, ".parquet"): common | {"probabilities": [0.25, 0.75]},
    }
    path = tmp_path / f"out{suffix}"
    write(path, columns, [ANSWER])
    assert read(path) == [expected[type(columns), suffix]]


def test_parquet_names_the_classes(tmp_path: Path) -> None:
    write(tmp_path / "out.parquet", ALL, [ANSWER])
    assert json.loads(pq.read_schema(tmp_path / "out.parquet").metadata[b"classes"]) == ["a", "b"]


def test_json_has_the_likeliest_class_first(tmp_path: Path) -> None:
    classes = tuple("abcd")
    ranking = (("c", 0.5), ("a", 0.25), ("b", 0.125), ("d", 0.125))
    write(tmp_path / "out.jsonl", AllColumns(classes), [Prediction("1.png", "c", 0.5, ranking)])
    [row] = read(tmp_path / "out.jsonl")
    assert list(row["probabilities"].items()) == list(ranking)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_no_name_turns_the_text_around_or_is_a_formula(suffix: str, tmp_path: Path) -> None:
    names = ("\u202eevil", "a;=1+1", "\x9b31m", "\uff1d1")
    path = tmp_path / f"out{suffix}"
    answers = [
        Prediction(f"{name}.png", name, 1.0, ((name, 1.0), *((o, 0.0) for o in names if o != name)))
        for name in names
    ]
    for columns in (TopColumns(1), AllColumns(names)):
        write(path, columns, answers)
        text = path.read_text()
        assert not {"\u202e", "\x9b"} & {*text}
        if suffix == ".jsonl":
            assert [row["label"] for row in read(path)] == [*names]
        else:
            assert ";=" not in text
            assert not {"\uff1d1", "a;=1+1"} & {cell for row in csv.reader(text.splitlines()) for cell in row}
