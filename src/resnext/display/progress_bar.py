"""A progress bar on the terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

from resnext.display.console import plain_console

#: Seconds between the lines that are printed where there is no terminal for a bar.
LINE_EVERY_S = 15.0
#: Narrower terminals get lines, too.
NARROWEST, BAR_WIDTH = 60, 20


class ProgressBar:
    """A bar on stderr that shows nothing where there is no room for it. Closes itself when a `with` block
    ends.

    Bar, count and time left keep their room; `values` beside them are cut where they do not fit.

    Args:
        description: What is in progress.
        console: Where the bar is shown; stderr if None.
    """

    def __init__(self, description: str, console: Console | None = None) -> None:
        self.console = console or plain_console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}", table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn(
                "{task.fields[values]}",
                markup=False,
                table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1),
            ),
            console=self.console,
            transient=True,
            expand=True,
            disable=not self.is_shown,
        )
        self._task: TaskID = self._bar.add_task(description, total=None, values="", visible=False)
        self._bar.start()

    def __enter__(self) -> ProgressBar:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_shown(self) -> bool:
        """Whether there is a terminal that has room for the bar, or a notebook."""
        console = self.console
        if console.is_jupyter:
            return True
        return console.is_terminal and not console.is_dumb_terminal and console.width >= NARROWEST

    def update(self, done: int, total: int, values: str = "") -> None:
        """Show that `done` of `total` are done, with `values` beside the bar."""
        self._bar.update(self._task, completed=done, total=total, values=values, visible=True)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()
