"""Files of result lines: what is appended is read again, and damage is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from resnext.results import ResultsError, append, read_lines


def test_what_is_appended_is_read(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "x.jsonl"
    assert read_lines(path) == []
    lines = [{"a": 1}, {"b": [1.5, "é"]}]
    for line in lines:
        append(line, path)
    assert read_lines(path) == lines


def test_a_line_that_was_cut_off_is_left_out_and_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n{"a": 2, "b"')
    assert read_lines(path) == [{"a": 1}]
    append({"a": 4}, path)
    assert read_lines(path) == [{"a": 1}, {"a": 4}]
    path.write_text('{"a": 1}\n{"a": 5}')  # whole, by an editor that ends no line
    append({"a": 6}, path)
    assert read_lines(path) == [{"a": 1}, {"a": 5}, {"a": 6}]
    path.write_text('{"a": 1}\n{"a": 2, "b"\n{"a": 3}\n')
    with pytest.raises(ResultsError, match=r"x\.jsonl: line 2"):
        read_lines(path)
