"""Training a network on a data set, reported as a sequence of events."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from resnext.data.sources import read_splits
from resnext.data.splits import Splits, fingerprint
from resnext.data.workers import worker_errors
from resnext.machine import (
    DeviceError,
    Machine,
    busy_note,
    default_workers,
    find_machine,
    has_private_gpu,
    use_machine,
)
from resnext.recipe import Recipe
from resnext.recipe.options import LoggerName, TrainOptions
from resnext.run.autoconfig import Choice
from resnext.run.builders import build_plan, class_weights
from resnext.run.checkpointing import Checkpointer
from resnext.run.epoch_loop import EpochLoop
from resnext.run.evaluator import RunEvaluator
from resnext.run.events import ClassCount, Event, RunFinished, RunStarted
from resnext.run.folder import NullRunWriter, Run, RunFolder, RunWriter
from resnext.run.input_pipeline import InputPipeline, cache_if_small, example_batch
from resnext.run.loggers import Loggers, choose_loggers
from resnext.run.meters import EpochMeter
from resnext.run.resume import check_same_run, find_run, restore
from resnext.run.setup import build_initial_network, check_recipe, create_run
from resnext.run.spec import RunSpec, comparable_facts
from resnext.run.stop_signals import StopRequest
from resnext.training.compiling import compile_network
from resnext.training.distributed import ProcessGroup, ignore_peer_lost, init_group
from resnext.training.heartbeat import is_resumable
from resnext.training.loop import Step, TrainState, fit
from resnext.training.precision import torch_precision


def train(
    data: str, recipe: Recipe, options: TrainOptions | None = None, group: ProcessGroup | None = None
) -> Generator[Event, None, Run]:
    """Train on `data` by `recipe`, yielding events; the last one is `RunFinished`.

    Processes that `torchrun` started train together: all yield the same events, the main process writes.

    Args:
        data: DATA, as on the command line.
        recipe: What to train and how; open fields are chosen.
        options: Options beside the recipe.
        group: The group of processes that train together; a new one is joined if None.

    Raises:
        ResnextError: Before the first step `DataError`, `SourceMissing`, `DecoderMissing`, `RecipeError`,
            `RunError`, `ArchitectureError`, `WeightsError`, `DeviceError`, `LaunchError`, `PeersDiffer` or
            `LoggerMissing`; later `Stopped` on a signal, `PeerLost`, `PeerFailed`, `Diverged`, `BadImage`,
            `WorkerError` or `RunFolderLost`.
        OSError: A file cannot be written. The last checkpoint is always intact, and status.json has the
            reason.
    """
    began = time.perf_counter()
    options = options or TrainOptions()
    loggers = choose_loggers(options.log)
    with contextlib.ExitStack() as held:
        group = held.enter_context(init_group()) if group is None else group
        machine = _find_machine(options, group)
        splits = read_splits(data)
        splits = replace(splits, known_fingerprint=fingerprint(splits))
        group.check_equal(comparable_facts(recipe, options, splits, machine))
        _connect(group, machine)
        folder: RunFolder | None = None
        choices: tuple[Choice, ...] = ()
        warnings: tuple[str, ...] = ()
        is_new = False
        unbegun = held.enter_context(contextlib.ExitStack())
        if group.is_main_process:
            folder = find_run(options)
            is_new = folder is None
            if folder is None:
                new = yield from create_run(data, recipe, options, splits, machine, group.size, held)
                folder, choices, warnings = new.folder, new.choices, new.warnings
                unbegun.callback(folder.discard)  # the same command makes it again
            else:
                warnings = tuple(filter(None, [held.enter_context(folder.lock())]))
                yield from check_same_run(folder, recipe, options, splits)
        spec = RunSpec.from_json(group.broadcast_object(lambda: _read_spec(folder)))
        if not spec.finished:
            if not is_new:  # a resumed run may have more processes, and another host may lack a package
                check_recipe(spec.recipe, machine, group.size, has_weights=spec.origin is not None)
            splits = replace(splits, notes=(*splits.notes, *warnings))
            run = _TrainingRun(options, loggers, group, machine, splits, folder, spec, choices, began)
            unbegun.pop_all()
            yield from run.train()
        elif folder is not None:
            folder.confirm_finished()
    return Run(spec.path, group.is_main_process)


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


def _find_machine(options: TrainOptions, group: ProcessGroup) -> Machine:
    """The machine of this process, ready for use. Raises `DeviceError`."""
    if group.local_size > 1 and ":" in (options.device or "") and not has_private_gpu():
        raise DeviceError(
            f"--device {options.device}: {group.local_size} processes would share it; leave out its "
            "number, and each takes its own"
        )
    machine = find_machine(options.device, group.local_rank)
    use_machine(machine)
    return machine


def _connect(group: ProcessGroup, machine: Machine) -> None:
    """Let the processes communicate once: NCCL connects here, so a failure is named as one of the set-up."""
    try:
        group.all_reduce(torch.zeros(1, device=machine.device))
    except torch.distributed.DistError as error:
        reason = str(error).strip().splitlines()[-1]
        raise DeviceError(
            f"the processes cannot reach each other through {machine.device} ({reason})"
        ) from None


def _read_spec(folder: RunFolder | None) -> list[Any]:
    assert folder is not None, "only the main process reads the run folder"
    return RunSpec.read(folder).to_json()


@dataclass
class _TrainingRun:
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
    checkpointer: Checkpointer | None = None

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
                    yield from self._train(stop)
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

    def _set_end(self, state: str, why: str, line: str) -> None:
        """Set the status, unless the run has its result already, and append `line` to log.txt."""
        with contextlib.suppress(OSError):  # a full disk may be the reason
            if not self._is_finished():
                self.writer.set_status(state, why)
            self.writer.log(line)

    def _train(self, stop: StopRequest) -> Generator[Event, None, None]:
        state = self._initial_state()
        progress, meter_state = restore(state, self.folder, self.plan.steps_per_epoch, self.group)
        progress.since = self.began
        forward, notes = self._compile(state)
        started = self._started(state, notes)
        self.writer.log(started.text())
        yield started

        pipeline = InputPipeline(
            self.recipe,
            self.contract,
            self.splits.train,
            self.plan,
            state.step,
            self.machine,
            self.group,
            self.workers,
        )
        with (
            contextlib.closing(self._open_loggers(state.step)) as loggers,
            contextlib.closing(
                Checkpointer(state, self.folder, self.options.checkpoint_interval)
            ) as checkpointer,
            contextlib.closing(pipeline),
        ):
            self.checkpointer = checkpointer
            loop = EpochLoop(
                spec=self.spec,
                splits=self.splits,
                plan=self.plan,
                group=self.group,
                writer=self.writer,
                loggers=loggers,
                evaluator=self.evaluator,
                state=state,
                progress=progress,
                meter=EpochMeter(self.writer, meter_state, lambda: pipeline.waits, loggers, self.group),
                checkpointer=checkpointer,
                stop=stop,
            )
            yield from loop.run(pipeline, self._steps(state, pipeline, forward))
        finished = RunFinished(
            self.spec.path,
            progress.best_epoch,
            self.evaluator.finish(state, progress, loop.raise_if_stopped),
            progress.seconds,
            progress.waits.data_s,
            checkpointer.saves,
            checkpointer.standstill_s,
        )
        self.writer.log(finished.text())
        yield finished

    def _initial_state(self) -> TrainState:
        """The run before its first step."""
        training = self.recipe.training
        # A checkpoint contains what became of the weights, so they are read for the first step only.
        is_first = self.folder is not None and not self.folder.last.exists()
        network = build_initial_network(self.recipe, self.contract, self.spec.origin if is_first else None)
        network.to(self.machine.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.regularise(training.drop_path, training.dropout)
        if training.batch_norm == "synchronised" and self.group.size > 1:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return TrainState(network, training, network.parts())

    def _compile(self, state: TrainState) -> tuple[nn.Module, tuple[str, ...]]:
        """The network as it is executed, and a note if that is not as asked."""
        training = self.recipe.training
        if training.compile == "off":
            return state.network, ()
        count = -(-len(self.group.shard(self.plan.batch)) // training.accumulate)
        images = example_batch(self.recipe, self.contract, count, self.machine.device)
        state.train_mode()
        precision = torch_precision(self.recipe.precision or "float32")
        forward, why = compile_network(state.network, images, training.compile, precision)
        return forward, () if why is None else (f"training.compile: eager instead ({why})",)

    def _started(self, state: TrainState, notes: tuple[str, ...]) -> RunStarted:
        if self.recipe.training.batch_norm == "synchronised" and self.group.size == 1:
            notes = ("training.batch_norm: one process has nothing to synchronise with", *notes)
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
            first_step=state.step,
            class_counts=_count_classes(self.splits),
        )

    def _open_loggers(self, first_step: int) -> Loggers:
        if self.folder is None:
            return Loggers(self.writer.log)
        return Loggers.open(self.loggers, self.folder, self.recipe, first_step)

    def _steps(self, state: TrainState, pipeline: InputPipeline, forward: nn.Module) -> Iterator[Step]:
        weights = class_weights(self.recipe, self.splits.train)
        return fit(
            state,
            pipeline,
            self.recipe.training,
            self.plan.steps_per_epoch,
            self.plan.steps,
            torch_precision(self.recipe.precision or "float32"),
            class_weights=None if weights is None else torch.from_numpy(weights).to(self.machine.device),
            seed=self.recipe.seed,
            group=self.group,
            batch=self.plan.batch,
            forward=forward,
        )

    def _is_finished(self) -> bool:
        return self.folder is not None and self.folder.is_finished()

    def _on_second_request(self, why: str) -> None:
        if not self._is_finished():
            self.writer.set_status("resumable", f"ended at once: {why}")

    def _on_peer_lost(self, why: str, resumable: bool) -> None:
        if self.checkpointer is not None:
            self.checkpointer.finish_writing()
        if not self._is_finished():
            self.writer.set_status("resumable" if resumable else "failed", why)
