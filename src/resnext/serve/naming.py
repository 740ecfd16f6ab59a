"""The names of models in addresses. Standard library only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from resnext.errors import UsageError

#: Names of models, as they stand in addresses.
NAME = re.compile("[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
#: Suffixes that are no part of a name.
SUFFIXES = (".onnx", ".xml", ".pt2", ".safetensors")


def name_models(models: Sequence[str]) -> dict[str, str]:
    """The models of a command line by name: NAME=PATH, or the last part of the path.

    Raises:
        UsageError: A name is none, or stands twice.

    >>> name_models(["runs/pets", "birds=runs/2/best.onnx"])
    {'pets': 'runs/pets', 'birds': 'runs/2/best.onnx'}
    """
    named: dict[str, str] = {}
    for model in models:
        name, equals, place = model.partition("=")
        if not equals or Path(model).exists():
            name, place = Path(_absolute(model)).name, model
            if Path(name).suffix.lower() in SUFFIXES:
                name = Path(name).stem
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{model}: cannot be a name in addresses (letters, digits, . _ -, at most 100); say "
                f"NAME={place}"
            )
        if name in named:
            raise UsageError(f"{model}: there is a model {name} already; say ANOTHER={place}")
        named[name] = place
    return named


def _absolute(model: str) -> str:
    """`model` as an absolute path if it is one, so that `.` has a name; else itself."""
    return str(Path(model).resolve()) if Path(model).exists() else model
