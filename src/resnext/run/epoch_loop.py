"""The epochs of a run: steps, evaluation on val, checkpoints, and requests to stop."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass

from resnext.data.sampling import SamplingPlan
from resnext.data.splits import Splits
from resnext.run.checkpointing import Checkpointer, RunProgress
from resnext.run.evaluator import RunEvaluator
from resnext.run.events import DecodeProgress, EpochEnd, Event, StepEnd
from resnext.run.folder import RunWriter
from resnext.run.input_pipeline import InputPipeline
from resnext.run.loggers import Loggers
from resnext.run.meters import EpochMeter
from resnext.run.spec import RunSpec
from resnext.run.stop_signals import Stopped, StopRequest, stopped
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import Step, TrainState


@dataclass
class EpochLoop:
    """Trains one run, on this process, from its restored state to its last epoch."""

    spec: RunSpec
    splits: Splits
    plan: SamplingPlan
    group: ProcessGroup
    writer: RunWriter
    loggers: Loggers
    evaluator: RunEvaluator
    state: TrainState
    progress: RunProgress
    meter: EpochMeter
    checkpointer: Checkpointer
    stop: StopRequest

    def run(self, pipeline: InputPipeline, steps: Iterator[Step]) -> Generator[Event, None, None]:
        """Train with `steps`, which consume `pipeline`. Raises `Stopped` on request, after saving."""
        if self._has_unevaluated_epoch():
            yield from self._end_epoch()
        if self.state.step == self.plan.steps or self._is_patience_over():
            return
        for done in pipeline.decode():
            yield DecodeProgress(done, len(self.splits.train), pipeline.waits)
            self.raise_if_stopped()
        for step in steps:
            self.meter.update(step)
            yield StepEnd(step, self.plan, pipeline.waits)
            is_stopping, is_due = self.group.any_rank(
                self.stop.reason is not None, self.checkpointer.is_due()
            )
            if is_stopping:
                self.checkpointer.save(self.progress, self.meter)
                raise self._stopped()
            if step.ends_epoch:
                yield from self._end_epoch()
                if self._is_patience_over():
                    patience, best = self.progress.since_best, self.progress.best_epoch
                    self.writer.log(f"ending early: none of the last {patience} epochs beat epoch {best}")
                    return
            elif is_due:
                self.checkpointer.save(self.progress, self.meter)

    def _has_unevaluated_epoch(self) -> bool:
        """Whether the run was stopped between the last step of an epoch and its evaluation."""
        return self.meter.state.images > 0 and self.state.step % self.plan.steps_per_epoch == 0

    def _is_patience_over(self) -> bool:
        """Whether `training.patience` epochs have brought no better score."""
        patience = self.spec.recipe.training.patience
        return patience > 0 and self.progress.since_best >= patience

    def _end_epoch(self) -> Generator[Event, None, None]:
        """Evaluate the network on val, and save.

        A single process stops during the evaluation if it is asked to; the epoch is then evaluated when the
        run is resumed. Several processes finish it first.
        """
        self.meter.flush()
        start = time.perf_counter()
        try:
            val = self.evaluator.evaluate(self.state, "val", self.splits.val, self.raise_if_stopped).scores
        except Stopped:
            self.meter.restart_clock()
            self.checkpointer.save(self.progress, self.meter)
            raise
        self.progress.evaluation_s += time.perf_counter() - start
        self.meter.restart_clock()
        epoch = self.meter.finish_epoch(self.state.step, self.plan.steps_per_epoch)
        is_balanced = self.spec.recipe.data.balance != "none"
        is_best = self.progress.add(epoch, val.balanced_error if is_balanced else val.top1_error, val.loss)
        metrics = epoch.to_metrics(val)
        self.writer.add_metrics([metrics])
        self.loggers.log(self.state.step, metrics)
        self.writer.log(f"{epoch.text(self.plan.epochs, val)}{', best so far' if is_best else ''}")
        self.checkpointer.save(self.progress, self.meter, is_best)
        yield EpochEnd(epoch, self.plan.epochs, val, is_best)

    def raise_if_stopped(self, *_: int) -> None:
        """Raise `Stopped` on request, in a single process: several must agree on a step first."""
        if self.stop.reason is not None and self.group.size == 1:
            raise self._stopped()

    def _stopped(self) -> Stopped:
        where = f"step {self.state.step} of {self.plan.steps}"
        return stopped(self.stop.reason, where, self.spec.path.name)
