"""`Ledger`: finds the runs of an experiment in the result records, and reads their metrics."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resnext.experiments.findings import ERROR, SHOWN_ERROR, STEP_RATIO, STEP_S, TRAINING_ERROR, VAL_ERROR
from resnext.experiments.study import Arm, Study
from resnext.parsing import Extensible, build
from resnext.recipe import Recipe, dotted_names, get_field
from resnext.records import RecordsError, read_records
from resnext.run.documents import RunCost
from resnext.timing import Timing

Record = dict[str, Any]
#: The kind of a record of a training whose loss was not finite; `why` has the reason.
DIVERGED = "diverged"
#: The kind of a record of how many runs of each arm are planned, and of the earlier look that it comes
#: `after`, if any.
PLAN = "plan"


class Ledger:
    """Result records, found by what was run; of repeated runs the first counts.

    Args:
        records: Lines of `results/experiments/*.jsonl`; `Ledger.read` reads them.

    >>> Ledger([]).fingerprints
    {}
    """

    def __init__(self, records: Iterable[Record]) -> None:
        self.trained: dict[tuple[str, str], list[Record]] = {}
        self.timed: list[Record] = []
        self.planned: dict[tuple[str, str], list[Record]] = {}
        #: Fingerprint of each data set by name.
        self.fingerprints: dict[str, str] = {}
        for record in records:
            if "scale" in record:  # else it is no experiment's
                self._add(record)

    def _add(self, record: Record) -> None:
        if record["kind"] == PLAN:
            self.planned.setdefault((record["experiment"], record["study"]), []).append(record)
        elif record["kind"] in ("train", DIVERGED):
            # Runs on other data of the same name, merged by hand, are not comparable with the first ones.
            fingerprint = self.fingerprints.setdefault(record["set"], record["data"]["fingerprint"])
            if record["data"]["fingerprint"] == fingerprint:
                self.trained.setdefault((record["set"], record["recipe"]["model"]), []).append(record)
        elif all("seconds" in row for row in record["timings"]):
            self.timed.append(record)

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        """The records of all .jsonl files in `folder`.

        Raises:
            RecordsError: A line is damaged, or a record lacks a field; the message names it.
        """
        return cls(record for path in sorted(folder.glob("*.jsonl")) for record in _read(path))

    def trainings(self, arm: Arm) -> dict[int, Record]:
        """The runs of the arm's recipe on its data set, by seed.

        Settings that the recipe leaves open may have any value.
        """
        found: dict[int, Record] = {}
        records = self.trained.get((arm.data, arm.model), ())
        settings = _settings(arm.recipe) if records else {}
        for record in records:
            if _has_settings(record["recipe"], settings):
                found.setdefault(record["seed"], record)
        return found

    def alike(self, arm: Arm) -> dict[str, dict[int, Record]]:
        """The runs of all networks on the arm's data set by its recipe, by network and seed."""
        settings = _settings(arm.unlike_others)
        found: dict[str, dict[int, Record]] = {}
        for (name, model), records in self.trained.items():
            for record in records if name == arm.data else ():
                if _has_settings(record["recipe"], settings):
                    found.setdefault(model, {}).setdefault(record["seed"], record)
        return found

    def timings(self, study: Study, device: str) -> dict[int, Record]:
        """The benches that timed steps of the study's networks, and perhaps of others, on `device`.

        They are by their number.
        """
        found: dict[int, Record] = {}
        if study.timing is None:
            return found
        timing = study.timing
        wanted: Record = {"batch": timing.batch, "size_px": timing.size_px, "rounds": timing.rounds}
        wanted["order"] = "rotated"  # in a fixed order a network would always follow the same other
        models = {arm.model for arm in study.timed}
        for record in self.timed:
            same = record["device"] == device and wanted.items() <= record["settings"].items()
            if same and models <= step_times(record).keys():
                found.setdefault(record["seed"], record)
        return found

    def devices(self, study: Study) -> list[str]:
        """The devices on which the study's steps were timed, in the order of the records."""
        devices = dict.fromkeys(record["device"] for record in self.timed)
        return [device for device in devices if self.timings(study, device)]

    def plans(self, experiment: str, study: Study) -> set[int]:
        """All numbers of runs of each arm that were ever planned for `experiment`.

        Plans have records of their own, and runs keep the plan of the experiment that they were run for.
        """
        records = [record for arm in study.trained for record in self.trainings(arm).values()]
        records += [one for device in self.devices(study) for one in self.timings(study, device).values()]
        records += self.planned.get((experiment, study.digest), [])
        return {record["planned"] for record in records if record["experiment"] == experiment}

    def earlier_looks(self, experiment: str, study: Study) -> list[str]:
        """What else was looked at before `experiment` was planned as it is, in words."""
        plans = self.planned.get((experiment, study.digest), [])
        return list(dict.fromkeys(plan["after"] for plan in plans if plan.get("after")))


