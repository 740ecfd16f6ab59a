"""Check the schemas of the formats with jsonschema, which knows nothing of this package: part of `make docs`.

They must be schemas, take what was written (the example of docs/formats.md, every training in results/) and
refuse the same with a field that is missing, unknown or of another type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

ROOT = Path(__file__).parents[2]


def written() -> Iterator[tuple[str, dict[str, Any]]]:
    """What was written, with the name of its schema."""
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    yield "contract.json", json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])
    for path in (ROOT / "results").rglob("*.jsonl"):
        for line in path.read_text("utf-8").splitlines():
            record = json.loads(line)
            if record.get("kind") == "train":
                yield "result.json", record
                yield from (("metrics-epoch.json", epoch) for epoch in record["curve"])


def damaged(value: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """`value` with one field missing that must be there, one of another type, or one more."""
    for name in schema["required"]:
        yield {key: one for key, one in value.items() if key != name}
        yield value | {name: [None]}
    if not schema["additionalProperties"]:
        yield value | {"unknown": 1}
    for name, one in value.items():
        inner = schema["properties"].get(name, {})
        if isinstance(one, dict) and "required" in inner:
            yield from (value | {name: bad} for bad in damaged(one, inner))


def main() -> int:
    taken = refused = 0
    names = [path.name for path in sorted((ROOT / "docs" / "schemas").glob("*.json"))]
    schemas = {name: json.loads((ROOT / "docs" / "schemas" / name).read_text("utf-8")) for name in names}
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    for name, value in written():
        validator = Draft202012Validator(schemas[name])
        validator.validate(value)
        taken += 1
        for bad in damaged(value, schemas[name]):
            assert not validator.is_valid(bad), (name, bad)
            refused += 1
    assert taken > 100, taken
    print(f"schemas: {len(names)}; documents taken: {taken:,}; damaged ones refused: {refused:,}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
