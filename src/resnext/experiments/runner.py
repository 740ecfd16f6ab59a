"""Planning and running: which tasks of an experiment are missing, what they cost, and their execution."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from statistics import median

from resnext.experiments.findings import ERROR
from resnext.experiments.ledger import PLAN, Ledger, Record, step_times, training_metrics
from resnext.experiments.study import Experiment, Scale, Study
from resnext.experiments.tasks import CannotTime, Task, TaskProgress, TimingTask, TrainingTask, Workspace
from resnext.machine import device_name, find_machine
from resnext.records import append_record, stamp
from resnext.run import RunError
from resnext.run.locks import lock_file
from resnext.training.distributed import ProcessGroup, init_group
from resnext.training.launcher import is_main_process, local_rank, world_size


@dataclass(frozen=True)
class TaskStarted:
    """Task `number` of `total` starts; `warning` says what could not be ensured, empty where all was."""

    task: Task
    number: int
    total: int
    warning: str = ""


@dataclass(frozen=True)
class TaskEnded:
    """A task is over.

    `record` is None where another process has it or the task failed; `why` is the reason of a failure.
    """

    task: Task
    record: Record | None
    why: str = ""

    def text(self) -> str:
        """The outcome for people."""
        if self.record is None or self.why:
            return self.why
        if self.record["kind"] == "bench":
            times = step_times(self.record).items()
            return ", ".join(f"{model} {timing.median_s:.2f} s" for model, timing in times)
        error, seconds = training_metrics(self.record)[ERROR], self.record["seconds"]
        return f"error {error:.2f} % after {seconds:,.0f} s of training"


@dataclass(frozen=True)
class WorkPlan:
    """The missing `tasks` of `total`, and their `cost` in words."""

    tasks: tuple[Task, ...]
    total: int
    cost: str


def plan(
    experiments: Sequence[Experiment],
    scale: Scale = "laptop",
    seeds: int | None = None,
    workspace: Workspace | None = None,
) -> WorkPlan:
    """What `run` would do with the same arguments. Nothing is written.

    Args:
        experiments: From `find_experiments`.
        scale: paper, gpu, laptop or miniature.
        seeds: Runs of each arm; the default is the planned number.
        workspace: Folders, device and workers.

    Raises:
        RecordsError: A file of records is damaged.

    >>> from resnext.experiments import find_experiments
    >>> plan(find_experiments(["speed"]), "miniature").total
    2
    """
    workspace = workspace or Workspace()
    ledger = Ledger.read(workspace.results)
    tasks = missing_tasks(experiments, scale, seeds, ledger, workspace)
    names = {task.name for one in experiments for task in _all_tasks(one, scale, seeds, ledger)}
    return WorkPlan(tuple(tasks), len(names), estimate_cost(tasks, ledger, workspace))


def run(
    experiments: Sequence[Experiment],
    scale: Scale = "laptop",
    seeds: int | None = None,
    workspace: Workspace | None = None,
    after: str = "",
) -> Iterator[TaskStarted | TaskProgress | TaskEnded]:
    """Write the plans down, run what is missing, and report it as events.

    Args:
        experiments: From `find_experiments`.
        scale: paper, gpu, laptop or miniature.
        seeds: Runs of each arm; the default is the planned number. It is written down before the first run.
        workspace: Folders, device and workers.
        after: What else was looked at before, in words; it counts as a look and widens the intervals.

    Raises:
        RecordsError: A file of records is damaged.
        DataError: A data set is missing, or is not the one of the records.
        Stopped: A signal asked for it; the same call goes on.
        ResnextError: Whatever else `resnext.run.train` raises.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from resnext.experiments import find_experiments
    >>> folder = Path(tempfile.mkdtemp())
    >>> workspace = Workspace(folder / "results", runs=folder / "runs", device="cpu", workers=0)
    >>> events = list(run(find_experiments(["training_error"]), "miniature", 1, workspace))
    >>> [event.record["arm"] for event in events if isinstance(event, TaskEnded)]
    ['1x16d', '4x6d']
    """
    workspace = workspace or Workspace()
    ledger = Ledger.read(workspace.results)
    tasks = missing_tasks(experiments, scale, seeds, ledger, workspace)
    write_plans(experiments, scale, seeds, ledger, workspace, after)
    yield from run_tasks(tasks, workspace)


def missing_tasks(
    experiments: Sequence[Experiment], scale: Scale, seeds: int | None, ledger: Ledger, workspace: Workspace
) -> list[Task]:
    """The tasks without a record, each once, for `count_runs` runs of each arm.

    Timings come last, when other processes that share the tasks may have ended. In a process group only the
    main process looks at the records, because the others may read them later: they get all tasks, and
    `run_tasks` takes those of the main process.
    """
    device = _device(workspace)
    missing: dict[str, Task] = {}
    for experiment in experiments:
        for task in _all_tasks(experiment, scale, seeds, ledger):
            if not is_main_process() or not task.is_done(ledger, device):
                missing.setdefault(task.name, task)
    return sorted(missing.values(), key=_is_timing)


def _is_timing(task: Task) -> bool:
    return isinstance(task, TimingTask)


def count_runs(experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger) -> int:
    """The number of runs of each arm to do: `seeds`, else the planned number, else the experiment's own."""
    study = experiment.studies[scale]
    return seeds or max(ledger.plans(experiment.name, study), default=study.seeds)


