"""What of an experiment has not been run yet, what it will cost, and running it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Literal

from resnext.experiments.jobs import CannotTime, Job, Moved, Place, TimedSteps, Training
from resnext.experiments.ledger import PLAN, Ledger, Line, figures, step_times
from resnext.experiments.study import Experiment, Scale
from resnext.machine import device_name, find_machine
from resnext.results import ERROR, append, stamp
from resnext.run import RunError
from resnext.run.locks import hold
from resnext.training.distribution import join
from resnext.training.launcher import count_processes, leads, local_rank


@dataclass(frozen=True)
class Begun:
    """A job begins, the `number`-th of `total`; `warning` tells what could not be seen to before."""

    job: Job
    number: int
    total: int
    warning: str = ""


@dataclass(frozen=True)
class Ended:
    """A job is over: its result line, unless another process has it or there is none, and why it came to
    nothing, if it did."""

    job: Job
    line: Line | None
    why: str = ""

    def text(self) -> str:
        """The outcome for people."""
        if self.line is None or self.why:
            return self.why
        if self.line["kind"] == "bench":
            return ", ".join(
                f"{model} {time.median_s:.2f} s" for model, time in step_times(self.line).items()
            )
        return f"error {figures(self.line)[ERROR]:.2f} % after {self.line['seconds']:,.0f} s of training"


@dataclass(frozen=True)
class Work:
    """What is to be run: the `jobs` that are missing, of `total`, and for people what they will `cost`."""

    jobs: tuple[Job, ...]
    total: int
    cost: str


def plan(experiments: Sequence[Experiment], scale: Scale, seeds: int | None, place: Place) -> Work:
    """What running `experiments` would be; it writes nothing down."""
    ledger = Ledger.read(place.results)
    jobs = missing_jobs(experiments, scale, seeds, ledger, place)
    all_of_them = {job.name for one in experiments for job in _planned_jobs(one, scale, seeds, ledger)}
    return Work(tuple(jobs), len(all_of_them), tell_cost(jobs, ledger, place))


def run(
    experiments: Sequence[Experiment], scale: Scale, seeds: int | None, place: Place, after: str = ""
) -> Iterator[Begun | Moved | Ended]:
    """Write the plans down, then run what is missing; `after` is as in `write_plans`."""
    ledger = Ledger.read(place.results)
    jobs = missing_jobs(experiments, scale, seeds, ledger, place)
    write_plans(experiments, scale, seeds, ledger, place, after)
    yield from run_jobs(jobs, place)


def missing_jobs(
    experiments: Sequence[Experiment], scale: Scale, seeds: int | None, ledger: Ledger, place: Place
) -> list[Job]:
    """What has not been run, each thing once; of each arm as many runs as `count_runs` says. What is timed
    comes last, when others that share the jobs may have ended. To those that train together with a leader it
    is all there is, of which `run_jobs` takes what the leader's is."""
    device = _device(place)
    jobs: dict[str, Job] = {}
    for experiment in experiments:
        for job in _planned_jobs(experiment, scale, seeds, ledger):
            # What is missing the leader says: others may read the lines later.
            if not leads() or not job.is_done(ledger, device):
                jobs.setdefault(job.name, job)
    return sorted(jobs.values(), key=lambda job: isinstance(job, TimedSteps))


def count_runs(experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger) -> int:
    """How many runs of each arm are to be there: `seeds`, or as many as are planned, or as the experiment
    says."""
    study = experiment.studies[scale]
    return seeds or max(ledger.plans(experiment.name, study), default=study.seeds)


def count_planned(experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger) -> int:
    """How many runs of each arm are planned: to run fewer now does not take a plan back."""
    runs = count_runs(experiment, scale, seeds, ledger)
    return max(runs, *ledger.plans(experiment.name, experiment.studies[scale]), 0)


def write_plans(
    experiments: Sequence[Experiment],
    scale: Scale,
    seeds: int | None,
    ledger: Ledger,
    place: Place,
    after: str = "",
) -> None:
    """Write down how many runs of each arm `count_planned` says, before the first of them, where that is not
    told yet: the lines of runs alone tell it of the experiment that they were run for, and others share them.

    If another number than the experiment's own comes first, and as many as that have been trained for others,
    the outcome could be looked at: that plan is written too, and counts as a look. So does what the whole was
    planned anew `after`, in words.
    """
    if not leads():
        return
    for one in experiments:
        study = one.studies[scale]
        planned, had = count_planned(one, scale, seeds, ledger), ledger.plans(one.name, study)
        missing = missing_jobs([one], scale, study.seeds, ledger, place)
        shown = not had and (
            not missing or (study.trained and all(isinstance(j, TimedSteps) for j in missing))
        )
        about: Line = {"kind": PLAN, "experiment": one.name, "scale": scale, "study": study.digest}
        plans: list[Line] = [
            {"planned": number}
            for number in sorted({planned, study.seeds} if shown else {planned})
            if number not in had
        ]
        if after and after not in ledger.looked_at(one.name, study):
            plans.append({"planned": planned, "after": after})
        for more in plans:
            append(about | more | asdict(stamp(_device(place))), place.results / f"{scale}.jsonl")


