"""JSON and TOML that others may have written: parsed strictly, within bounds, and turned into typed values.

Python's readers take more than the formats allow (NaN, a key twice, half a character), and a small file can
ask them for any amount of time, memory or stack. All errors here are `ValueError`s that name the place in the
file; each caller raises its own error from them. Standard library only.
"""

from __future__ import annotations

import errno
import functools
import json
import math
import os
import re
import reprlib
import tomllib
import types
import typing
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from resnext.files import ordinary

Kind = TypeVar("Kind")

#: Largest JSON file, largest TOML file, and largest line of a file of JSON lines, in bytes.
MAX_JSON_BYTES, MAX_TOML_BYTES, MAX_LINE_BYTES = 64 * 2**20, 2**18, 2**24
#: Largest file of JSON lines, in bytes.
MAX_LINES_BYTES = 2**30
#: Most lists and objects of a text, and most values of any kind.
MAX_CONTAINERS, MAX_VALUES = 1_000_000, 4_000_000
#: Most lists and objects inside each other.
MAX_DEPTH = 32
#: Integers are smaller than this, whatever their sign.
MAX_INTEGER = 2**63
#: Half a character (a lone surrogate) that is no byte of a file name either (`os.fsdecode`).
_HALF_CHARACTER = re.compile("[\ud800-\udc7f\udd00-\udfff]")


@dataclass(frozen=True)
class Range:
    """Bounds of a number, both included, for a type hint such as `Annotated[int, Range(1, 9)]`."""

    least: float
    most: float


class Extensible:
    """Base of dataclasses whose JSON may have further fields, which other versions write. `build` leaves
    them out."""


def read_text(path: Path, max_bytes: int = MAX_JSON_BYTES) -> str:
    """The text of the file at `path`.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no ordinary file, larger than `max_bytes`, or not UTF-8.
    """
    with _open(path, max_bytes) as file:
        content = file.read(max_bytes + 1)
    return _decode(content, max_bytes)


def read_json(path: Path) -> Any:
    """The JSON in the file at `path`. Raises `OSError` or `ValueError`."""
    return parse_json(read_text(path))


