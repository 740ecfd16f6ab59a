"""Records that are appended are read again, and damage is named."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from resnext.records import RecordsError, append_record, read_records, stamp


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.jsonl"
    assert read_records(path) == []
    records = [{"a": 1}, {"b": [1.5, "é"]}]
    for record in records:
        append_record(record, path)
    assert read_records(path) == records


def test_a_line_that_was_cut_off_is_left_out_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2, "b"')
    assert read_records(path) == [{"a": 1}]
    append_record({"a": 4}, path)
    assert read_records(path) == [{"a": 1}, {"a": 4}]
    path.write_text('{"a": 1}\n{"a": 5}')  # whole, by an editor that ends no line
    append_record({"a": 6}, path)
    assert read_records(path) == [{"a": 1}, {"a": 5}, {"a": 6}]
    path.write_text('{"a": 1}\n{"a": 2, "b"\n{"a": 3}\n')
    with pytest.raises(RecordsError, match=r"x\.jsonl: line 2"):
        read_records(path)


def test_a_stamp_names_the_commit_of_the_checkout() -> None:
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    head = subprocess.run(git, capture_output=True, text=True, check=False)
    made = stamp("two cores")
    assert made.device == "two cores"
    assert made.commit == (head.stdout.strip() or None)  # none outside a checkout, as in an archive


def test_a_line_that_is_no_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    for line in ("[1]", "3", '{"a": 1, "a": 2}', "[" * 10**5, '{"a": ' + "1" * 5000 + "}"):
        path.write_text('{"a": 1}\n' + line + "\n")
        with pytest.raises(RecordsError, match=r"x\.jsonl: line 2: .*; mend or remove it"):
            read_records(path)
    path.write_text('{"loss": NaN}\n')  # of a run that diverged
    assert str(read_records(path)) == "[{'loss': nan}]"
