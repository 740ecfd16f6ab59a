"""Adding up the steps of an epoch, without making a GPU wait at each of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from resnext.metrics import Scores
from resnext.run.folder import RunFolder
from resnext.training.loop import Step

#: Steps whose losses are read, and written, together.
FLUSH_EVERY = 20


@dataclass(frozen=True)
class Epoch:
    """Epoch number `epoch` (from 1), its last step, and means over its augmented pictures."""

    epoch: int
    step: int
    loss: float
    top1_error: float
    pictures: int
    seconds: float

    def line(self, val: Scores) -> dict[str, Any]:
        """The epoch's line of metrics.jsonl."""
        return {
            "epoch": self.epoch,
            "step": self.step,
            "train_loss": self.loss,
            "train_top1_error": self.top1_error,
            "val_loss": val.loss,
            "val_top1_error": val.top1_error,
            "seconds": round(self.seconds, 3),
        }

    def text(self, epochs: int, val: Scores) -> str:
        """The epoch for people."""
        return (
            f"epoch {self.epoch:>{len(str(epochs))}}/{epochs}: train loss {self.loss:.4f}, "
            f"top-1 {100 - self.top1_error:.2f} %; val loss {val.loss:.4f}, "
            f"top-1 {100 - val.top1_error:.2f} %; {self.pictures / self.seconds:,.0f} pictures/s"
        )


class Tally:
    """One epoch's steps (or what a resumed run does of it), written to metrics.jsonl as they come."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.start = time.perf_counter()
        self.waiting: list[Step] = []
        self.loss = 0.0
        self.correct = 0
        self.pictures = 0

    def add(self, step: Step) -> None:
        """Count `step` in."""
        self.waiting.append(step)
        if len(self.waiting) == FLUSH_EVERY or step.ends_epoch:
            self._flush()

    def finish_epoch(self) -> Epoch:
        """The epoch so far; its last step has been added."""
        return Epoch(
            epoch=self.last.epoch + 1,
            step=self.last.step,
            loss=self.loss / self.pictures,
            top1_error=100 * (1 - self.correct / self.pictures),
            pictures=self.pictures,
            seconds=time.perf_counter() - self.start,
        )

    def _flush(self) -> None:
        lines = []
        for step in self.waiting:
            loss = step.loss.item()
            self.loss += loss * step.pictures
            self.correct += int(step.correct)
            self.pictures += step.pictures
            lines.append({"step": step.step, "loss": loss, "lr": step.lr})
        self.folder.add_metrics(lines)
        self.last = self.waiting[-1]
        self.waiting.clear()
