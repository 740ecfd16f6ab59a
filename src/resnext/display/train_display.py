"""Training on the screen: a live bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from types import TracebackType

from resnext.display.console import plain_console
from resnext.display.progress_bar import LINE_EVERY_S, ProgressBar
from resnext.names import printable_lines
from resnext.recipe import probe
from resnext.run import (
    DecodeProgress,
    EpochEnd,
    Event,
    FeatureProgress,
    HeadFitted,
    RunFinished,
    RunStarted,
    ScanProgress,
    StepEnd,
)
from resnext.run.timed_loader import WaitTimes
from resnext.training.loop import Step

#: Seconds between two readings of the loss for the bar.
BAR_EVERY_S = 0.25
#: Steps that are not timed for the estimate, and how many, or how many seconds of them, are.
WARM_UP_STEPS, TIMED_STEPS, TIMED_S = 3, 20, 10.0
#: Forward passes that take as long as a step: it goes back through the network, too.
PASSES_OF_A_STEP = 3
#: Seconds of training from which a shorter one is suggested.
LONG_S = 600.0


class TrainDisplay:
    """Shows the events of one training run. Closes itself when a `with` block ends."""

    def __init__(self) -> None:
        self.out = plain_console(soft_wrap=True)
        self.bar = ProgressBar("scanning images")
        self.finished = False
        self._shown_at = time.monotonic()
        self._images = 0
        """Images trained on since `_shown_at`."""
        self._waits = self._waits_at_shown = WaitTimes()
        """Times that training has waited: until now, and until `_shown_at`."""
        self._estimate: _Estimate | None = None
        self._has_started = False

    def __enter__(self) -> TrainDisplay:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def is_live(self) -> bool:
        """Whether there is a terminal or a notebook for a bar."""
        return self.bar.is_shown

    @property
    def has_estimate(self) -> bool:
        """Whether it was said how long training takes."""
        return self._has_started and self._estimate is None

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
                self._estimate = _Estimate(event)
                self._has_started = True
            case DecodeProgress():
                self._show_decoding(event)
            case StepEnd():
                self._show_step(event)
            case EpochEnd(epoch, epochs, val, is_best):
                self._print(epoch.text(epochs, val) + (" *" if is_best else ""))
                self._start_interval(time.monotonic())
            case FeatureProgress(done, total, computed, waits):
                self._show_features(done, total, computed, waits)
            case HeadFitted():
                self._print(event.text() + (" *" if event.is_best else ""))
            case RunFinished():
                self.bar.close()
                self.bar = ProgressBar("scanning images")  # another run may follow
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

    def _show_features(self, done: int, total: int, computed: int, waits: WaitTimes) -> None:
        now = time.monotonic()
        if self._estimate is not None and (text := self._estimate.count_features(done, total, computed, now)):
            self._print(text)
            self._estimate = None
        if now - self._shown_at < (BAR_EVERY_S if self.bar.is_shown else LINE_EVERY_S):
            return
        seconds, images = now - self._shown_at, computed - self._images
        values = f"{images / seconds:,.0f} images/s  {(waits - self._waits_at_shown).text(seconds)}"
        self._shown_at, self._images, self._waits_at_shown = now, computed, waits
        self.bar.update(done, total, values)
        if not self.bar.is_shown:
            self._print(f"features of {done:,} of {total:,} views: {values}")

    def _show_step(self, event: StepEnd) -> None:
        step, steps = event.step, event.plan.steps
        self._images += step.images
        self._waits = event.waits
        now = time.monotonic()
        if self._estimate is not None and (text := self._estimate.count(step.step, now)):
            self._print(text)
            self._estimate = None
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
        console.print(printable_lines(text), soft_wrap=True)


class _Estimate:
    """How long a training will take, from its first steps."""

    def __init__(self, started: RunStarted) -> None:
        self.started = started
        self._first: tuple[int, float] | None = None

    def count(self, step: int, now: float) -> str:
        """The estimate once `step` is enough for it; empty before."""
        done = step - self.started.first_step
        if done < WARM_UP_STEPS:
            return ""
        if self._first is None:
            self._first = step, now
            return ""
        first, start = self._first
        if step - first < TIMED_STEPS and now - start < TIMED_S:
            return ""
        return self._text((now - start) / (step - first), step)

    def count_features(self, done: int, total: int, computed: int, now: float) -> str:
        """As `count`, where features are computed."""
        if self._first is None:
            self._first = computed, now
            return ""
        first, start = self._first
        if now - start < TIMED_S and computed - first < TIMED_STEPS * self.started.plan.batch:
            return ""
        image_s = (now - start) / (computed - first)
        left = total - done
        lines = [f"time       about {duration(image_s * left)}: {left:,} views of {1000 * image_s:.0f} ms"]
        if image_s * left >= LONG_S and self.started.plan.epochs > 1:
            shorter = duration(image_s * left / self.started.plan.epochs)
            lines.append(f"           about {shorter} with --epochs 1, the images as they are")
        return "\n".join(lines)

    def _text(self, step_s: float, step: int) -> str:
        plan = self.started.plan
        left_s = step_s * (plan.steps - step)
        lines = [f"time       about {duration(left_s)}: {plan.steps - step:,} more steps of {step_s:.2f} s"]
        if left_s >= LONG_S and self.started.has_weights:
            views = plan.images * (probe().epochs or 1)
            soon = duration(step_s / plan.batch / PASSES_OF_A_STEP * views)
            lines.append(
                f"           --recipe probe has a first result in about {soon}; --then finetune goes on"
            )
        elif left_s >= LONG_S and plan.epochs > 3:
            epochs = max(3, round(plan.epochs * LONG_S / 2 / left_s))
            shorter = duration(step_s * epochs * plan.steps_per_epoch)
            lines.append(
                f"           a first look takes about {shorter} with --epochs {epochs}, and less with a "
                "smaller --data.size-px or --model"
            )
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """For people.

    >>> duration(42), duration(800), duration(7300)
    ('42 s', '13 min', '2 h 2 min')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
