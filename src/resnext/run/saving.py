"""When and how a run's state goes to its checkpoints."""

from __future__ import annotations

import math
import re
import time
from dataclasses import asdict, dataclass
from typing import Any

from torch import nn

from resnext.run.folder import RunError, RunFolder
from resnext.run.tally import Epoch, Sums, Tally
from resnext.training import checkpoints
from resnext.training.checkpoints import Snapshot
from resnext.training.distribution import Group
from resnext.training.loop import State


@dataclass(frozen=True)
class Every:
    """How often to save inside an epoch: after so many steps, or so many seconds."""

    steps: int | None = None
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> Every:
        """`200` (steps), `90s` or `10min`. Raises `RunError`."""
        match = re.fullmatch(r"([1-9][0-9]*)(s|min|)", text)
        if match is None:
            raise RunError(f"--checkpoint-every {text}: say steps as in 200, or time as in 90s or 10min")
        number, unit = int(match[1]), match[2]
        return cls(steps=number) if unit == "" else cls(seconds=number * {"s": 1.0, "min": 60.0}[unit])


@dataclass
class Progress:
    """What a run has reached so far: part of the checkpoint."""

    best_epoch: int = 0
    best_error: float = 100.0
    best_loss: float = 0.0
    seconds: float = 0.0
    pictures: int = 0
    since_best: int = 0
    """Epochs since the best one."""
    data_s: float = 0.0
    """Seconds of `seconds` that training waited for pictures."""
    transfer_s: float = 0.0
    """And for their way to the device."""
    evaluation_s: float = 0.0
    """Seconds that judging on `val` took, besides."""

    def add(self, epoch: Epoch, error: float, loss: float) -> bool:
        """Count an epoch in, with its `error` and `loss` on val; is it the best?

        Of equal errors the lower loss is, of equal losses the later.
        """
        self.seconds += epoch.seconds
        self.pictures += epoch.pictures
        self.data_s += epoch.data_s
        self.transfer_s += epoch.transfer_s
        better = (error, loss) <= (self.best_error, self.best_loss)
        if self.best_epoch == 0 or better:
            self.best_epoch, self.best_error, self.best_loss = epoch.epoch, error, loss
        self.since_best = epoch.epoch - self.best_epoch
        return self.since_best == 0


class Saver:
    """Saves a run in the background, where this process `leads` those that train it; `standstill_s` is what
    training had to wait for it."""

    def __init__(self, state: State, folder: RunFolder, every: Every, leads: bool) -> None:
        self.state = state
        self.folder = folder
        self.every, self.leads = every, leads
        self.writer = checkpoints.Writer()
        self.standstill_s = 0.0
        self._step = state.step
        self._time = time.monotonic()

    def is_due(self) -> bool:
        """Has enough been done since the last save?"""
        if self.every.steps is not None:
            return self.state.step - self._step >= self.every.steps
        return self.every.seconds is not None and time.monotonic() - self._time >= self.every.seconds

    def save(self, progress: Progress, tally: Tally, is_best: bool = False) -> None:
        """Hand the state over to be written as `last`, and as `best` if it is; what was `last` is `previous`.

        A state that has diverged is not saved. Raises `OSError` if an earlier save failed.
        """
        start = time.perf_counter()
        sums = tally.flush()
        if not math.isfinite(sums["loss"]):
            return
        self.folder.sync_metrics()  # no checkpoint may be newer than what is told of it
        if self.leads:
            snapshot = checkpoints.take(self.state, {"progress": asdict(progress), "sums": sums})
            self.writer.submit(lambda: self.folder.keep(snapshot, is_best))
        self._step, self._time = self.state.step, time.monotonic()
        self.standstill_s += time.perf_counter() - start
        tally.resume_clock()

    def finish_writing(self) -> None:
        """Wait for what is being written, a minute at most, whatever comes of it: this process ends then."""
        self.writer.join(60.0)

    def close(self) -> None:
        """Return when nothing is being written: no file of the run changes after it was left."""
        self.writer.wait()


def restore(state: State, folder: RunFolder, steps_per_epoch: int, group: Group) -> tuple[Progress, Sums]:
    """Load the newest whole checkpoint, if there is any, and forget what was logged after it. The leader of
    `group` does, and the others get its state.

    Raises `RunError` if there are checkpoints but none is whole.
    """
    progress, sums = _restore(state, folder, steps_per_epoch) if group.leads else (Progress(), Sums())
    extra = spread(state, group, {"progress": asdict(progress), "sums": asdict(sums)})
    return Progress(**extra["progress"]), Sums(**extra["sums"])


def spread(state: State, group: Group, extra: dict[str, Any]) -> dict[str, Any]:
    """Give all processes the leader's `state`; returns the leader's `extra`, which is JSON."""
    if group.size == 1:
        return extra
    own = checkpoints.take(state, extra) if group.leads else Snapshot({}, {})
    header = group.share(lambda: own.header)
    tensors = group.receive(lambda: own.tensors)
    return extra if tensors is None else checkpoints.fill(state, Snapshot(tensors, header))


def equalise(network: nn.Module, group: Group) -> None:
    """Give all processes the leader's statistics of batch norms: each has seen other parts of the batches."""
    buffers = dict(network.named_buffers())
    received = group.receive(lambda: {name: buffer.cpu() for name, buffer in buffers.items()})
    for name, tensor in (received or {}).items():
        buffers[name].copy_(tensor)


def _restore(state: State, folder: RunFolder, steps_per_epoch: int) -> tuple[Progress, Sums]:
    damaged = []
    for path in (folder.last, folder.previous):
        if not path.exists():
            continue
        try:
            extra = checkpoints.load(state, path)
        except checkpoints.CheckpointError as error:
            folder.log(f"warning: {error}; falling back to the one before")
            damaged.append(str(error))
            continue
        if path == folder.previous:
            checkpoints.link(path, folder.last)  # or the next save would leave the damaged one as previous
        progress, sums = Progress(**extra["progress"]), Sums(**extra["sums"])
        ended, rest = divmod(state.step, steps_per_epoch)
        folder.cut_metrics(state.step, ended - (rest == 0 and sums.pictures > 0))
        if progress.best_epoch * steps_per_epoch == state.step:
            checkpoints.link(path, folder.best)  # the run may have died before it could
        return progress, sums
    if damaged:
        raise RunError(
            "no checkpoint is whole:\n  " + "\n  ".join(damaged) + "\nStart again under another --name"
        )
    folder.cut_metrics(0, 0)
    return Progress(), Sums()