def count_planned(experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger) -> int:
    """The planned number of runs of each arm; doing fewer now does not shorten a plan."""
    runs = count_runs(experiment, scale, seeds, ledger)
    return max(runs, *ledger.plans(experiment.name, experiment.studies[scale]), 0)


def write_plans(
    experiments: Sequence[Experiment],
    scale: Scale,
    seeds: int | None,
    ledger: Ledger,
    workspace: Workspace,
    after: str = "",
) -> None:
    """Write the planned number of runs of each experiment down before the first run, if it is not written.

    Records of runs keep the plan only of the experiment that they were run for, while others share the runs.
    What was looked at `after` is written too, and counts as a look.
    """
    if not is_main_process():
        return
    for one in experiments:
        labels: Record = {
            "kind": PLAN,
            "experiment": one.name,
            "scale": scale,
            "study": one.studies[scale].digest,
        }
        for new in _new_plans(one, scale, seeds, ledger, workspace, after):
            record = labels | new | asdict(stamp(_device(workspace)))
            append_record(record, workspace.results / f"{scale}.jsonl")


def _new_plans(
    experiment: Experiment,
    scale: Scale,
    seeds: int | None,
    ledger: Ledger,
    workspace: Workspace,
    after: str,
) -> list[Record]:
    """The plans that are not in the ledger.

    If the first plan is another number than the experiment's own while that many runs exist for other
    experiments, the outcome could have been looked at: then the own number is written as a plan as well.
    """
    study = experiment.studies[scale]
    planned = count_planned(experiment, scale, seeds, ledger)
    written = ledger.plans(experiment.name, study)
    numbers = {planned}
    if not written and _is_outcome_known(experiment, study, scale, ledger, workspace):
        numbers.add(study.seeds)
    plans: list[Record] = [{"planned": number} for number in sorted(numbers - written)]
    if after and after not in ledger.earlier_looks(experiment.name, study):
        plans.append({"planned": planned, "after": after})
    return plans


def _is_outcome_known(
    experiment: Experiment, study: Study, scale: Scale, ledger: Ledger, workspace: Workspace
) -> bool:
    """Whether other experiments have run what this one would; timings alone may be missing."""
    missing = missing_tasks([experiment], scale, study.seeds, ledger, workspace)
    return not missing or bool(study.trained and all(map(_is_timing, missing)))


def _all_tasks(experiment: Experiment, scale: Scale, seeds: int | None, ledger: Ledger) -> Iterator[Task]:
    """All tasks, seed by seed, so that an interruption leaves whole pairs."""
    study = experiment.studies[scale]
    planned = count_planned(experiment, scale, seeds, ledger)
    for seed in range(count_runs(experiment, scale, seeds, ledger)):
        for arm in study.trained:
            yield TrainingTask(experiment.name, scale, arm, replace(arm.recipe, seed=seed), planned)
        if study.timed:
            yield TimingTask(experiment.name, scale, study, seed, planned)


