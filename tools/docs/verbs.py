"""The reference of every command, read from what the command-line parser prints for `--help`."""

from __future__ import annotations

import contextlib
import html
import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

from resnext.cli.commands import COMMANDS
from resnext.cli.parser import parse
from resnext.errors import EXIT_CODES

#: Columns of the help: wide enough for every option, too narrow for two boxes side by side.
COLUMNS = 118


@dataclass(frozen=True)
class Option:
    """What is typed, and what it does."""

    typed: str
    text: str


@dataclass(frozen=True)
class Group:
    """The options of one box of the help."""

    title: str
    text: str
    options: tuple[Option, ...]


@dataclass(frozen=True)
class Help:
    """The help of one command."""

    name: str
    usage: str
    text: str
    groups: tuple[Group, ...]


def help_of(name: str) -> Help:
    """The help of the command `name`.

    Raises:
        ValueError: The parser prints its help in a form that is not known here.

    >>> help_of("recipes").usage
    'resnext recipes [-h] NAME'
    """
    lines = _printed(name).splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("╭"))
    usage, _, text = "\n".join(lines[:start]).partition("\n")
    groups = tuple(_group(box) for box in _boxes(lines[start:]))
    return Help(name, usage.removeprefix("usage: "), text.strip(), groups)


def page() -> str:
    """The page about all commands, in Markdown."""
    helps = [help_of(kind.name) for kind in COMMANDS]
    rows = "\n".join(
        f"| [`{one.name}`](#{one.name}) | {_prose(one.text.partition(chr(10))[0])} |" for one in helps
    )
    return (
        "# Commands\n\n"
        "This page is made from what `resnext COMMAND --help` prints.\n\n"
        f"| command | what it does |\n|---|---|\n{rows}\n\n"
        + "\n".join(map(_section, helps))
        + "\n## Exit codes\n\n| code | meaning |\n|---|---|\n"
        + "".join(f"| {code} | {_prose(meaning)} |\n" for code, meaning in EXIT_CODES.items())
    )


def _section(one: Help) -> str:
    parts = [f"## {one.name}", _prose(one.text), f"```text\n{one.usage}\n```"]
    for group in one.groups:
        options = [option for option in group.options if option.typed != "-h, --help"]
        if options:
            parts += [f"### {group.title.capitalize()} {{ #{one.name}-{group.title.replace(' ', '-')} }}"]
            parts += [_prose(group.text)] * bool(group.text)
            parts += [f"`{option.typed}`\n:   {_prose(option.text)}" for option in options]
    return "\n\n".join(parts) + "\n"


def _printed(name: str) -> str:
    """What `resnext NAME --help` prints."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = str(COLUMNS)
    out = io.TextIOWrapper(io.BytesIO(), "utf-8")  # by its encoding the boxes are drawn
    try:
        with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
            parse([name, "--help"])
    finally:
        os.environ.pop("COLUMNS") if before is None else os.environ.update(COLUMNS=before)
    out.seek(0)
    return re.sub("\x1b\\[[0-9;]*m", "", out.read())


def _boxes(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The title and the lines of each box."""
    title, inside = "", list[str]()
    for line in lines:
        if line.startswith("╭"):
            title, inside = line.strip("╭─╮ "), []
        elif line.startswith("╰"):
            yield title, inside
        elif line.startswith("│ ") and line.endswith("│") and "││" not in line:
            inside.append(line[2:-1].rstrip())
        elif line.strip():
            raise ValueError(f"the help of the parser has a line that is not understood: {line!r}")


def _group(box: tuple[str, list[str]]) -> Group:
    title, lines = box
    rule = next((number for number, line in enumerate(lines) if line and set(line) == {"─"}), -1)
    options: list[list[str]] = []
    for line in lines[rule + 1 :]:
        if line.startswith(" "):
            options[-1].append(line.strip())
        elif line:
            typed, *first = re.split(r" {2,}", line, maxsplit=1)
            options.append([typed, *first])
    text = " ".join(lines[: max(rule, 0)])
    return Group(title, text, tuple(_option(typed, " ".join(rest)) for typed, *rest in options))


def _option(typed: str, text: str) -> Option:
    """An option without what the parser says of those that are left out: it goes without saying."""
    typed = typed.replace("{None}|", "").replace("{None,", "{")
    return Option(typed, re.sub(r" \(default: (None|''|)\)$", "", text))


def _prose(text: str) -> str:
    """Text of the help as Markdown: nothing is marked up but what stands between backquotes."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(
        part if number % 2 else re.sub(r"([*_\[\]|\\])", r"\\\1", html.escape(part, quote=False))
        for number, part in enumerate(parts)
    )


if __name__ == "__main__":
    print(page())
