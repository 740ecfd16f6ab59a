"""What is refused in JSON and TOML, and that what is accepted is what Python's readers give."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext import parsing
from resnext.parsing import Extensible, Range, build, parse_json, parse_toml, read_json, read_json_lines, show

words = st.text(st.characters(exclude_categories=("Cs",)))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63) + 1, 2**63 - 1) | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
).filter(lambda value: "Infinity" not in json.dumps(value))


@given(values)
def test_what_is_allowed_is_read_as_python_reads_it(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value, ensure_ascii=False), json.dumps(value).encode()):
        assert parse_json(text) == json.loads(text) == value


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[NaN]", "NaN is no number"),
        ("-Infinity", "-Infinity is no number"),
        ("1e999", "too large"),
        ("1" * 5000, "more than 63 bits"),
        (str(2**63), "more than 63 bits"),
        ('{"a": 1, "b": 2, "a": 1}', "the key 'a' stands twice"),
        ('{"a": [{"x": 1, "x": 2}]}', "the key 'x' stands twice"),
        ('"\\ud800"', "half a character"),
        ('{"\\udfff": 1}', "half a character"),
        (b'"\xff"', "not UTF-8 at byte 1"),
        (b'\xef\xbb\xbf"x"', "not JSON"),
        ("[" * 33 + "]" * 33, "nested more deeply than 32"),
        ("[" * 100_000 + "]" * 100_000, "nested more deeply than 32"),
        ('{"a":' * 50_000 + "1" + "}" * 50_000, "nested more deeply than 32"),
        ("[" + "[]," * 1_000_001 + "1]", "more than 1,000,000 lists"),
        ("[" + "1," * 4_000_001 + "1]", "4,000,000 values"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_refused(text: str | bytes, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_json(text)


def test_bytes_of_a_file_name_are_kept() -> None:
    """`json.dumps` writes what `os.fsdecode` makes of a byte that is not UTF-8 as half a character."""
    name = os.fsdecode(b"caf\xe9")
    assert parse_json(json.dumps(name)) == name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a = ", "not TOML"),
        ("a = 1\na = 2", "not TOML"),
        ("a = " + "9" * 5000, "not TOML"),
        (f"a = {2**64}", "more than 63 bits"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested more deeply"),
        ("a = " + "[" * 40 + "]" * 40, "nested more deeply"),
        (".".join("a" * 40) + " = 1", "nested more deeply"),
        ("a = 0x" + "f" * 10_000, "more than 63 bits"),
        ("#" * 2**19, "larger than"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_refused_in_toml(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        parse_toml(text)


def test_files_that_are_none(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # opening it would wait for a writer
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(ValueError, match="no ordinary file"):
            read_json(path)
        with pytest.raises(ValueError, match="no ordinary file"):
            list(read_json_lines(path))
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "none")
    (tmp_path / "large").touch()
    os.truncate(tmp_path / "large", parsing.MAX_JSON_BYTES + 1)
    with pytest.raises(ValueError, match="larger than 67,108,864 bytes"):
        read_json(tmp_path / "large")


def test_lines_and_where_they_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b'{"a": 1}\n\n{"b": NaN}\n{"c": [1')
    first, second = read_json_lines(path)
    assert first == {"a": 1}
    assert second["b"] != second["b"]
    for bad, says in ((b'{"a"\n{}\n', "line 1: not JSON"), (b"{}\n[1]\n", "line 2: must be an object, not")):
        path.write_bytes(bad)
        with pytest.raises(ValueError, match=says):
            list(read_json_lines(path))
    monkeypatch.setattr(parsing, "MAX_LINE_BYTES", 20)
    path.write_bytes(b'{"a": "' + b"x" * 30)  # it does not end, but is no line that was cut off either
    with pytest.raises(ValueError, match="line 1: larger than 20 bytes"):
        list(read_json_lines(path))
    monkeypatch.setattr(parsing, "MAX_LINES_BYTES", 20)
    with pytest.raises(ValueError, match="larger than 20 bytes"):
        list(read_json_lines(path))


@dataclass(frozen=True)
class Inner(Extensible):
    sizes: tuple[int, ...] = ()
    pair: tuple[str, float] | None = None


@dataclass(frozen=True)
class Outer:
    name: str
    share: Annotated[float, Range(0, 1)] = 0.5
    count: Annotated[int, Range(1, 9)] = 1
    by_name: dict[str, Inner] = field(default_factory=dict)
    anything: Any = None

    def __post_init__(self) -> None:
        if self.name == "bad":
            raise ValueError("outer.name: is bad")


def test_typed_values() -> None:
    value = {"name": "x", "share": 1, "by_name": {"a": {"sizes": [1, 2], "pair": ["b", 3], "newer": 0}}}
    made = build(Outer, value, "outer")
    assert made == Outer("x", 1.0, by_name={"a": Inner((1, 2), ("b", 3.0))})
    assert isinstance(made.share, float)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"name": None}, r"outer\.name: must be str, not None"),
        ({"name": True}, r"outer\.name: must be str, not True"),
        ({"name": "bad"}, r"outer\.name: is bad"),
        ({"share": "0.5"}, r"outer\.share: must be float, not '0.5'"),
        ({"share": True}, r"outer\.share: must be float"),
        ({"share": float("nan")}, r"outer\.share: must be finite"),
        ({"share": 1.5}, r"outer\.share: must be from 0 to 1, not 1.5"),
        ({"count": 1.0}, r"outer\.count: must be int, not 1.0"),
        ({"count": 10}, r"outer\.count: must be from 1 to 9, not 10"),
        ({"by_name": []}, r"outer\.by_name: must be an object, not \[\]"),
        ({"by_name": {"a": {"sizes": "12"}}}, r"outer\.by_name\.a\.sizes: must be a list"),
        ({"by_name": {"a": {"sizes": [1, "2"]}}}, r"outer\.by_name\.a\.sizes\[1\]: must be int"),
        ({"by_name": {"a": {"pair": ["b"]}}}, r"outer\.by_name\.a\.pair: must be a list of 2"),
        ({"other": 1}, "outer: unknown field 'other'"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        build(Outer, {"name": "x"} | change, "outer")


def test_what_is_missing_is_named_and_no_error_is_long() -> None:
    with pytest.raises(ValueError, match="outer: field 'name' is missing"):
        build(Outer, {}, "outer")
    with pytest.raises(ValueError, match="outer: must be an object") as error:
        build(Outer, ["x" * 10**6] * 100, "outer")
    assert len(str(error.value)) < 1000
    assert len(show({"x": ["y" * 10**6] * 1000})) < 1000
