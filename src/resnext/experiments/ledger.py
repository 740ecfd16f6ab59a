"""Which runs of an experiment stand in the result lines, and what their figures are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resnext.experiments.study import Study, Trained
from resnext.recipe import Recipe, dotted_names, get_field
from resnext.results import ERROR, SHOWN_ERROR, STEP_RATIO, STEP_S, TRAINING_ERROR, read_lines
from resnext.timing import Timing

Line = dict[str, Any]
#: The kind of a line that says that a training came to nothing, and in `why`, for what reason.
DIVERGED = "diverged"
#: The kind of a line that says how many runs of each arm are planned of a `study`, and perhaps, in words,
#: `after` a look at what else.
PLAN = "plan"


class Ledger:
    """Result lines, to be found by what was run: the first counts where something was run twice."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.trained: dict[tuple[str, str], list[Line]] = {}
        self.timed: list[Line] = []
        self.planned: dict[tuple[str, str], list[Line]] = {}
        self.fingerprints: dict[str, str] = {}
        for line in lines:
            if "scale" not in line:
                continue  # of something else
            if line["kind"] == PLAN:
                self.planned.setdefault((line["experiment"], line["study"]), []).append(line)
            elif line["kind"] in ("train", DIVERGED):
                # Lines on other data under the same name, put together by hand, are no pairs of these.
                own = self.fingerprints.setdefault(line["set"], line["data"]["fingerprint"])
                if line["data"]["fingerprint"] == own:
                    self.trained.setdefault((line["set"], line["recipe"]["model"]), []).append(line)
            elif all("seconds" in row for row in line["timings"]):
                self.timed.append(line)

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        """All lines of the .jsonl files in `folder`. Raises `ResultsError`."""
        return cls(line for path in sorted(folder.glob("*.jsonl")) for line in read_lines(path))

    def trainings(self, arm: Trained) -> dict[int, Line]:
        """The runs by the arm's recipe on its set, by seed; what the recipe leaves open may have been
        anything."""
        found: dict[int, Line] = {}
        lines = self.trained.get((arm.data, arm.model), ())
        asked = _settings(arm.recipe) if lines else {}
        for line in lines:
            if _follows(line["recipe"], asked):
                found.setdefault(line["seed"], line)
        return found

    def timings(self, study: Study, device: str) -> dict[int, Line]:
        """The turns in which steps of the study's networks, and perhaps others, were timed on `device`, by
        their number."""
        found: dict[int, Line] = {}
        if study.clock is None:
            return found
        clock = study.clock
        wanted: Line = {"batch": clock.batch, "size_px": clock.size_px, "rounds": clock.rounds}
        wanted["order"] = "rotated"  # in one order for all rounds, a network may always follow what slows it
        models = {arm.model for arm in study.timed}
        for line in self.timed:
            same = line["device"] == device and wanted.items() <= line["settings"].items()
            if same and models <= step_times(line).keys():
                found.setdefault(line["seed"], line)
        return found

    def devices(self, study: Study) -> list[str]:
        """Those that the study's steps were timed on, in the order of the lines."""
        devices = dict.fromkeys(line["device"] for line in self.timed)
        return [device for device in devices if self.timings(study, device)]

    def plans(self, experiment: str, study: Study) -> set[int]:
        """How many runs of each arm were planned of `experiment`, whenever it was run: told by lines of their
        own, and by those of its runs, which may be another experiment's too."""
        lines = [line for arm in study.trained for line in self.trainings(arm).values()]
        lines += [line for device in self.devices(study) for line in self.timings(study, device).values()]
        lines += self.planned.get((experiment, study.digest), [])
        return {line["planned"] for line in lines if line["experiment"] == experiment}

    def looked_at(self, experiment: str, study: Study) -> list[str]:
        """What else, in words, was looked at before `experiment` was planned as it is."""
        told = self.planned.get((experiment, study.digest), [])
        return list(dict.fromkeys(line["after"] for line in told if line.get("after")))


def _settings(recipe: Recipe) -> dict[str, Any]:
    """What the recipe sets, but for the seed, by dotted name."""
    settings = {name: get_field(recipe, name) for name in dotted_names() if name != "seed"}
    return {name: value for name, value in settings.items() if value is not None}


def _follows(had: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Does `had`, a recipe as it stands in a line, have the settings that are asked for?"""
    for name, wanted in asked.items():
        value: Any = had
        for part in name.split("."):
            value = value.get(part, _Absent) if isinstance(value, Mapping) else _Absent
        if value is _Absent:  # a setting that there was none of then
            value = get_field(Recipe(), name)
        if wanted != (tuple(value) if isinstance(value, list) else value):
            return False
    return True


class _Absent:
    """Stands for a field that an older line lacks."""


def step_times(line: Line) -> dict[str, Timing]:
    """Times of a training step by network, of a bench line."""
    return {row["what"].split(",")[0]: Timing(tuple(row["seconds"])) for row in line["timings"]}


def figures(line: Line) -> dict[str, float]:
    """The metrics of a training line: of `test`, else of `val`, which chose the epoch; none of a network that
    diverged."""
    if line["kind"] == DIVERGED:
        return {}
    metrics = line["metrics"]
    judged = metrics.get("test", metrics["val"])
    values = {ERROR: judged["top1_error"], TRAINING_ERROR: line["curve"][-1]["train_top1_error"]}
    if SHOWN_ERROR in judged:
        values[SHOWN_ERROR] = judged[SHOWN_ERROR]
    return values


def timed_figures(line: Line, model: str, first: str) -> dict[str, float]:
    """The metrics of one network in a bench line; the ratio to the network `first` is taken round by
    round."""
    times = step_times(line)
    return {STEP_S: times[model].median_s, STEP_RATIO: times[model].ratio_to(times[first]).median}
