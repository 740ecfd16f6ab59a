"""What of an experiment has not been run yet, what it will cost, and running it."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq

from resnext.arch import Architecture
from resnext.bench import Mode, bench_step, contender
from resnext.cost import count_cost
from resnext.experiments.ledger import Ledger, Line, figures, step_times
from resnext.experiments.sets import SETS, classes_of, find_set, is_made
from resnext.experiments.study import Experiment, Scale, Study, Trained
from resnext.machine import find_machine
from resnext.recipe import Recipe
from resnext.results import ERROR, SHOWN_ERROR, append
from resnext.run import Order, Run, RunError, Settled, Stepped, Stopped, train
from resnext.training.distribution import leads
from resnext.training.loop import Diverged

#: Seconds after which a process that waits for another to make a set gives up, and between its looks.
LONGEST_WAIT_S, LOOK_EVERY_S = 3600.0, 1.0


@dataclass(frozen=True)
class Place:
    """Where things lie, and what is computed on: `results` holds the result lines, `data` the sets by name,
    `runs` the run folders."""

    results: Path = Path("results/experiments")
    data: Path = Path("data")
    runs: Path = Path("runs/experiments")
    device: str | None = None
    workers: int | None = None


@dataclass(frozen=True)
class Moved:
    """So many of the steps, or rounds, of a job are done."""

    done: int
    total: int


@dataclass(frozen=True)
class Training:
    """One run of one arm."""

    experiment: str
    scale: Scale
    arm: Trained
    recipe: Recipe
    planned: int

    @property
    def text(self) -> str:
        return f"{self.experiment}, {self.arm.name}, seed {self.recipe.seed}"

    @property
    def name(self) -> str:
        """The run's folder: the same for whichever experiment it is run."""
        unseeded = replace(self.recipe, seed=0).to_toml()
        digest = hashlib.sha256(f"{self.arm.data}\n{unseeded}".encode()).hexdigest()[:8]
        return f"{self.arm.data}-{self.recipe.model}-{digest}-s{self.recipe.seed}"

    @property
    def macs(self) -> float:
        """Multiply-adds of the whole training: a forward pass and twice as many backward, for each
        picture."""
        size, epochs = self.recipe.data.size_px, self.recipe.epochs
        assert size is not None
        assert epochs is not None
        arch = Architecture.from_name(self.arm.model, classes_of(self.arm.data))
        return 3.0 * count_cost(arch, size).macs * SETS[self.arm.data].pictures * epochs

    def run(self, place: Place) -> Generator[Moved, None, Line | None]:
        """Train, or go on; the result line, None where another process writes it."""
        data = _find_set(self.arm.data, place)
        order = Order(
            data,
            self.recipe,
            self.name,
            place.runs,
            "auto",
            device=place.device,
            workers=place.workers,
        )
        run = yield from _train(order)
        if not run.leads:
            return None
        line = run.result | {"experiment": self.experiment, "arm": self.arm.name, "scale": self.scale}
        line |= {"set": self.arm.data, "planned": self.planned}
        for split in ("val", "test"):
            add_shown_error(line, split, run.folder / "predictions" / f"{split}.parquet")
        return line


@dataclass(frozen=True)
class Timing:
    """One time that the training steps of all arms are timed in turns."""

    experiment: str
    scale: Scale
    study: Study
    repeat: int
    planned: int

    @property
    def text(self) -> str:
        return f"{self.experiment}, steps of {len(self.study.timed)} networks, time {self.repeat}"

    @property
    def name(self) -> str:
        """Which time of which experiment."""
        return f"{self.experiment}-{self.repeat}"

    @property
    def macs(self) -> float:
        """Multiply-adds of all steps that are timed."""
        clock = self.study.clock
        assert clock is not None
        archs = [Architecture.from_name(arm.model, classes_of(arm.data)) for arm in self.study.timed]
        once = sum(count_cost(arch, clock.size_px).macs for arch in archs)
        return 3.0 * once * clock.batch * (clock.rounds + 2)

    def run(self, place: Place) -> Generator[Moved, None, Line | None]:
        """Time on one process; the result line, None for the others. Raises `RunError` where it fails."""
        if not leads():
            return None
        clock = self.study.clock
        assert clock is not None
        contenders = [contender(arm.model, classes_of(arm.data)) for arm in self.study.timed]
        mode = Mode(precision=self.study.timed[0].recipe.precision or "float32")
        turns = replace(clock, device=place.device)
        yield Moved(0, clock.rounds)
        table = bench_step(contenders, [mode], turns)
        for what, why in table.failed.items():
            raise RunError(f"{self.experiment}: a step of {what} cannot be timed here ({why})")
        line = table.to_line() | {"experiment": self.experiment, "scale": self.scale}
        return line | {"seed": self.repeat, "planned": self.planned}


Job = Training | Timing


@dataclass(frozen=True)
class Begun:
    """A job begins, the `number`-th of `total`."""

    job: Job
    number: int
    total: int


