"""`say`: what commands print, names in it made harmless. Standard library only."""

from __future__ import annotations

import os
import sys
from typing import TextIO

from resnext.names import printable


def prepare_screen() -> None:
    """Let stdout and stderr take any text: characters that the screen's encoding lacks are escaped, and where
    the caller has closed one of them nothing is shown."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def flush_screen() -> list[OSError]:
    """Write what was printed and still waits in stdout and stderr.

    Where that fails the rest is discarded, which Python would try to write once more at the end of the
    process, and end with code 120.

    Returns:
        The errors.
    """
    errors = []
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            errors.append(error)
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    return errors


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
