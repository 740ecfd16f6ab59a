"""Training on the screen: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from rich.console import Console

from resnext import api
from resnext.cli.progress_bar import LINE_EVERY_S, ProgressBar
from resnext.progress import EventStream
from resnext.recipe import Recipe, TrainOptions
from resnext.run import DecodeProgress, EpochEnd, Event, Run, RunFinished, RunStarted, ScanProgress, StepEnd
from resnext.run.timed_loader import WaitTimes
from resnext.training.loop import Step

#: Seconds between two readings of the loss for the bar.
BAR_EVERY_S = 0.25


def train_with_display(data: str, recipe: Recipe, options: TrainOptions) -> Run:
    """Train, print what happens, and end with the path of the report."""
    stream = EventStream(api.train_events(data, recipe, options))
    with TrainDisplay() as display:
        for event in stream:
            display.show(event)
    run = stream.result
    if not display.finished:
        print(f"{run.folder} had finished already; its result is in result.json")
    print(f"report     {run.folder / 'report.html'}")
    return run


class TrainDisplay:
    """Shows the events of one training run. Closes itself when a `with` block ends."""

    def __init__(self) -> None:
        self.out = Console(highlight=False, soft_wrap=True)
        self.bar = ProgressBar("scanning images")
        self.finished = False
        self._shown_at = time.monotonic()
        self._images = 0
        """Images trained on since `_shown_at`."""
        self._waits = self._waits_at_shown = WaitTimes()
        """Times that training has waited: until now, and until `_shown_at`."""

    def __enter__(self) -> TrainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def show(self, event: Event) -> None:
        """Show one event."""
        match event:
            case ScanProgress(done, total):
                self.bar.update(done, total)
            case RunStarted():
                self.bar.close()
                self._print(event.text())
                self.bar = ProgressBar("training")
                self._shown_at = time.monotonic()
            case DecodeProgress():
                self._show_decoding(event)
            case StepEnd():
                self._show_step(event)
            case EpochEnd(epoch, epochs, val, is_best):
                self._print(epoch.text(epochs, val) + (" *" if is_best else ""))
                self._start_interval(time.monotonic())
            case RunFinished():
                self.bar.close()
                self.finished = True
                self._print(event.text())

    def close(self) -> None:
        """Remove the bar."""
        self.bar.close()

    def _show_decoding(self, event: DecodeProgress) -> None:
        now = time.monotonic()
        self.bar.update(event.done, event.total, "images decoded")
        self._waits = event.waits
        if event.done == event.total:
            self._start_interval(now)  # the first steps' images/s should not include the decoding
        elif not self.bar.is_shown and now - self._shown_at >= LINE_EVERY_S:
            self._shown_at = now
            self._print(f"decoded {event.done:,} of {event.total:,} images")

    def _show_step(self, event: StepEnd) -> None:
        step, steps = event.step, event.plan.steps
        self._images += step.images
        self._waits = event.waits
        now = time.monotonic()
        if now - self._shown_at < (BAR_EVERY_S if self.bar.is_shown else LINE_EVERY_S):
            return
        values = self._values(step, now)
        self.bar.update(step.step, steps, values)
        if not self.bar.is_shown:
            self._print(f"step {step.step}/{steps}: {values}")

    def _values(self, step: Step, now: float) -> str:
        """Loss and top-1 of this process's shard of the batch, and the speed since values were last shown.

        On a GPU this waits for the step.
        """
        seconds = now - self._shown_at
        speed = self._images / seconds
        waiting = (self._waits - self._waits_at_shown).text(seconds)
        self._start_interval(now)
        loss, top1 = step.loss.item() * step.images / step.own, 100 * int(step.correct) / step.own
        return f"loss {loss:.3f}  top-1 {top1:.0f} %  {speed:,.0f} images/s  {waiting}"

    def _start_interval(self, now: float) -> None:
        """Measure speed and waiting from `now` on."""
        self._shown_at, self._images, self._waits_at_shown = now, 0, self._waits

    def _print(self, text: str) -> None:
        console = self.bar.console if self.bar.is_shown and sys.stdout.isatty() else self.out
        console.print(text, markup=False, highlight=False, soft_wrap=True)
