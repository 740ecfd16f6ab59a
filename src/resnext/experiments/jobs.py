"""What is run for an experiment: a training, or turns of timing."""

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
from resnext.bench import Mode, NothingTimed, bench_step, contender
from resnext.cost import count_cost
from resnext.data.decode import DataError
from resnext.data.pictures import fingerprint
from resnext.data.sources import read_splits
from resnext.experiments.ledger import DIVERGED, Ledger, Line
from resnext.experiments.sets import SETS, classes_of, find_set, where_is
from resnext.experiments.study import Scale, Study, Trained
from resnext.machine import all_cores, find_machine
from resnext.recipe import Recipe
from resnext.results import SHOWN_ERROR, stamp
from resnext.run import Order, Run, RunError, Settled, Stepped, Stopped, train
from resnext.run.locks import hold
from resnext.training.launcher import leads, local_rank
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

    def is_done(self, ledger: Ledger, _device: str) -> bool:
        """Does its line stand in the ledger?"""
        return self.recipe.seed in ledger.trainings(self.arm)

    def run(self, place: Place, ledger: Ledger) -> Generator[Moved, None, Line | None]:
        """Train, or go on; the result line, None where another process writes it. A network that diverges has
        a line that says so.

        Raises `DataError` where the set is not the one of the lines in `ledger`.
        """
        data = _find_set(self.arm.data, place)
        digest = _check_set(self.arm.data, data, place, ledger)
        order = Order(
            data, self.recipe, self.name, place.runs, "auto", device=place.device, workers=place.workers
        )
        about: Line = {"experiment": self.experiment, "arm": self.arm.name, "scale": self.scale}
        about |= {"set": self.arm.data, "planned": self.planned}
        try:
            run = yield from _train(order)
        except Diverged as error:
            if not leads():
                return None
            line: Line = {"kind": DIVERGED, "why": str(error), "seed": self.recipe.seed}
            line |= {"recipe": asdict(self.recipe), "data": {"name": self.arm.data, "fingerprint": digest}}
            return line | about | asdict(stamp(find_machine(place.device, local_rank()).name))
        if not run.leads:
            return None
        line = run.result | about
        for split in ("val", "test"):
            add_shown_error(line, split, run.folder / "predictions" / f"{split}.parquet")
        return line


@dataclass(frozen=True)
class TimedSteps:
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

    def is_done(self, ledger: Ledger, device: str) -> bool:
        """Does its line of this machine stand in the ledger?"""
        return self.repeat in ledger.timings(self.study, device)

    def run(self, place: Place, _ledger: Ledger) -> Generator[Moved, None, Line | None]:
        """Time on one process; the result line, None for the others. Raises `CannotTime`."""
        if not leads():
            return None
        clock = self.study.clock
        assert clock is not None
        contenders = [contender(arm.model, classes_of(arm.data)) for arm in self.study.timed]
        mode = Mode(precision=self.study.timed[0].recipe.precision or "float32")
        turns = replace(clock, device=place.device)
        yield Moved(0, clock.rounds)
        try:
            with all_cores():
                table = bench_step(contenders, [mode], turns)
        except NothingTimed as error:
            raise CannotTime(f"{self.experiment}: {error}") from None
        for what, why in table.failed.items():
            raise CannotTime(f"{self.experiment}: a step of {what} cannot be timed here ({why})")
        line = table.to_line() | {"experiment": self.experiment, "scale": self.scale}
        return line | {"seed": self.repeat, "planned": self.planned}


class CannotTime(RunError):
    """A network whose steps this machine does not take."""


Job = Training | TimedSteps


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
    """The set as DATA. Of several processes, started together or not, one makes it if it has to be made, and
    the others wait."""
    made, start = place.runs / "sets", time.monotonic()
    data = where_is(name, place.data, made)
    while data.startswith(str(made)) and not Path(data).exists():
        if leads():
            made.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(BlockingIOError), hold(made / f"{name}.lock"):
                return find_set(name, place.data, made)
        if time.monotonic() - start > LONGEST_WAIT_S:
            raise RunError(f"{data}: another process has not made it for {LONGEST_WAIT_S:.0f} s")
        time.sleep(LOOK_EVERY_S)
    return data


def _check_set(name: str, data: str, place: Place, ledger: Ledger) -> str:
    """The fingerprint of the set called `name`, which lies at `data`. Raises `DataError` where the ledger has
    lines of another."""
    found = fingerprint(read_splits(data))
    had = ledger.fingerprints.get(name, found)
    if found != had:
        raise DataError(
            f"{data}: is another {name} ({found}) than the one that the lines in {place.results} were made "
            f"with ({had}): other pictures, or the same in other files. Give that set with --data, or keep "
            "the lines of this one apart with --results"
        )
    return found


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