def read_json_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects in a file of JSON lines, in order.

    A last line without a line break was cut off while it was being written, and is left out if it is no JSON.
    Lines may hold NaN and Infinity: they record what was measured, such as the loss of a diverged step.

    Raises:
        OSError: The file cannot be opened.
        ValueError: It is no ordinary file or too large, or a line is no JSON object; names the line.
    """
    with _open(path, MAX_LINES_BYTES) as file:
        for number in range(1, MAX_LINES_BYTES):
            line = file.readline(MAX_LINE_BYTES + 1)
            if not line:
                return
            try:
                if line.strip():
                    yield _parse_line(line)
            except ValueError as error:
                if not line.endswith(b"\n") and len(line) <= MAX_LINE_BYTES:
                    return
                raise ValueError(f"line {number}: {error}") from None


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text: without NaN, Infinity, a key that stands twice, or half a character.

    Raises:
        ValueError: The text is no such JSON, or exceeds a bound of this module.

    >>> parse_json('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> parse_json('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    ValueError: the key 'a' stands twice
    """
    return _parse(text, _STRICT)


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text. Raises `ValueError` as `parse_json` does.

    >>> parse_toml("a.b = 1")
    {'a': {'b': 1}}
    """
    if len(text) > MAX_TOML_BYTES:
        raise ValueError(f"larger than {MAX_TOML_BYTES:,} bytes")
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"nested more deeply than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise ValueError(f"not TOML: {error}") from None
    _check_value(table, 0)
    return table


def build(kind: type[Kind], value: Any, where: str) -> Kind:
    """`value`, from JSON, as the type `kind`: a dataclass, whose fields may be numbers, text, lists, tuples,
    dictionaries and dataclasses.

    Nothing is converted but integers to floats. A dataclass may check its values further in `__post_init__`.

    Args:
        kind: The type. Numbers may have bounds, see `Range`.
        value: What `parse_json` returned.
        where: Name of `value` in errors.

    Raises:
        ValueError: A value has another type or exceeds its bounds, or a field is unknown or missing.

    >>> @dataclass
    ... class Point:
    ...     x: float
    >>> build(Point, {"x": 1}, "point")
    Point(x=1.0)
    >>> build(Point, {"x": "1"}, "point")
    Traceback (most recent call last):
    ...
    ValueError: point.x: must be float, not '1'
    """
    made: Kind = _build(kind, value, where)
    return made


def show(value: object) -> str:
    """`value` in an error: shortened, on one line.

    >>> show("x" * 100)
    "'xxxxxxxxxxxxxxxxxxxxxxxxxxx...xxxxxxxxxxxxxxxxxxxxxxxxxxxx'"
    """
    return _SHOWN.repr(value)


@contextmanager
def _open(path: Path, max_bytes: int) -> Iterator[BinaryIO]:
    """The ordinary file at `path`, which has at most `max_bytes`."""
    try:
        file = open(path, "rb", opener=ordinary)  # noqa: SIM115
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.EINVAL):
            raise ValueError("is a folder, or no ordinary file") from None
        raise
    with file:
        if os.fstat(file.fileno()).st_size > max_bytes:
            raise ValueError(f"larger than {max_bytes:,} bytes")
        yield file


def _decode(content: bytes, max_bytes: int) -> str:
    if len(content) > max_bytes:
        raise ValueError(f"larger than {max_bytes:,} bytes")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None


def _parse(text: str | bytes, decoder: json.JSONDecoder) -> Any:
    text = _decode(text, MAX_JSON_BYTES) if isinstance(text, bytes) else text
    containers = text.count("[") + text.count("{")
    if containers > MAX_CONTAINERS or containers + text.count(",") > MAX_VALUES:
        raise ValueError(f"more than {MAX_CONTAINERS:,} lists and objects, or {MAX_VALUES:,} values")
    try:
        value = decoder.decode(text)
    except RecursionError:
        raise ValueError(f"nested more deeply than {MAX_DEPTH} levels") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error}") from None
    _check_value(value, 0)
    return value


def _parse_line(line: bytes) -> dict[str, Any]:
    value = _parse(_decode(line, MAX_LINE_BYTES), _WITH_NAN)
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not {show(value)}")
    return value


def _check_value(value: Any, depth: int) -> None:
    """Raise `ValueError` for what the readers of Python let pass."""
    if depth >= MAX_DEPTH and isinstance(value, dict | list):
        raise ValueError(f"nested more deeply than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_value(key, depth + 1)
            _check_value(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            _check_value(item, depth + 1)
    elif isinstance(value, str):
        if not value.isascii() and _HALF_CHARACTER.search(value):
            raise ValueError(f"half a character in {show(value)}")
    elif isinstance(value, int) and abs(value) >= MAX_INTEGER:
        raise ValueError("an integer has more than 63 bits")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {show(twice)} stands twice")
    return value


def _integer(digits: str) -> int:
    if len(digits) > 20:
        raise ValueError("an integer has more than 63 bits")
    return int(digits)


def _finite(digits: str) -> float:
    if not math.isfinite(value := float(digits)):
        raise ValueError(f"the number {show(digits)} is too large")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def _decoder(constant: Callable[[str], float]) -> json.JSONDecoder:
    return json.JSONDecoder(
        object_pairs_hook=_unique, parse_int=_integer, parse_float=_finite, parse_constant=constant
    )


_STRICT, _WITH_NAN = _decoder(_no_constant), _decoder(float)
_SHOWN = reprlib.Repr()
_SHOWN.maxstring = _SHOWN.maxother = 60
_SHOWN.maxlevel = 2


def _build(kind: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _within(arguments[1:], _build(arguments[0], value, where), where)
    if origin in (types.UnionType, typing.Union):
        return None if value is None else _build(_some(arguments), value, where)
    if origin in (tuple, list):
        return origin(_items(arguments, value, where))
    if origin is dict:
        return {key: _build(arguments[1], item, f"{where}.{key}") for key, item in _object(value, where)}
    if origin is typing.Literal:
        return _one_of(arguments, value, where)
    if kind is Any:
        return value
    if kind is Path:
        return Path(_plain(str, value, where))
    if is_dataclass(kind):
        return _build_dataclass(kind, value, where)
    return _plain(kind, value, where)


def _some(arguments: tuple[Any, ...]) -> Any:
    """The type in `X | None`."""
    return next(argument for argument in arguments if argument is not type(None))


def _one_of(known: tuple[Any, ...], value: Any, where: str) -> Any:
    if not any(type(value) is type(one) and value == one for one in known):
        raise ValueError(f"{where}: must be one of {', '.join(map(str, known))}, not {show(value)}")
    return value


def _within(bounds: tuple[Any, ...], value: Any, where: str) -> Any:
    for bound in bounds:
        if isinstance(bound, Range) and not bound.least <= value <= bound.most:
            raise ValueError(f"{where}: must be from {bound.least:,} to {bound.most:,}, not {show(value)}")
    return value


def _items(arguments: tuple[Any, ...], value: Any, where: str) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{where}: must be a list, not {show(value)}")
    kinds = arguments if len(arguments) > 1 and arguments[-1] is not Ellipsis else arguments[:1] * len(value)
    if len(kinds) != len(value):
        raise ValueError(f"{where}: must be a list of {len(kinds)}, not {show(value)}")
    return [_build(k, item, f"{where}[{i}]") for i, (k, item) in enumerate(zip(kinds, value, strict=True))]


def _object(value: Any, where: str) -> list[tuple[str, Any]]:
    if not isinstance(value, dict):
        raise ValueError(f"{where}: must be an object, not {show(value)}")
    return list(value.items())


def _plain(kind: Any, value: Any, where: str) -> Any:
    """`value` as int, float, str or bool; an integer is a float too."""
    is_number = kind is float and isinstance(value, int) and not isinstance(value, bool)
    if type(value) is not kind and not is_number:
        raise ValueError(f"{where}: must be {kind.__name__}, not {show(value)}")
    if kind is float and not math.isfinite(value):
        raise ValueError(f"{where}: must be finite, not {value}")
    return kind(value)


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return typing.get_type_hints(kind, include_extras=True)


def _build_dataclass(kind: Any, value: Any, where: str) -> Any:
    given = dict(_object(value, where))
    hints = {field.name: _hints(kind)[field.name] for field in fields(kind)}
    unknown = given.keys() - hints.keys()
    if unknown and not issubclass(kind, Extensible):
        raise ValueError(f"{where}: unknown field {show(min(unknown))}")
    required = {f.name for f in fields(kind) if f.default is f.default_factory}  # both are MISSING
    if missing := required - given.keys():
        raise ValueError(f"{where}: field {min(missing)!r} is missing")
    return kind(**{k: _build(hints[k], v, f"{where}.{k}") for k, v in given.items() if k in hints})
