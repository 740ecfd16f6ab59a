"""What verbs show: tables, and training as a live bar on a terminal, as plain lines elsewhere."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Table

from resnext.run import Decoded, Event, Finished, Judged, Looked, Settled, Stepped
from resnext.run.tally import waited
from resnext.training.loop import Step

#: Seconds between plain lines, and between looks at the loss for the bar.
LINE_EVERY_S, LOOK_EVERY_S = 15.0, 0.25


def show_table(table: Table) -> None:
    """On the terminal; in a file no narrower than its rows need."""
    console = Console(highlight=False)
    (console if console.is_terminal else Console(highlight=False, width=160)).print(table)


class Progress:
    """A bar from nothing to all; silent where there is no terminal."""

    def __init__(self, what: str) -> None:
        self.console = Console(stderr=True)
        self.bar = Bar(
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
        self.task: TaskID = self.bar.add_task(what, total=None, values="", visible=False)
        self.bar.start()

    def update(self, done: int, total: int, values: str = "") -> None:
        self.bar.update(self.task, completed=done, total=total, values=values, visible=True)

    def close(self) -> None:
        self.bar.stop()


class Display:
    """Shows the events of one training run."""

    def __init__(self) -> None:
        self.out = Console(highlight=False, soft_wrap=True)
        self.progress = Progress("looking at pictures")
        self.finished = False
        self.looked_at = time.monotonic()
        self.pictures = 0
        self.waited = self.waited_now = 0.0, 0.0

    def show(self, event: Event) -> None:
        match event:
            case Looked(done, total):
                self.progress.update(done, total)
            case Settled():
                self.progress.close()
                self._print(event.text())
                self.progress = Progress("training")
                self.looked_at = time.monotonic()
            case Decoded(done, total, data_s):
                self._decoded(done, total, data_s)
            case Stepped(step, plan, data_s, transfer_s):
                self.pictures += step.pictures
                self.waited_now = data_s, transfer_s
                now, live = time.monotonic(), self.progress.console.is_terminal
                if now - self.looked_at >= (LOOK_EVERY_S if live else LINE_EVERY_S):
                    values = self._values(step, now)
                    self.progress.update(step.step, plan.steps, values)
                    if not live:
                        self._print(f"step {step.step}/{plan.steps}: {values}")
            case Judged(epoch, epochs, val, is_best):
                self._print(epoch.text(epochs, val) + (" *" if is_best else ""))
                self._look(time.monotonic())
            case Finished():
                self.progress.close()
                self.finished = True
                self._print(event.text())

    def close(self) -> None:
        self.progress.close()

    def _decoded(self, done: int, total: int, data_s: float) -> None:
        now = time.monotonic()
        self.progress.update(done, total, "pictures decoded")
        self.waited_now = data_s, 0.0
        if done == total:
            self._look(now)  # the pace of the first steps is theirs alone
        elif not self.progress.console.is_terminal and now - self.looked_at >= LINE_EVERY_S:
            self.looked_at = now
            self._print(f"decoded {done:,} of {total:,} pictures")

    def _look(self, now: float) -> None:
        """Count from here on."""
        self.looked_at, self.pictures, self.waited = now, 0, self.waited_now

    def _values(self, step: Step, now: float) -> str:
        """Loss and top-1 of this process's part of the batch, and the pace of all since the last look (on a
        GPU this waits)."""
        seconds = now - self.looked_at
        pace = self.pictures / seconds
        data_s, transfer_s = (a - b for a, b in zip(self.waited_now, self.waited, strict=True))
        self._look(now)
        loss, top1 = step.loss.item() * step.pictures / step.own, 100 * int(step.correct) / step.own
        shares = waited(data_s / seconds, transfer_s / seconds)
        return f"loss {loss:.3f}  top-1 {top1:.0f} %  {pace:,.0f} pictures/s  {shares}"

    def _print(self, text: str) -> None:
        console = (
            self.progress.console if self.progress.console.is_terminal and sys.stdout.isatty() else self.out
        )
        console.print(text, markup=False, highlight=False, soft_wrap=True)
