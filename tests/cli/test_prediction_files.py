"""Predictions in files."""

from __future__ import annotations

import csv
import errno
import gc
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
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


@pytest.mark.parametrize("suffix", prediction_files.WRITERS)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_before_the_first_row_leaves_nothing(
    error: type[BaseException], suffix: str, tmp_path: Path
) -> None:
    with pytest.raises(error) as caught, open_prediction_writer(tmp_path / f"out{suffix}", ALL):
        raise error
    assert not hasattr(caught.value, "__notes__")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_no_name_turns_the_text_around_or_is_a_formula(suffix: str, tmp_path: Path) -> None:
    names = ("\u202eevil", "a;=1+1", "\x9b31m", "\uff1d1")
    path = tmp_path / f"out{suffix}"
    for columns in (prediction_files.TopColumns(1), prediction_files.AllColumns(names)):
        with open_prediction_writer(path, columns) as writer:
            for name in names:
                ranking = ((name, 1.0), *((other, 0.0) for other in names if other != name))
                writer.write(Prediction(f"{name}.png", name, 1.0, ranking))
        text = path.read_text()
        assert not {"\u202e", "\x9b"} & {*text}
        if suffix == ".jsonl":
            assert [row["label"] for row in read_rows(path)] == [*names]
        else:
            assert ";=" not in text
            assert not {"\uff1d1", "a;=1+1"} & {cell for row in csv.reader(text.splitlines()) for cell in row}


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file of this process grows beyond `size` bytes meanwhile, as on a disk that is full then."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)


def check_what_is_told(path: Path, partial: Path, error: BaseException, written: int) -> None:
    """The old file is as it was, and `partial` holds what the note on `error` says, or does not exist."""
    assert path.read_text() == "old"
    notes = getattr(error, "__notes__", [])
    assert partial.exists() == bool(notes)
    if not notes:
        assert written == 0 or path.suffix == ".parquet"
        return
    keys = [str(i) for i in range(written)]
    if notes == [f"{partial} holds the {written:,} rows so far"]:
        assert [row["picture"] for row in read_rows(partial)] == keys
    else:
        [note] = notes
        assert note.startswith(f"{partial} may hold a part of the {written:,} rows so far; its last line")
        whole = partial.read_text().splitlines()[:-1]
        partial.write_text("\n".join(whole))
        found = [row["picture"] for row in read_rows(partial)]
        assert found == keys[: len(found)]


@pytest.mark.parametrize("size", [0, 3, 1000, 8192, 20_000, 60_000])
@pytest.mark.parametrize("suffix", prediction_files.WRITERS)
def test_a_full_disk(
    suffix: str, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(prediction_files, "ROW_GROUP_ROWS", 64)
    path, partial = tmp_path / f"out{suffix}", tmp_path / f"out{suffix}.partial"
    path.write_text("old")
    written = 0
    with (  # noqa: PT012
        full_disk(size),
        pytest.raises(OSError, match="File too large") as caught,
        open_prediction_writer(path, ALL) as writer,
    ):
        for i in range(4000):
            writer.write(replace(ANSWER, key=str(i)))
            written += 1
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename == str(partial)
    check_what_is_told(path, partial, caught.value, written)
    del writer, caught
    gc.collect()
    assert capfd.readouterr().err == ""  # nobody tries to write the end once more


@pytest.mark.parametrize("suffix", prediction_files.WRITERS)
@pytest.mark.parametrize("place", ["between", "inside"])
def test_an_interrupt(
    suffix: str,
    place: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Between two rows all are kept; inside a row nobody knows how much of it was written."""
    path, partial = tmp_path / f"out{suffix}", tmp_path / f"out{suffix}.partial"
    path.write_text("old")

    def interrupt(_: Prediction) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as caught, open_prediction_writer(path, ALL) as writer:  # noqa: PT012
        for i in range(3):
            writer.write(replace(ANSWER, key=str(i)))
        if place == "inside":
            monkeypatch.setattr(prediction_files, "_common", interrupt)
            writer.write(ANSWER)
        raise KeyboardInterrupt
    monkeypatch.undo()
    check_what_is_told(path, partial, caught.value, 3)
    assert partial.exists() == (place == "between" or suffix != ".parquet")
    if place == "between":
        assert len(read_rows(partial)) == 3
    del writer, caught
    gc.collect()
    assert capfd.readouterr().err == ""


def test_a_path_that_became_a_folder_meanwhile_costs_no_row(tmp_path: Path) -> None:
    path, partial = tmp_path / "out.csv", tmp_path / "out.csv.partial"
    with pytest.raises(IsADirectoryError) as caught, open_prediction_writer(path, ALL) as writer:  # noqa: PT012
        writer.write(ANSWER)
        path.mkdir()
    assert caught.value.__notes__ == [f"{partial} holds the 1 rows so far"]
    assert [row["picture"] for row in read_rows(partial)] == ["1.png"]


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