def run_tasks(
    tasks: Sequence[Task], workspace: Workspace
) -> Iterator[TaskStarted | TaskProgress | TaskEnded]:
    """Run `tasks` in order, timings last, and append the record of each to the results of its scale.

    Processes, and process groups, that are given the same tasks share them: each skips what another one runs
    or has run, and nothing is timed beside a training. A task whose network diverges or cannot be timed ends
    with a reason, and the others go on. Other errors of `resnext.run.train` are raised; a stopped task
    resumes when it is run again.
    """
    own = {task.name: task for task in tasks}
    with init_group() as group:
        group.check_equal({"results": str(workspace.results)})  # nobody leaves before all have come
        order = [_find(name, own) for name in group.broadcast_object(lambda: list(own))]
        for number, task in enumerate(order, start=1):
            if isinstance(task, TrainingTask):
                yield from _run_training(task, (number, len(order)), workspace, group)
    if is_main_process():  # the other processes have left, so none computes beside what is timed
        for number, task in enumerate(order, start=1):
            if isinstance(task, TimingTask):
                yield from _run_timing(task, (number, len(order)), workspace)


def _find(name: str, own: dict[str, Task]) -> Task:
    """The task that the main process calls `name`."""
    if name not in own:
        raise RunError(f"{name}: is to run, but not by this process; are --results the same on all hosts?")
    return own[name]


def _run_training(
    task: TrainingTask, position: tuple[int, int], workspace: Workspace, group: ProcessGroup
) -> Iterator[TaskStarted | TaskProgress | TaskEnded]:
    """Claim the task for the group and run it; nothing where another process has or had it."""
    with ExitStack() as held:
        group.check_equal({"next run": task.text})
        warning = group.broadcast_object(lambda: _claim(task, workspace, held))
        if warning is not None:
            yield TaskStarted(task, *position, warning)
            record = yield from task.run(workspace, Ledger.read(workspace.results), group)
            yield _keep(task, record, workspace)


def _run_timing(
    task: TimingTask, position: tuple[int, int], workspace: Workspace
) -> Iterator[TaskStarted | TaskProgress | TaskEnded]:
    """Claim the task and run it; nothing where another process has or had it, or trains here."""
    with ExitStack() as held:
        warning = _claim(task, workspace, held)
        if warning is not None:
            yield TaskStarted(task, *position, warning)
            try:
                record = yield from task.run(workspace)
            except CannotTime as error:
                yield TaskEnded(task, None, str(error))
            else:
                yield _keep(task, record, workspace)


def _claim(task: Task, workspace: Workspace, held: ExitStack) -> str | None:
    """Lock the task until `held` is closed; return a warning, mostly empty, or None where it cannot be had.

    A timing excludes every other task on this machine, trainings exclude timings only.
    """
    locks = workspace.runs / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    try:
        problem = held.enter_context(lock_file(locks / task.name))
        held.enter_context(lock_file(locks / "machine", "exclusive" if _is_timing(task) else "shared"))
    except BlockingIOError:
        return None
    if task.is_done(Ledger.read(workspace.results), _device(workspace)):
        return None
    return problem and f"{problem}: start no second process beside this one"


def _keep(task: Task, record: Record | None, workspace: Workspace) -> TaskEnded:
    """Append the record, and say how the task ended."""
    if record is not None:
        append_record(record, workspace.results / f"{task.scale}.jsonl")
    return TaskEnded(task, record, "" if record is None else record.get("why", ""))


def estimate_cost(tasks: Sequence[Task], ledger: Ledger, workspace: Workspace) -> str:
    """The cost of `tasks` in words, with hours by the pace of earlier runs at this scale on this machine."""
    if not tasks:
        return "everything has been run"
    macs = sum(task.macs for task in tasks)
    words = f"{len(tasks)} to run: {macs / 1e12:,.1f} T multiply-adds"
    paces = _paces(ledger, device_name(_device(workspace), world_size()), tasks[0].scale)
    if not paces:
        return f"{words}; the first run will show how long that takes here"
    hours = macs / median(paces) / 3600
    return f"{words}, about {hours:.1f} h at the pace of earlier runs on this machine"


def _paces(ledger: Ledger, device: str, scale: Scale) -> list[float]:
    """Multiply-adds a second of the trainings at a scale on a device."""
    wanted = {"kind": "train", "device": device, "scale": scale}
    records = [record for records in ledger.trained.values() for record in records]
    own = [record for record in records if wanted.items() <= record.items() and record["seconds"] > 0]
    return [float(3 * record["cost"]["macs"] * record["pictures_per_s"]) for record in own]


def _device(workspace: Workspace) -> str:
    return find_machine(workspace.device, local_rank()).name
