"""The tasks of an experiment: a training, or a timing of steps in turns."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Generator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from resnext.arch import Architecture
from resnext.bench import BenchTable, Mode, NothingTimed, bench_step, candidate
from resnext.cost import count_cost
from resnext.data.decode import DataError
from resnext.data.sources import read_splits
from resnext.data.splits import fingerprint
from resnext.experiments.datasets import DATASETS, class_count, dataset_path, make_dataset
from resnext.experiments.findings import SHOWN_ERROR
from resnext.experiments.ledger import DIVERGED, Ledger, Record
from resnext.experiments.other_intervals import pack_correct
from resnext.experiments.study import Arm, Scale, Study
from resnext.files import check_ordinary
from resnext.machine import all_cores, find_machine
from resnext.progress import EventStream
from resnext.recipe import Recipe, TrainOptions
from resnext.records import stamp
from resnext.run import Event, Run, RunError, RunStarted, StepEnd, Stopped, train
from resnext.run.locks import lock_file
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import Diverged

#: Seconds after which a process gives up waiting for another to make a data set, and between its checks.
MAX_WAIT_S, CHECK_EVERY_S = 3600.0, 1.0


@dataclass(frozen=True)
class Workspace:
    """Folders of an experiment, and what it computes on.

    `results` holds the result records, `data` the data sets by name and `runs` the run folders. `device` and
    `workers` are those of `resnext train`.

    >>> Workspace("my-records").results
    PosixPath('my-records')
    """

    results: Path = Path("results/experiments")
    data: Path = Path("data")
    runs: Path = Path("runs/experiments")
    device: str | None = None
    workers: int | None = None

    def __post_init__(self) -> None:
        for name in ("results", "data", "runs"):  # strings are welcome
            object.__setattr__(self, name, Path(getattr(self, name)))


@dataclass(frozen=True)
class TaskProgress:
    """`done` of `total` steps, or rounds, of a task are finished."""

    done: int
    total: int


@dataclass(frozen=True)
class TrainingTask:
    """One run of one arm. `planned` runs of each arm were planned for `experiment`."""

    experiment: str
    scale: Scale
    arm: Arm
    recipe: Recipe
    planned: int

    @property
    def text(self) -> str:
        """The task for people."""
        return f"{self.experiment}, {self.arm.name}, seed {self.recipe.seed}"

    @property
    def name(self) -> str:
        """The name of the run's folder, the same for all experiments that share the run."""
        unseeded = replace(self.recipe, seed=0).to_toml()
        digest = hashlib.sha256(f"{self.arm.data}\n{unseeded}".encode()).hexdigest()[:8]
        return f"{self.arm.data}-{self.recipe.model}-{digest}-s{self.recipe.seed}"

    @property
    def macs(self) -> float:
        """Multiply-adds of the training: for each image a forward pass, and twice as many backward."""
        size, epochs = self.recipe.data.size_px, self.recipe.epochs
        assert size is not None
        assert epochs is not None
        arch = Architecture.from_name(self.arm.model, class_count(self.arm.data))
        return 3.0 * count_cost(arch, size).macs * DATASETS[self.arm.data].images * epochs

    def is_done(self, ledger: Ledger, _device: str) -> bool:
        """Whether the ledger has its record."""
        return self.recipe.seed in ledger.trainings(self.arm)

    def run(
        self, workspace: Workspace, ledger: Ledger, group: ProcessGroup
    ) -> Generator[TaskProgress, None, Record | None]:
        """Train, or resume; return the record, or None where another process of the group returns it.

        A network that diverges gets a record that says so.

        Raises:
            DataError: The data set is not the one of the records in `ledger`.
        """
        data = _make_shared_dataset(self.arm.data, workspace, group)
        digest = _check_fingerprint(self.arm.data, data, workspace, ledger)
        options = TrainOptions(
            self.name, workspace.runs, "auto", device=workspace.device, workers=workspace.workers
        )
        try:
            run = yield from _progress(train(data, self.recipe, options, group))
        except Diverged as error:
            device = find_machine(workspace.device, group.local_rank).name
            return self._diverged(error, digest, device) if group.is_main_process else None
        return self._finished(run) if run.is_main_process else None

    def _finished(self, run: Run) -> Record:
        record = run.result | self._labels()
        for split in ("val", "test"):
            predictions = run.folder / "predictions" / f"{split}.parquet"
            add_shown_error(record, split, predictions)
            add_correct(record, split, predictions)
        return record

    def _diverged(self, error: Diverged, fingerprint: str, device: str) -> Record:
        record: Record = {
            "kind": DIVERGED,
            "why": str(error),
            "seed": self.recipe.seed,
            "recipe": asdict(self.recipe),
            "data": {"name": self.arm.data, "fingerprint": fingerprint},
        }
        return record | self._labels() | asdict(stamp(device))

    def _labels(self) -> Record:
        """What the record says of the experiment."""
        return {
            "experiment": self.experiment,
            "arm": self.arm.name,
            "scale": self.scale,
            "set": self.arm.data,
            "planned": self.planned,
        }