@dataclass(frozen=True)
class Ended:
    """A job is over: its result line, unless another process has it, or why it came to nothing."""

    job: Job
    line: Line | None
    why: str = ""

    def text(self) -> str:
        """The outcome for people."""
        if self.line is None:
            return self.why
        if self.line["kind"] == "bench":
            return ", ".join(
                f"{model} {time.median_s:.2f} s" for model, time in step_times(self.line).items()
            )
        return f"error {figures(self.line)[ERROR]:.2f} % after {self.line['seconds']:,.0f} s of training"


def missing_jobs(
    experiments: Sequence[Experiment], scale: Scale, seeds: int | None, ledger: Ledger, place: Place
) -> list[Job]:
    """What has not been run, each thing once; `seeds` None means as many as each experiment has planned."""
    device = find_machine(place.device).name
    jobs: dict[object, Job] = {}
    for experiment in experiments:
        for job in _missing(experiment, scale, seeds, ledger, device):
            jobs.setdefault(job.name, job)
    return list(jobs.values())


def _missing(
    experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger, device: str
) -> Iterator[Job]:
    """Seed by seed, so that what is cut off leaves pairs."""
    study = experiment.studies[scale]
    planned = seeds or study.seeds
    for seed in range(planned):
        for arm in study.trained:
            recipe = replace(arm.recipe, seed=seed)
            if ledger.training(recipe, arm.data) is None:
                yield Training(experiment.name, scale, arm, recipe, planned)
        if study.clock is not None and study.timed:
            models = [arm.model for arm in study.timed]
            if ledger.timing(models, study.clock, seed, device) is None:
                yield Timing(experiment.name, scale, study, seed, planned)


def run_jobs(jobs: Sequence[Job], place: Place) -> Iterator[Begun | Moved | Ended]:
    """Run `jobs` one after the other, and append the line of each to the results of its scale.

    A network that diverges is told as the end of its job, and the others go on. Raises what
    `resnext.run.train` does otherwise; what was stopped goes on when it is run again.
    """
    for number, job in enumerate(jobs, start=1):
        yield Begun(job, number, len(jobs))
        try:
            line = yield from job.run(place)
        except Diverged as error:
            yield Ended(job, None, str(error))
            continue
        if line is not None:
            append(line, place.results / f"{job.scale}.jsonl")
        yield Ended(job, line)


def tell_cost(jobs: Sequence[Job], ledger: Ledger, place: Place) -> str:
    """What running `jobs` will cost, for people: by the pace of runs at this scale on this machine, if
    any."""
    if not jobs:
        return "everything has been run"
    device, scale = find_machine(place.device).name, jobs[0].scale
    macs = sum(job.macs for job in jobs)
    words = f"{len(jobs)} to run: {macs / 1e12:,.1f} T multiply-adds"
    own = [
        line
        for lines in ledger.trained.values()
        for line in lines
        if line["device"] == device and line["scale"] == scale and line["seconds"] > 0
    ]
    if not own:
        return f"{words}; how long that takes here, the first run will tell"
    pace = median(_macs(line) / line["seconds"] for line in own)
    return f"{words}, about {macs / pace / 3600:.1f} h at the pace of earlier runs on this machine"


def _macs(line: Line) -> float:
    """Multiply-adds that a run's training took."""
    return float(3 * line["cost"]["macs"] * line["pictures_per_s"] * line["seconds"])


def add_shown_error(line: Line, split: str, predictions: Path) -> None:
    """Where the pictures of `split` show some classes only: the error of an answer among these, in
    percent."""
    if not predictions.exists():
        return
    table = pq.read_table(predictions)
    labels = table["label"].to_numpy()
    probabilities = np.stack(table["probabilities"].to_numpy(zero_copy_only=False))
    shown = np.unique(labels)
    if len(shown) < probabilities.shape[1]:
        answers = shown[probabilities[:, shown].argmax(axis=1)]
        line["metrics"][split][SHOWN_ERROR] = 100 * float(np.mean(answers != labels))


def _find_set(name: str, place: Place) -> str:
    """The set as DATA. Of several processes one makes it, if it has to be made, and the others wait."""
    made, start = place.runs / "sets", time.monotonic()
    while not leads() and is_made(name) and not (made / name).exists():
        if time.monotonic() - start > LONGEST_WAIT_S:
            raise RunError(f"{made / name}: the first process has not made it for {LONGEST_WAIT_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return find_set(name, place.data, made)


def _train(order: Order) -> Generator[Moved, None, Run]:
    events = train(order)
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            run: Run = end.value
            return run
        except Stopped as error:
            raise Stopped(f"{str(error).split(';')[0]}; the same command goes on") from None
        if isinstance(event, Settled):
            yield Moved(event.first_step, event.plan.steps)
        if isinstance(event, Stepped):
            yield Moved(event.step.step, event.plan.steps)
