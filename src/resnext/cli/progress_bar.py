"""A progress bar on the terminal."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

#: Seconds between the lines that commands print where there is no terminal for a bar.
LINE_EVERY_S = 15.0


class ProgressBar:
    """A bar on stderr that shows nothing where there is no terminal. Closes itself when a `with` block ends.

    Args:
        description: What is in progress.
    """

    def __init__(self, description: str) -> None:
        self.console = Console(stderr=True)
        self._bar = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,.0f}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[values]}"),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
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
        """Whether there is a terminal for the bar."""
        return self.console.is_terminal

    def update(self, done: int, total: int, values: str = "") -> None:
        """Show that `done` of `total` are done, with `values` beside the bar."""
        self._bar.update(self._task, completed=done, total=total, values=values, visible=True)

    def close(self) -> None:
        """Remove the bar."""
        self._bar.stop()
