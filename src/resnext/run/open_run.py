"""`OpenRun`: one process's part in a run that is open, whatever is fitted in it."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass, field, replace

import numpy as np

from resnext.data.splits import Splits
from resnext.data.workers import worker_errors
from resnext.machine import Machine, busy_note, default_workers
from resnext.recipe.options import LoggerName, TrainOptions
from resnext.run.autoconfig import Choice
from resnext.run.builders import build_plan
from resnext.run.evaluator import RunEvaluator
from resnext.run.events import ClassCount, Event, RunStarted
from resnext.run.folder import NullRunWriter, RunFolder, RunTaken, RunWriter
from resnext.run.input_pipeline import cache_if_small
from resnext.run.loggers import Loggers
from resnext.run.spec import RunSpec
from resnext.run.stop_signals import StopRequest
from resnext.training.distributed import ProcessGroup, ignore_peer_lost
from resnext.training.heartbeat import is_resumable


@dataclass
class OpenRun(ABC):
    """One process's part in a run: from its newest checkpoint, or from the start, to its result."""

    options: TrainOptions
    loggers: tuple[LoggerName, ...]
    group: ProcessGroup
    machine: Machine
    splits: Splits
    folder: RunFolder | None
    """None on all processes but the main one."""
    spec: RunSpec
    choices: tuple[Choice, ...]
    began: float
    """When this process began the run, by `time.perf_counter`: before the data were scanned."""
    writer: RunWriter = field(init=False)

    def __post_init__(self) -> None:
        self.writer = self.folder or NullRunWriter()
        self.recipe, self.contract = self.spec.recipe, self.spec.contract
        self.splits = self.splits.without(self.spec.skipped).in_range(self.contract.grey)
        self.plan = build_plan(self.recipe, self.splits.train)
        side_px, asked = self.contract.input.height_px, self.options.workers
        usual = default_workers(self.machine.device, side_px, self.group.local_size)
        self.workers = usual if asked is None else asked
        val = cache_if_small(self.splits.val, self.contract, self.group, self.workers)
        self.splits = replace(self.splits, val=val)
        self.evaluator = RunEvaluator(
            self.group, self.machine, self.splits, self.folder, self.spec, self.workers
        )

    def train(self) -> Generator[Event, None, None]:
        """Train; status.json says at every moment how the run stands."""
        with contextlib.closing(self.writer), StopRequest(self._on_second_request) as stop:
            self.group.on_peer_lost = self._on_peer_lost
            try:
                self.writer.set_status("running")
                lost = contextlib.nullcontext() if self.folder is None else self.folder.name_loss()
                with self.group.name_failed_peers(), worker_errors(), lost:
                    yield from self._fit(stop)
            except BaseException as error:
                if is_resumable(error):
                    self._set_end("resumable", str(error) or "left by its caller", f"stopped: {error}")
                    raise
                if self.folder is not None and self.folder.last.exists():
                    error.add_note(f"The last good state is {self.folder.last}")
                self._set_end("failed", f"{type(error).__name__}: {error}", f"failed: {error}")
                raise
            finally:
                self.group.on_peer_lost = ignore_peer_lost

    @abstractmethod
    def _fit(self, stop: StopRequest) -> Generator[Event, None, None]:
        """Fit the weights from the newest state that was kept, to the result."""

    def _set_end(self, state: str, why: str, line: str) -> None:
        """Set the status, unless the run has its result already, and append `line` to log.txt."""
        with contextlib.suppress(OSError, RunTaken):  # one of which may be the reason
            self._set_status(state, why)
            self.writer.log(line)

    def _set_status(self, state: str, why: str) -> None:
        if not self._is_finished():
            self.writer.set_status(state, why)

    def _started(self, first_step: int, notes: tuple[str, ...] = ()) -> RunStarted:
        return RunStarted(
            folder=self.spec.path,
            recipe=self.recipe,
            choices=self.choices,
            notes=(*self.splits.notes, *notes, *filter(None, [busy_note()])),
            skipped=self.spec.skipped_errors,
            counts={name: len(images) for name, images in self.splits.items()},
            classes=len(self.contract.classes),
            cost=self.evaluator.cost(),
            device=self.evaluator.device(),
            plan=self.plan,
            first_step=first_step,
            class_counts=_count_classes(self.splits),
            has_weights=self.spec.origin is not None,
        )

    def _open_loggers(self, first_step: int) -> Loggers:
        if self.folder is None:
            return Loggers(self.writer.log)
        return Loggers.open(self.loggers, self.folder, self.recipe, first_step)

    def _is_finished(self) -> bool:
        return self.folder is not None and self.folder.is_finished()

    def _on_second_request(self, why: str) -> None:
        with contextlib.suppress(RunTaken):
            self._set_status("resumable", f"ended at once: {why}")

    def _on_peer_lost(self, why: str, resumable: bool) -> None:
        with contextlib.suppress(RunTaken):
            self._set_status("resumable" if resumable else "failed", why)


def _count_classes(splits: Splits) -> tuple[ClassCount, ...]:
    """Images of each class, by split."""
    counts = {
        name: np.bincount(images.labels, minlength=len(splits.classes)).tolist()
        for name, images in splits.items()
    }
    return tuple(
        ClassCount(name, {split: counts[split][number] for split in counts})
        for number, name in enumerate(splits.classes)
    )
