"""`ArchitectureError`, and the hint that ends its messages."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from resnext.errors import ResnextError


class ArchitectureError(ResnextError, ValueError):
    """A name or a set of values that describes no network; the message has the nearest that do."""

    exit_code = 2


def nearest(word: str, known: Iterable[str]) -> str:
    """The end of a message: up to three words of `known` that resemble `word`, else its first four."""
    words = list(known)
    near = difflib.get_close_matches(word.lower(), words, n=3, cutoff=0.5) or words[:4]
    return f". Nearest: {', '.join(near)}"


def check_known(field: str, word: str, known: Iterable[str]) -> None:
    """Raise `ArchitectureError` with the nearest words unless `known` contains `word`."""
    words = list(known)
    if word not in words:
        raise ArchitectureError(f"{field}={word} is not known{nearest(word, words)}")
