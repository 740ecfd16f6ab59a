"""Adding up the steps of an epoch, without making a GPU wait at each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

import torch

from resnext.metrics import Scores
from resnext.run.folder import RunFolder
from resnext.run.loggers import Loggers
from resnext.training.distribution import Group
from resnext.training.loop import Step

T = TypeVar("T")
R = TypeVar("R")

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
    data_s: float
    transfer_s: float

    def line(self, val: Scores) -> dict[str, Any]:
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
            "data_s": round(self.data_s, 3),
            "transfer_s": round(self.transfer_s, 3),
        }

    def text(self, epochs: int, val: Scores) -> str:
        """The epoch for people."""
        return (
            f"epoch {self.epoch:>{len(str(epochs))}}/{epochs}: train loss {self.loss:.4f}, "
            f"top-1 {100 - self.top1_error:.2f} %; val loss {val.loss:.4f}, "
            f"top-1 {100 - val.top1_error:.2f} %; {self.pictures / self.seconds:,.0f} pictures/s, "
            f"{waited(self.data_s / self.seconds, self.transfer_s / self.seconds)}"
        )


def waited(data: float, transfer: float) -> str:
    """For people: the shares of the time that training waited for pictures, and for their transfer."""
    return f"{100 * data:.0f} % waiting for pictures, {100 * transfer:.0f} % for their transfer"


@dataclass
class Sums:
    """What an epoch's steps add up to so far: part of the checkpoint."""

    loss: float = 0.0
    correct: int = 0
    pictures: int = 0
    seconds: float = 0.0
    data_s: float = 0.0
    transfer_s: float = 0.0


class Timed(Iterator[T]):
    """`items`, and the `seconds` that were spent waiting for them since the start."""

    def __init__(self, items: Iterator[T]) -> None:
        self.items = items
        self.seconds = 0.0

    def __next__(self) -> T:
        start = time.perf_counter()
        try:
            return next(self.items)
        finally:
            self.seconds += time.perf_counter() - start


class Supply(Iterator[T]):
    """Batches that `deliver` brings to the device, where they become the network's input.

    `data_s` were spent waiting for them to be read and decoded, `transfer_s` in `deliver` (which on a GPU
    goes on while the host does not wait).
    """

    def __init__(self, batches: Iterator[T], deliver: Callable[[Iterator[T]], Iterator[T]]) -> None:
        self._read = Timed(batches)
        self._delivered = Timed(deliver(self._read))
        self._prepared: Timed[Any] = Timed(iter(()))
        self._taken = 0.0, 0.0

    def prepared(self, reading: Iterator[R]) -> Iterator[R]:
        """`reading`, which comes before the batches: it counts as waiting for them."""
        self._prepared = prepared = Timed(reading)
        return prepared

    def __next__(self) -> T:
        return next(self._delivered)

    @property
    def data_s(self) -> float:
        return self._prepared.seconds + self._read.seconds

    @property
    def transfer_s(self) -> float:
        return self._delivered.seconds - self._read.seconds

    def take(self) -> tuple[float, float]:
        """`data_s` and `transfer_s` since this was last asked."""
        before, self._taken = self._taken, (self.data_s, self.transfer_s)
        return self._taken[0] - before[0], self._taken[1] - before[1]


class Tally:
    """The steps of the epoch that goes on, written to metrics.jsonl as they come.

    `sums` is what an interrupted run had of this epoch; `supply` knows how long training waited for it.
    """

    def __init__(
        self, folder: RunFolder, sums: Sums, supply: Supply[Any], loggers: Loggers, group: Group
    ) -> None:
        self.folder = folder
        self.group = group
        self.sums = sums
        self.supply = supply
        self.loggers = loggers
        self.waiting: list[Step] = []
        self.since = time.perf_counter()

    def add(self, step: Step) -> None:
        """Count `step` in."""
        self.waiting.append(step)
        if len(self.waiting) == FLUSH_EVERY:
            self.flush()

    def _read(self) -> list[list[float]]:
        """Loss and number of right answers of each waiting step, over its whole batch."""
        if not self.waiting:
            return []
        numbers = [torch.stack([step.loss, step.correct.to(step.loss.dtype)]) for step in self.waiting]
        read: list[list[float]] = self.group.add(torch.stack(numbers).cpu().double()).tolist()
        return read

    def finish_epoch(self, step: int, steps_per_epoch: int) -> Epoch:
        """The epoch, whose last step has been added and flushed; what follows belongs to the next."""
        sums, self.sums = self.sums, Sums()
        return Epoch(
            epoch=step // steps_per_epoch,
            step=step,
            loss=sums.loss / sums.pictures,
            top1_error=100 * (1 - sums.correct / sums.pictures),
            pictures=sums.pictures,
            seconds=sums.seconds,
            data_s=sums.data_s,
            transfer_s=sums.transfer_s,
        )

    def resume_clock(self) -> None:
        """Leave out the time since the last flush: it was not training."""
        self.since = time.perf_counter()

    def flush(self) -> dict[str, Any]:
        """Write what waits; returns the sums as JSON. On a GPU this waits for the steps to end; all processes
        of a group must do it after the same step."""
        lines = []
        for step, (loss, correct) in zip(self.waiting, self._read(), strict=True):
            self.sums.loss += loss * step.pictures
            self.sums.correct += int(correct)
            self.sums.pictures += step.pictures
            lines.append({"step": step.step, "loss": loss, "lr": step.lr})
        if lines:
            self.folder.add_metrics(lines)
            loss = sum(line["loss"] for line in lines) / len(lines)
            self.loggers.log(step.step, {"loss": loss, "lr": step.lr})
        self.waiting.clear()
        now = time.perf_counter()
        self.sums.seconds += now - self.since
        data_s, transfer_s = self.supply.take()
        self.sums.data_s += data_s
        self.sums.transfer_s += transfer_s
        self.since = now
        return asdict(self.sums)