@dataclass(frozen=True)
class TimingTask:
    """One of the repeats in which training steps of all arms are timed in turns."""

    experiment: str
    scale: Scale
    study: Study
    repeat: int
    planned: int

    @property
    def text(self) -> str:
        """The task for people."""
        return f"{self.experiment}, steps of {len(self.study.timed)} networks, time {self.repeat}"

    @property
    def name(self) -> str:
        """Experiment and repeat."""
        return f"{self.experiment}-{self.repeat}"

    @property
    def macs(self) -> float:
        """Multiply-adds of all steps that are timed."""
        timing = self.study.timing
        assert timing is not None
        archs = [Architecture.from_name(arm.model, class_count(arm.data)) for arm in self.study.timed]
        once = sum(count_cost(arch, timing.size_px).macs for arch in archs)
        return 3.0 * once * timing.batch * (timing.rounds + 2)

    def is_done(self, ledger: Ledger, device: str) -> bool:
        """Whether the ledger has its record of this device."""
        return self.repeat in ledger.timings(self.study, device)

    def run(self, workspace: Workspace) -> Generator[TaskProgress, None, Record]:
        """Time the steps, and return the record.

        Raises:
            CannotTime: This machine cannot run the step of a network.
        """
        timing = self.study.timing
        assert timing is not None
        yield TaskProgress(0, timing.rounds)
        table = self._bench(workspace.device)
        labels = {"experiment": self.experiment, "scale": self.scale}
        return table.to_json() | labels | {"seed": self.repeat, "planned": self.planned}

    def _bench(self, device: str | None) -> BenchTable:
        assert self.study.timing is not None
        candidates = [candidate(arm.model, class_count(arm.data)) for arm in self.study.timed]
        mode = Mode(precision=self.study.timed[0].recipe.precision or "float32")
        try:
            with all_cores():
                table = bench_step(candidates, [mode], replace(self.study.timing, device=device))
        except NothingTimed as error:
            raise CannotTime(f"{self.experiment}: {error}") from None
        for what, why in table.failed.items():
            raise CannotTime(f"{self.experiment}: a step of {what} cannot be timed here ({why})")
        return table


class CannotTime(RunError):
    """A network whose training step does not run on this machine."""


Task = TrainingTask | TimingTask


def add_shown_error(record: Record, split: str, predictions: Path) -> None:
    """Add the error among the classes that occur in `split`, in percent, where these are not all classes."""
    if not predictions.exists():
        return
    check_ordinary(predictions)
    table = pq.read_table(predictions)
    labels = table["label"].to_numpy()
    probabilities = np.stack(table["probabilities"].to_numpy(zero_copy_only=False))
    shown = np.unique(labels)
    if len(shown) < probabilities.shape[1]:
        predicted = shown[probabilities[:, shown].argmax(axis=1)]
        record["metrics"][split][SHOWN_ERROR] = 100 * float(np.mean(predicted != labels))


def add_correct(record: Record, split: str, predictions: Path) -> None:
    """Add which images of `split` were classified correctly, in the order of the data, one bit each."""
    if not predictions.exists():
        return
    check_ordinary(predictions)
    table = pq.read_table(predictions)
    probabilities = np.stack(table["probabilities"].to_numpy(zero_copy_only=False))
    correct = probabilities.argmax(axis=1) == table["label"].to_numpy()
    record.setdefault("correct", {})[split] = pack_correct(correct)


def _make_shared_dataset(name: str, workspace: Workspace, group: ProcessGroup) -> str:
    """The DATA of a data set. Of all processes one makes it where it is missing, and the others wait.

    Processes that were not started together share the folder too, so a lock decides and not the group.
    """
    derived, start = workspace.runs / "sets", time.monotonic()
    data = dataset_path(name, workspace.data, derived)
    while data.startswith(str(derived)) and not Path(data).exists():
        if group.is_main_process:
            derived.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(BlockingIOError), lock_file(derived / f"{name}.lock"):
                return make_dataset(name, workspace.data, derived)
        if time.monotonic() - start > MAX_WAIT_S:
            raise RunError(
                f"{data}: another process has not made it for {MAX_WAIT_S:.0f} s; end that process, or give "
                "another --runs"
            )
        time.sleep(CHECK_EVERY_S)
    return data


def _check_fingerprint(name: str, data: str, workspace: Workspace, ledger: Ledger) -> str:
    """The fingerprint of the data set called `name` at `data`.

    Raises `DataError` where the ledger has records of another one.
    """
    found = fingerprint(read_splits(data))
    recorded = ledger.fingerprints.get(name, found)
    if found != recorded:
        raise DataError(
            f"{data}: is another {name} ({found}) than the one that the records in {workspace.results} were "
            f"made with ({recorded}): other images, or the same in other files. Give that set with --data, "
            "or keep the records of this one apart with --results"
        )
    return found


def _progress(training: Generator[Event, None, Run]) -> Generator[TaskProgress, None, Run]:
    """The progress of a training, and its run."""
    with contextlib.closing(training) as events:
        stream = EventStream(events)
        try:
            for event in stream:
                if isinstance(event, RunStarted):
                    yield TaskProgress(event.first_step, event.plan.steps)
                if isinstance(event, StepEnd):
                    yield TaskProgress(event.step.step, event.plan.steps)
        except Stopped as error:
            raise Stopped(f"{str(error).split(';')[0]}; the same command goes on") from None
    return stream.result
