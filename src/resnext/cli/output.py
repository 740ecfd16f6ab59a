"""What several commands print: tables, and the images that were left out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.table import Table

from resnext.cli.screen import say
from resnext.data.decode import BadImage
from resnext.display import plain_console
from resnext.machine import count_cores
from resnext.names import MIN_SHORT, counted
from resnext.training import launcher

#: Columns of a table that is not printed to a terminal, those that its readers are taken to have, and bad
#: images that are listed one by one.
WIDTH_IN_FILE, WIDTH_OF_READER, LISTED_BAD = 160, 80, 20


def number_table(texts: Sequence[str], numbers: Sequence[str], title: str | None = None) -> Table:
    """An empty table: columns of text, wrapped where they are wide, then columns of numbers."""
    table = Table(box=None, title=title, title_justify="left")
    for head in texts:
        table.add_column(head, overflow="fold")
    for head in numbers:
        table.add_column(head, justify="right")
    return table


def room_beside(columns: int) -> int:
    """Columns that are left for names in a line whose other cells take so many."""
    console = plain_console()
    return max(MIN_SHORT, (console.width if console.is_terminal else WIDTH_OF_READER) - columns)


def print_table(table: Table) -> None:
    """Print `table`, as wide as the terminal, or wide enough for its rows in a file."""
    console = plain_console()
    (console if console.is_terminal else plain_console(width=WIDTH_IN_FILE)).print(table)


def note_workers(workers: int | None) -> None:
    """Tell on stderr if there are more decoding processes, `workers` for each of ours here, than cores."""
    cores, processes = count_cores(), (workers or 0) * launcher.local_size()
    if processes > cores:
        say(
            f"note: --workers {workers}: {processes} processes would decode images on {cores} cores; "
            f"more than {cores} are no faster",
            file=sys.stderr,
        )


@contextmanager
def hint_at_skipping() -> Iterator[None]:
    """Say in a note on the error of an image that such images can be left out."""
    try:
        yield
    except BadImage as error:
        error.add_note("--on-bad skip lists images that cannot be read, and goes on")
        raise


def print_bad_images(bad: Sequence[BadImage]) -> None:
    """Tell on stderr which images were left out."""
    if not bad:
        return
    more = [f"  and {len(bad) - LISTED_BAD} more"] if len(bad) > LISTED_BAD else []
    listed = (f"  {error}" for error in bad[:LISTED_BAD])
    say(f"left out {counted(len(bad), 'image')} that cannot be read:", *listed, *more, file=sys.stderr)
