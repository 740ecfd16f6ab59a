"""Metrics of an epoch, summed up step by step without making the host wait for a GPU at each of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from resnext.metrics import Scores
from resnext.parsing import build
from resnext.run.documents import StoredSums
from resnext.run.folder import RunWriter
from resnext.run.loggers import Loggers
from resnext.run.timed_loader import WaitTimes
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import Step

#: Steps whose losses are read and written together.
FLUSH_EVERY = 20


@dataclass(frozen=True)
class EpochSummary:
    """An epoch, numbered from 1: its last step, and means over its augmented training images."""

    epoch: int
    step: int
    loss: float
    top1_error: float
    images: int
    seconds: float
    waits: WaitTimes

    def to_metrics(self, val: Scores) -> dict[str, Any]:
        """The epoch's line of metrics.jsonl."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": self.loss,
            "train_top1_error": self.top1_error,
            "val_loss": val.loss,
            "val_top1_error": val.top1_error,
            "val_balanced_error": val.balanced_error,
            "seconds": round(self.seconds, 3),
            "data_s": round(self.waits.data_s, 3),
            "transfer_s": round(self.waits.transfer_s, 3),
        }

    def text(self, epochs: int, val: Scores) -> str:
        """The epoch for people, in one line."""
        return (
            f"epoch {self.epoch:>{len(str(epochs))}}/{epochs}: train loss {self.loss:.4f}, "
            f"top-1 {100 - self.top1_error:.2f} %; val loss {val.loss:.4f}, "
            f"top-1 {100 - val.top1_error:.2f} %; {self.images / self.seconds:,.0f} images/s, "
            f"{self.waits.text(self.seconds)}"
        )


@dataclass
class MeterState:
    """Sums over the steps of an epoch so far: part of the checkpoint."""

    loss: float = 0.0
    correct: int = 0
    images: int = 0
    seconds: float = 0.0
    waits: WaitTimes = field(default_factory=WaitTimes)

    def to_json(self) -> dict[str, Any]:
        """As stored in checkpoints; `from_json` is the inverse."""
        waits = self.waits
        return {
            "loss": self.loss,
            "correct": self.correct,
            "pictures": self.images,
            "seconds": self.seconds,
            "data_s": waits.data_s,
            "transfer_s": waits.transfer_s,
        }

    @classmethod
    def from_json(cls, value: Any) -> MeterState:
        """Inverse of `to_json`. Raises `ValueError`."""
        stored = build(StoredSums, value, "sums")
        waits = WaitTimes(stored.data_s, stored.transfer_s)
        return cls(stored.loss, stored.correct, stored.pictures, stored.seconds, waits)


class EpochMeter:
    """Sums up the steps of the current epoch, and writes them to metrics.jsonl and the loggers.

    Args:
        writer: Writes metrics.jsonl.
        state: What an interrupted run had summed up of this epoch.
        waits: The total time that training has waited for images.
        loggers: Where metrics go besides metrics.jsonl.
        group: The processes that share each step.
    """

    def __init__(
        self,
        writer: RunWriter,
        state: MeterState,
        waits: Callable[[], WaitTimes],
        loggers: Loggers,
        group: ProcessGroup,
    ) -> None:
        self.writer = writer
        self.state = state
        self.loggers = loggers
        self.group = group
        self._waits, self._waits_counted = waits, WaitTimes()
        self._pending: list[Step] = []
        self._since = time.perf_counter()

    def update(self, step: Step) -> None:
        """Count `step`."""
        self._pending.append(step)
        if len(self._pending) == FLUSH_EVERY:
            self.flush()

    def flush(self) -> MeterState:
        """Write the pending steps, and return the sums so far.

        On a GPU this waits for these steps to end. All processes of a group must flush after the same step.
        """
        lines = []
        for step, (loss, correct) in zip(self._pending, self._read_pending(), strict=True):
            self.state.loss += loss * step.images
            self.state.correct += int(correct)
            self.state.images += step.images
            lines.append({"step": step.step, "loss": loss, "lr": step.lr})
        if lines:
            self.writer.add_metrics(lines)
            loss = sum(line["loss"] for line in lines) / len(lines)
            self.loggers.log(step.step, {"loss": loss, "lr": step.lr})
        self._pending.clear()
        now, waits = time.perf_counter(), self._waits()
        self.state.seconds += now - self._since
        self.state.waits += waits - self._waits_counted
        self._since, self._waits_counted = now, waits
        return self.state

    def finish_epoch(self, step: int, steps_per_epoch: int) -> EpochSummary:
        """The epoch that ended with `step`, which has been flushed; later steps belong to the next one."""
        state, self.state = self.state, MeterState()
        return EpochSummary(
            epoch=step // steps_per_epoch,
            step=step,
            loss=state.loss / state.images,
            top1_error=100 * (1 - state.correct / state.images),
            images=state.images,
            seconds=state.seconds,
            waits=state.waits,
        )

    def restart_clock(self) -> None:
        """Leave out the time since the last flush, which was not spent on training."""
        self._since = time.perf_counter()

    def _read_pending(self) -> list[list[float]]:
        """Loss and number of correct answers of each pending step, over its whole batch."""
        if not self._pending:
            return []
        numbers = [torch.stack([step.loss, step.correct.to(step.loss.dtype)]) for step in self._pending]
        read: list[list[float]] = self.group.all_reduce(torch.stack(numbers).cpu().double()).tolist()
        return read
