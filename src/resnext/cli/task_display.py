"""Experiments on the screen while they run: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterable
from types import TracebackType

from resnext.cli.screen import say
from resnext.display.progress_bar import LINE_EVERY_S, ProgressBar
from resnext.experiments import TaskEnded, TaskProgress, TaskStarted


def show_tasks(events: Iterable[TaskStarted | TaskProgress | TaskEnded]) -> list[TaskEnded]:
    """Show `events`, and return the ends of the tasks that failed."""
    failed = []
    with TaskDisplay() as display:
        for event in events:
            display.show(event)
            if isinstance(event, TaskEnded) and event.why:
                failed.append(event)
    return failed


class TaskDisplay:
    """Shows the events of tasks, one after the other. Closes itself when a `with` block ends."""

    def __init__(self) -> None:
        self.bar = ProgressBar("running")
        self._line_at = time.monotonic()

    def __enter__(self) -> TaskDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.close()

    def show(self, event: TaskStarted | TaskProgress | TaskEnded) -> None:
        """Show one event."""
        match event:
            case TaskStarted(task, number, total, warning):
                self.bar.close()
                say(f"{number}/{total} {task.text}" + (warning and f"; {warning}"), flush=True)
                self.bar = ProgressBar("running")
            case TaskProgress(done, total):
                self._show_progress(done, total)
            case TaskEnded():
                self.bar.close()
                say(f"    {event.text()}", flush=True)

    def _show_progress(self, done: int, total: int) -> None:
        self.bar.update(done, total)
        now = time.monotonic()
        if not self.bar.is_shown and now - self._line_at >= LINE_EVERY_S:
            say(f"    {done}/{total}", flush=True)
            self._line_at = now
