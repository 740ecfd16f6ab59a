"""`NetworkRun`: the weights of the whole network are fitted, step by step."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import torch
from torch import nn

from resnext.run.builders import class_weights
from resnext.run.checkpointing import Checkpointer
from resnext.run.epoch_loop import EpochLoop
from resnext.run.events import Event, RunFinished
from resnext.run.initial_weights import build_initial_network
from resnext.run.input_pipeline import InputPipeline, example_batch
from resnext.run.meters import EpochMeter
from resnext.run.open_run import OpenRun
from resnext.run.resume import restore
from resnext.run.stop_signals import StopRequest
from resnext.training.compiling import compile_network
from resnext.training.loop import Step, TrainState, fit
from resnext.training.precision import torch_precision


@dataclass
class NetworkRun(OpenRun):
    """A run that trains from its newest checkpoint, or from the start."""

    checkpointer: Checkpointer | None = None

    def _fit(self, stop: StopRequest) -> Generator[Event, None, None]:
        state = self._initial_state()
        progress, meter_state = restore(state, self.folder, self.plan.steps_per_epoch, self.group)
        progress.since = self.began
        forward, notes = self._compile(state)
        if self.recipe.training.batch_norm == "synchronised" and self.group.size == 1:
            notes = ("training.batch_norm: one process has nothing to synchronise with", *notes)
        started = self._started(state.step, notes)
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

    def _on_peer_lost(self, why: str, resumable: bool) -> None:
        if self.checkpointer is not None:
            self.checkpointer.finish_writing()
        super()._on_peer_lost(why, resumable)
