"""What of an experiment has not been run yet, what it will cost, and running it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow.parquet as pq

from resnext.arch import Architecture
from resnext.bench import Mode, bench_step, contender
from resnext.cost import count_cost
from resnext.experiments.claims import ERROR, SHOWN_ERROR
from resnext.experiments.ledger import Ledger, Line, figures
from resnext.experiments.sets import SETS, find_set
from resnext.experiments.study import Experiment, Scale, Study, Trained
from resnext.machine import find_machine
from resnext.recipe import Recipe
from resnext.results import append
from resnext.run import Order, Run, Settled, Stepped, train
from resnext.training.distribution import leads

#: Told what is done, what there is to do, and something to read.
Tell = Callable[[int, int, str], None]


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
        arch = Architecture.from_name(self.arm.model, 10)
        return 3.0 * count_cost(arch, size).macs * SETS[self.arm.data].pictures * epochs

    def run(self, place: Place, tell: Tell) -> Line | None:
        """Train, or go on; the result line, None where another process writes it."""
        data = find_set(self.arm.data, place.data, place.runs / "sets")
        order = Order(
            data,
            self.recipe,
            self.name,
            place.runs,
            "auto",
            device=place.device,
            workers=place.workers,
        )
        run = _train(order, tell)
        if not run.leads:
            return None
        line = run.result | {"experiment": self.experiment, "arm": self.arm.name, "scale": self.scale}
        line |= {"set": self.arm.data, "planned": self.planned}
        add_shown_error(line, run.folder / "predictions" / "test.parquet")
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
        archs = [Architecture.from_name(arm.model) for arm in self.study.timed]
        once = sum(count_cost(arch, clock.size_px).macs for arch in archs)
        return 3.0 * once * clock.batch * (clock.rounds + 2)

    def run(self, place: Place, tell: Tell) -> Line | None:
        """Time on one process; the result line, None for the others."""
        if not leads():
            return None
        clock = self.study.clock
        assert clock is not None
        contenders = [contender(arm.model) for arm in self.study.timed]
        turns = replace(clock, device=place.device)
        table = bench_step(contenders, [Mode()], turns, lambda done, total: tell(done, total, ""))
        line = table.to_line() | {"experiment": self.experiment, "scale": self.scale}
        return line | {"seed": self.repeat, "planned": self.planned}


Job = Training | Timing


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


def carry_out(job: Job, place: Place, tell: Tell) -> Line | None:
    """Run `job`, append its line to the results of its scale, and return it.

    Raises what `resnext.run.train` does; a run that was stopped goes on when the job is carried out again.
    """
    line = job.run(place, tell)
    if line is not None:
        append(line, place.results / f"{job.scale}.jsonl")
    return line


def tell_cost(jobs: Sequence[Job], ledger: Ledger, place: Place) -> str:
    """What running `jobs` will cost, for people: by the pace of earlier runs on this machine if there are
    any."""
    if not jobs:
        return "everything has been run"
    device = find_machine(place.device).name
    macs = sum(job.macs for job in jobs)
    words = f"{len(jobs)} to run: {macs / 1e12:,.1f} T multiply-adds"
    own = [line for lines in ledger.trained.values() for line in lines if line["device"] == device]
    paces = [_macs(line) / line["seconds"] for line in own if line["seconds"] > 0]
    if not paces:
        return f"{words}; how long that takes, the first run on this machine will tell"
    return f"{words}, about {macs / median(paces) / 3600:.1f} h at the pace of earlier runs on this machine"


def _macs(line: Line) -> float:
    """Multiply-adds that a run's training took."""
    return float(3 * line["cost"]["macs"] * line["pictures_per_s"] * line["seconds"])


def add_shown_error(line: Line, predictions: Path) -> None:
    """Where the test pictures show some classes only: the error of an answer among these, in percent."""
    if not predictions.exists():
        return
    table = pq.read_table(predictions)
    labels = table["label"].to_numpy()
    probabilities = np.stack(table["probabilities"].to_numpy(zero_copy_only=False))
    shown = np.unique(labels)
    if len(shown) < probabilities.shape[1]:
        answers = shown[probabilities[:, shown].argmax(axis=1)]
        line["metrics"]["test"][SHOWN_ERROR] = 100 * float(np.mean(answers != labels))


def _train(order: Order, tell: Tell) -> Run:
    events = train(order)
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            run: Run = end.value
            return run
        if isinstance(event, Settled):
            tell(event.first_step, event.plan.steps, "")
        if isinstance(event, Stepped):
            tell(event.step.step, event.plan.steps, "")


def told(line: Line) -> str:
    """One line's outcome for people."""
    if line["kind"] == "bench":
        return ", ".join(f"{row['what'].split(',')[0]} {row['median_s']:.2f} s" for row in line["timings"])
    return f"error {figures(line)[ERROR]:.2f} % after {line['seconds']:,.0f} s of training"
