"""`say`: what commands print, names in it made harmless. Standard library only."""

from __future__ import annotations

import sys
from typing import TextIO

from resnext.names import printable


def say(*lines: str, file: TextIO | None = None, flush: bool = False) -> None:
    r"""Print `lines`. A name in one may hold anything: it acts on no terminal and starts no other line.

    Args:
        *lines: Lines without their ends.
        file: Where to; stdout if None.
        flush: Whether a reader gets them at once.

    >>> say("all of", "cat\x1b[2J\ndog")
    all of
    cat\u001b[2J\ndog
    """
    print(*map(printable, lines), sep="\n", file=file or sys.stdout, flush=flush)


def say_text(text: str) -> None:
    """Print a text whose lines hold no names but escaped ones, such as JSON."""
    say(*text.split("\n"))
