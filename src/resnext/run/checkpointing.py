"""When the state of a run is saved, and how the processes that train together share it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from resnext.parsing import build
from resnext.recipe.options import CheckpointInterval
from resnext.run.documents import StoredProgress
from resnext.run.folder import RunFolder
from resnext.run.meters import EpochMeter, EpochSummary
from resnext.run.timed_loader import WaitTimes
from resnext.training import checkpoints
from resnext.training.checkpoints import Snapshot
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import TrainState

#: Seconds that a process which has to end waits for the checkpoint that is being written.
LAST_WRITE_S = 60.0


@dataclass
class RunProgress:
    """What a run has reached so far: part of the checkpoint."""

    best_epoch: int = 0
    best_error: float = 100.0
    best_loss: float = 0.0
    seconds: float = 0.0
    """Seconds of training, of which `waits` were spent waiting for images."""
    images: int = 0
    since_best: int = 0
    """Epochs since the best one."""
    waits: WaitTimes = field(default_factory=WaitTimes)
    evaluation_s: float = 0.0
    """Seconds of evaluation on `val`, not part of `seconds`."""
    wall_s: float = 0.0
    """Seconds of the run in all up to the last `tick`, without the time that it lay stopped."""
    since: float = field(default_factory=time.perf_counter)
    """When `wall_s` was true."""

    @property
    def rest_s(self) -> float:
        """Seconds neither of training nor of evaluation on `val`."""
        return max(0.0, self.wall_s - self.seconds - self.evaluation_s)

    def tick(self) -> None:
        """Bring `wall_s` up to date."""
        now = time.perf_counter()
        self.wall_s, self.since = self.wall_s + now - self.since, now

    def add(self, epoch: EpochSummary, error: float, loss: float) -> bool:
        """Add an epoch with its `error` and `loss` on val, and return whether it is the best so far.

        Of equal errors the one with the lower loss is better, of equal losses the later one.
        """
        self.seconds += epoch.seconds
        self.images += epoch.images
        self.waits += epoch.waits
        is_better = (error, loss) <= (self.best_error, self.best_loss)
        if self.best_epoch == 0 or is_better:
            self.best_epoch, self.best_error, self.best_loss = epoch.epoch, error, loss
        self.since_best = epoch.epoch - self.best_epoch
        return self.since_best == 0

    def to_json(self) -> dict[str, Any]:
        """As stored in checkpoints; `from_json` is the inverse."""
        value = {k: v for k, v in vars(self).items() if k not in ("images", "waits", "since")}
        waits = {"data_s": self.waits.data_s, "transfer_s": self.waits.transfer_s}
        return value | {"pictures": self.images} | waits

    @classmethod
    def from_json(cls, value: Any) -> RunProgress:
        """Inverse of `to_json`. Raises `ValueError`."""
        stored = vars(build(StoredProgress, value, "progress")).copy()
        waits = WaitTimes(stored.pop("data_s"), stored.pop("transfer_s"))
        if stored["wall_s"] is None:  # an earlier version did not measure the rest
            stored["wall_s"] = stored["seconds"] + stored["evaluation_s"]
        return cls(images=stored.pop("pictures"), waits=waits, **stored)


class Checkpointer:
    """Saves a run in the background while it trains.

    Args:
        state: The state to save.
        folder: Where checkpoints go; None on all processes but the main one.
        interval: How often to save inside an epoch.
    """

    def __init__(self, state: TrainState, folder: RunFolder | None, interval: CheckpointInterval) -> None:
        self.state = state
        self.folder = folder
        self.interval = interval
        self.standstill_s = 0.0
        """Seconds that training had to wait for saves."""
        self._writer = checkpoints.BackgroundWriter()
        self._saved_step = state.step
        self._saved_time = time.monotonic()

    @property
    def saves(self) -> int:
        """Checkpoints of this process so far."""
        return self._writer.jobs

    def is_due(self) -> bool:
        """Whether the interval since the last save is over. Raises `OSError` if that save has failed."""
        self._writer.check()
        if self.interval.steps is not None:
            return self.state.step - self._saved_step >= self.interval.steps
        return (
            self.interval.seconds is not None and time.monotonic() - self._saved_time >= self.interval.seconds
        )

    def save(self, progress: RunProgress, meter: EpochMeter, is_best: bool = False) -> None:
        """Copy the state and write the copy in the background as `last`, and as `best` if it is.

        A diverged state is not saved. Raises `OSError` if an earlier save failed.
        """
        start = time.perf_counter()
        sums = meter.flush()
        if not math.isfinite(sums.loss):
            return
        meter.writer.sync_metrics()  # no checkpoint may be newer than the metrics
        if (folder := self.folder) is not None:
            progress.tick()
            extra = {"progress": progress.to_json(), "sums": sums.to_json()}
            snapshot = checkpoints.take_snapshot(self.state, extra)
            self._writer.submit(lambda: folder.save_checkpoint(snapshot, is_best))
        self._saved_step, self._saved_time = self.state.step, time.monotonic()
        self.standstill_s += time.perf_counter() - start
        meter.restart_clock()

    def finish_writing(self) -> None:
        """Wait, at most `LAST_WRITE_S`, for what is being written; its errors are ignored, since this process
        ends."""
        self._writer.join(LAST_WRITE_S)

    def close(self) -> None:
        """Wait until nothing is being written: no file of the run may change after it has ended."""
        self._writer.wait()


def broadcast_state(state: TrainState, group: ProcessGroup, extra: dict[str, Any]) -> dict[str, Any]:
    """Give all processes the main process's `state`, and return its `extra`, which is JSON."""
    if group.size == 1:
        return extra
    own = checkpoints.take_snapshot(state, extra) if group.is_main_process else Snapshot({}, {})
    header = group.broadcast_object(lambda: own.header)
    tensors = group.broadcast_tensors(lambda: own.tensors)
    return extra if tensors is None else checkpoints.restore_snapshot(state, Snapshot(tensors, header))


def sync_batch_norm(network: nn.Module, group: ProcessGroup) -> None:
    """Give all processes the main process's batch-norm statistics: each has seen other shards of the
    batches."""
    buffers = dict(network.named_buffers())
    received = group.broadcast_tensors(lambda: {name: buffer.cpu() for name, buffer in buffers.items()})
    for name, tensor in (received or {}).items():
        buffers[name].copy_(tensor)
