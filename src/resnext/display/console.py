"""A console for text that may hold anything, such as names of classes and files."""

from __future__ import annotations

from typing import Any

from rich.console import Console


def plain_console(**options: Any) -> Console:
    """A console that prints text as it is: `[red]` is no colour, and `:cat:` no emoji."""
    return Console(highlight=False, markup=False, emoji=False, **options)