def _planned_jobs(experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger) -> Iterator[Job]:
    """All of them, seed by seed, so that what is cut off leaves pairs."""
    study = experiment.studies[scale]
    planned = count_planned(experiment, scale, seeds, ledger)
    for seed in range(count_runs(experiment, scale, seeds, ledger)):
        for arm in study.trained:
            yield Training(experiment.name, scale, arm, replace(arm.recipe, seed=seed), planned)
        if study.timed:
            yield TimedSteps(experiment.name, scale, study, seed, planned)


def run_jobs(jobs: Sequence[Job], place: Place) -> Iterator[Begun | Moved | Ended]:
    """Run `jobs` one after the other, and append the line of each to the results of its scale.

    Processes that are given the same jobs share them, as do groups of processes that train together: what
    another one runs, or has run, is left to it, and nothing is timed beside a training. A network that
    diverges or cannot be timed ends its job, and the others go on. Raises what `resnext.run.train` does
    otherwise; what was stopped goes on when it is run again.
    """
    own = {job.name: job for job in jobs}
    with join() as group:
        group.compare({"results": str(place.results)})  # so that none leaves before the others have come
        names = group.share(lambda: list(own))
    for number, name in enumerate(names, start=1):
        if name not in own:
            raise RunError(
                f"{name}: is to run, but not by this process; are --results the same on all hosts?"
            )
        job = own[name]
        with _claimed(job, place) as warning:
            if warning is None:
                continue
            yield Begun(job, number, len(names), warning)
            try:
                line = yield from job.run(place, Ledger.read(place.results))
            except CannotTime as error:
                yield Ended(job, None, str(error))
                continue
            if line is not None:
                append(line, place.results / f"{job.scale}.jsonl")
            yield Ended(job, line, "" if line is None else line.get("why", ""))


@contextmanager
def _claimed(job: Job, place: Place) -> Iterator[str | None]:
    """Keep the job from others while entered. What is given is None where one of them has or had it, or where
    steps cannot be timed because another one trains here; else a warning, if there is one.

    Of processes that train together the leader takes the job for all; what is timed, for itself.
    """
    with ExitStack() as held:

        def take() -> str | None:
            locks = place.runs / "locks"
            locks.mkdir(parents=True, exist_ok=True)
            beside: Literal["alone", "together"] = "alone" if isinstance(job, TimedSteps) else "together"
            try:
                problem = held.enter_context(hold(locks / job.name))
                held.enter_context(hold(locks / "machine", beside))
            except BlockingIOError:
                return None
            if job.is_done(Ledger.read(place.results), _device(place)):
                return None
            return problem and f"{problem}: start no second process beside this one"

        if isinstance(job, TimedSteps):
            taken = take() if leads() else None
        else:
            with join() as group:
                group.compare({"next run": job.text})
                taken = group.share(take)
        yield taken


def tell_cost(jobs: Sequence[Job], ledger: Ledger, place: Place) -> str:
    """What running `jobs` will cost, for people: by the pace of runs at this scale on this machine, if
    any."""
    if not jobs:
        return "everything has been run"
    device, scale = device_name(_device(place), count_processes()), jobs[0].scale
    macs = sum(job.macs for job in jobs)
    words = f"{len(jobs)} to run: {macs / 1e12:,.1f} T multiply-adds"
    own = [
        line
        for lines in ledger.trained.values()
        for line in lines
        if line["kind"] == "train"
        and line["device"] == device
        and line["scale"] == scale
        and line["seconds"] > 0
    ]
    if not own:
        return f"{words}; how long that takes here, the first run will tell"
    pace = median(_macs(line) / line["seconds"] for line in own)
    return f"{words}, about {macs / pace / 3600:.1f} h at the pace of earlier runs on this machine"


def _device(place: Place) -> str:
    return find_machine(place.device, local_rank()).name


def _macs(line: Line) -> float:
    """Multiply-adds that a run's training took."""
    return float(3 * line["cost"]["macs"] * line["pictures_per_s"] * line["seconds"])
