"""The options of a command by name, and what was meant by one that it has not."""

from __future__ import annotations

import difflib
import itertools
import typing
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from tyro.conf import Positional

from resnext.cli.command import Command
from resnext.errors import UsageError
from resnext.recipe import Recipe, TrainOptions, dotted_names
from resnext.recipe.other_names import meant_by

#: What marks the field of a command as a word without an option.
_POSITIONAL = typing.get_args(Positional[str])[1]


def check_options(kind: type[Command], words: Sequence[str]) -> None:
    """Raise `UsageError` for the first option in `words` that the command has not.

    Args:
        kind: The command.
        words: What was typed after its name.
    """
    known = (*option_names(kind), "help")
    for word in itertools.takewhile(lambda word: word != "--", words):
        name = word.partition("=")[0].removeprefix("--").replace("-", "_")
        if word.startswith("--") and name not in known and not name.startswith("tyro_"):
            raise UsageError(
                f"there is no option {word.partition('=')[0]} of `resnext {kind.name}`"
                f"{_hint(kind, name)} `resnext {kind.name} --help` lists all"
            )


def option_names(kind: type[Command]) -> tuple[str, ...]:
    """The options of a command by their Python names, without the leading `--`.

    >>> from resnext.cli.commands.convert import ConvertCommand
    >>> option_names(ConvertCommand)
    ('to', 'out')
    """
    names: list[str] = []
    for field, hint in field_hints(kind).items():
        name = typed_name(field, hint)
        if typing.get_args(hint)[:1] == (TrainOptions,):
            names += [field.name for field in fields(TrainOptions)]
        elif typing.get_args(hint)[:1] == (Recipe,):
            for dotted in dotted_names():
                room, _, last = dotted.rpartition(".")
                names += [dotted, f"{room}.no_{last}"]  # the second for switches
        elif field not in positional_names(kind):
            names.append(name)
    return tuple(names)


def positional_names(kind: type[Command]) -> dict[str, str]:
    """The words of a command without an option: what the help calls each, by the name of its field."""
    marks = {name: getattr(hint, "__metadata__", ()) for name, hint in field_hints(kind).items()}
    return {
        name: next(mark.metavar for mark in found if getattr(mark, "metavar", None))
        for name, found in marks.items()
        if _POSITIONAL in found
    }


def typed_name(field: str, hint: Any) -> str:
    """What is typed for a field: its name, unless another one is given, as where Python has the word."""
    names = (getattr(mark, "name", None) for mark in getattr(hint, "__metadata__", ()))
    return next(filter(None, names), field)


def field_hints(kind: type[Command]) -> dict[str, Any]:
    """The types of a command's fields with their marks, by the name of the field."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in fields(kind)}  # type: ignore[arg-type]


def _hint(kind: type[Command], name: str) -> str:
    """What was probably meant by `name`, an option that `kind` has not."""
    words = positional_names(kind)
    if metavar := words.get(name) or next((word for word in words.values() if word.lower() == name), None):
        return f". {metavar} is typed without it: resnext {kind.name} {' '.join(words.values())};"
    known = [known for known in option_names(kind) if ".no_" not in known]
    meant = meant_by(name, known)
    near = [meant] if meant else [known for known in known if known.endswith(f".{name}")]
    near = near or difflib.get_close_matches(name, known, n=2, cutoff=0.6)
    return ". Is it " + " or ".join(f"--{one.replace('_', '-')}" for one in near) + "?" if near else ";"
