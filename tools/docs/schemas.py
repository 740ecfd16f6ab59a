"""JSON schemas of the formats, made from the dataclasses that read them.

`python tools/docs/schemas.py` writes docs/schemas/. A schema says what `resnext.parsing.build` checks by the
types. No schema says what a dataclass checks further when it is made, such as that a contract has a mean for
each channel.
"""

from __future__ import annotations

import inspect
import json
import types
import typing
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from resnext.contract import SCHEMA, Contract
from resnext.parsing import Extensible, Range
from resnext.run.documents import DataDocument, EnvironmentDocument, EpochLine, ResultDocument, StatusDocument

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
#: The file in the folder of schemas, and the dataclass that reads what it describes.
KINDS: dict[str, type] = {
    "contract.json": Contract,
    "data.json": DataDocument,
    "environment.json": EnvironmentDocument,
    "status.json": StatusDocument,
    "result.json": ResultDocument,
    "metrics-epoch.json": EpochLine,
}
#: What a contract has besides the fields of its dataclass.
OF_CONTRACT: dict[str, Any] = {
    "schema": {"const": SCHEMA},
    "written_by": {"type": "string"},
    "exif": {"const": True, "description": "The EXIF orientation of images is always applied."},
}
PLAIN = {int: "integer", float: "number", str: "string", bool: "boolean"}


def schema_of(name: str) -> dict[str, Any]:
    """The schema in the file `name`.

    >>> schema_of("status.json")["properties"]["state"]
    {'type': 'string'}
    """
    kind = KINDS[name]
    schema = _of(kind)
    if kind is Contract:
        schema["properties"] = OF_CONTRACT | schema["properties"]
        schema["required"] = ["schema", *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": name, **schema}


def text_of(name: str) -> str:
    """The content of the file `name`."""
    return json.dumps(schema_of(name), indent=2, ensure_ascii=False) + "\n"


def _of(kind: Any) -> dict[str, Any]:
    """The schema of the type of a field.

    Raises:
        TypeError: There is no schema for such a type.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        bounds = next(one for one in arguments[1:] if isinstance(one, Range))
        return _of(arguments[0]) | {"minimum": bounds.least, "maximum": bounds.most}
    if origin in (types.UnionType, typing.Union):
        some = [one for one in arguments if one is not type(None)]
        return {"anyOf": [*map(_of, some), {"type": "null"}]}
    if origin is typing.Literal:
        return {"enum": list(arguments)}
    if origin in (tuple, list):
        return _of_list(arguments)
    if origin is dict:
        return {"type": "object", "additionalProperties": _of(arguments[1])}
    if is_dataclass(kind):
        return _of_dataclass(kind)
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    raise TypeError(f"no schema for {kind}")


def _of_list(arguments: tuple[Any, ...]) -> dict[str, Any]:
    if len(arguments) == 1 or arguments[-1] is Ellipsis:
        return {"type": "array", "items": _of(arguments[0])}
    count = len(arguments)
    return {"type": "array", "prefixItems": [*map(_of, arguments)], "minItems": count, "maxItems": count}


def _of_dataclass(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    needed = [one.name for one in fields(kind) if one.default is one.default_factory is MISSING]
    return {
        "description": " ".join((inspect.getdoc(kind) or "").partition("\n\n")[0].split()),
        "type": "object",
        "properties": {one.name: _of(hints[one.name]) for one in fields(kind)},
        "required": needed,
        "additionalProperties": issubclass(kind, Extensible),
    }


if __name__ == "__main__":
    for file in KINDS:
        (FOLDER / file).write_text(text_of(file), "utf-8")