@dataclass(frozen=True)
class _Fingerprint(Extensible):
    fingerprint: str


@dataclass(frozen=True)
class _Model(Extensible):
    model: str


@dataclass(frozen=True)
class _Planned(Extensible):
    """What is read of every record of a run."""

    experiment: str
    planned: int
    seed: int
    device: str
    commit: str | None
    dirty: bool | None


@dataclass(frozen=True)
class _Training(_Planned):
    """What is read of the record of a training."""

    set: str
    data: _Fingerprint
    recipe: _Model


@dataclass(frozen=True)
class _Score(Extensible):
    top1_error: float


@dataclass(frozen=True)
class _Metrics(Extensible):
    val: _Score
    test: _Score | None = None


@dataclass(frozen=True)
class _Epoch(Extensible):
    epoch: int
    train_top1_error: float
    val_top1_error: float


@dataclass(frozen=True)
class _FinishedTraining(_Training):
    metrics: _Metrics
    curve: list[_Epoch]
    cost: RunCost
    seconds: float
    pictures_per_s: float

    def __post_init__(self) -> None:
        if not self.curve:
            raise ValueError("record.curve: empty")


@dataclass(frozen=True)
class _TimedRow(Extensible):
    what: str


@dataclass(frozen=True)
class _Bench(_Planned):
    """What is read of the record of a bench."""

    settings: dict[str, Any]
    timings: list[_TimedRow]


@dataclass(frozen=True)
class _Plan(Extensible):
    """What is read of the record of a plan."""

    experiment: str
    study: str
    planned: int


_FIELDS: dict[str, type] = {"train": _FinishedTraining, DIVERGED: _Training, PLAN: _Plan}


def _read(path: Path) -> Iterator[Record]:
    """The records in the file at `path`. Raises `RecordsError`."""
    for number, record in enumerate(read_records(path), start=1):
        try:
            if "scale" in record:
                build(_FIELDS.get(build(str, record.get("kind"), "record.kind"), _Bench), record, "record")
        except ValueError as error:
            raise RecordsError(f"{path}: record {number}: {error}; mend or remove it") from None
        yield record


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What the recipe sets, without the seed, by dotted name."""
    settings = {name: get_field(recipe, name) for name in dotted_names() if name != "seed"}
    return {name: value for name, value in settings.items() if value is not None}


def _has_settings(recorded: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
    """Whether the recipe of a record has all of `settings`."""
    for name, wanted in settings.items():
        value: Any = recorded
        for part in name.split("."):
            value = value.get(part, _Absent) if isinstance(value, Mapping) else _Absent
        if value is _Absent:  # the record is older than this setting
            value = get_field(Recipe(), name)
        if wanted != (tuple(value) if isinstance(value, list) else value):
            return False
    return True


class _Absent:
    """Stands for a field that an older record lacks."""


def step_times(record: Record) -> dict[str, Timing]:
    """The times of a training step in the record of a bench, by network."""
    return {row["what"].split(",")[0]: Timing(tuple(row["seconds"])) for row in record["timings"]}


def judged_split(record: Record) -> str:
    """The split that judges a training: `test`, else `val`, which chose the epoch."""
    return "test" if "test" in record["metrics"] else "val"


def training_metrics(record: Record) -> dict[str, float]:
    """The metrics of a training: of `test`, else of `val`, which chose the epoch; none if it diverged."""
    if record["kind"] == DIVERGED:
        return {}
    metrics = record["metrics"]
    judged = metrics[judged_split(record)]
    values = {ERROR: judged["top1_error"], TRAINING_ERROR: record["curve"][-1]["train_top1_error"]}
    if SHOWN_ERROR in judged:
        values[SHOWN_ERROR] = judged[SHOWN_ERROR]
    if judged is not metrics["val"]:
        values[VAL_ERROR] = metrics["val"]["top1_error"]
    return values


def timing_metrics(record: Record, model: str, reference: str) -> dict[str, float]:
    """The metrics of one network in the record of a bench; the ratio to `reference` is round by round."""
    times = step_times(record)
    return {STEP_S: times[model].median_s, STEP_RATIO: times[model].ratio_to(times[reference]).median}
