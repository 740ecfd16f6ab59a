"""Which runs of an experiment stand in the result lines, and what their figures are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resnext.bench import Turns
from resnext.recipe import Recipe, dotted_names, get_field
from resnext.results import ERROR, SHOWN_ERROR, STEP_RATIO, STEP_S, TRAINING_ERROR, read_lines
from resnext.timing import Timing

Line = dict[str, Any]


class Ledger:
    """Result lines, to be found by what was run: the first counts where something was run twice."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.trained: dict[tuple[str, str, int], list[Line]] = {}
        self.timed: list[Line] = []
        self.fingerprints: dict[str, str] = {}
        for line in lines:
            if "scale" not in line:
                continue  # of something else
            if line["kind"] == "train":
                # Another set under the same name is no pair: the first one's lines count.
                own = self.fingerprints.setdefault(line["set"], line["data"]["fingerprint"])
                if line["data"]["fingerprint"] == own:
                    key = line["set"], line["recipe"]["model"], line["seed"]
                    self.trained.setdefault(key, []).append(line)
            elif all("seconds" in row for row in line["timings"]):
                self.timed.append(line)

    @classmethod
    def read(cls, folder: Path) -> Ledger:
        """All lines of the .jsonl files in `folder`. Raises `ResultsError`."""
        return cls(line for path in sorted(folder.glob("*.jsonl")) for line in read_lines(path))

    def training(self, recipe: Recipe, data: str) -> Line | None:
        """The run by this recipe on the set `data`; what the recipe leaves open may have been anything."""
        found = self.trained.get((data, str(recipe.model), recipe.seed), ())
        return next((line for line in found if _follows(line["recipe"], recipe)), None)

    def timing(self, models: Iterable[str], clock: Turns, repeat: int, device: str) -> Line | None:
        """The turns numbered `repeat` in which steps of `models`, and perhaps others, were timed."""
        wanted = {"batch": clock.batch, "size_px": clock.size_px, "rounds": clock.rounds}
        for line in self.timed:
            same = line["seed"] == repeat and line["device"] == device
            if same and wanted.items() <= line["settings"].items() and set(models) <= step_times(line).keys():
                return line
        return None

    def devices(self) -> list[str]:
        """Those that steps were timed on, in the order of the lines."""
        return list(dict.fromkeys(line["device"] for line in self.timed))


def _follows(had: Mapping[str, Any], asked: Recipe) -> bool:
    """Is `had`, a recipe as it stands in a line, what `asked` asks for?"""
    blank = Recipe()
    for name in dotted_names():
        wanted = get_field(asked, name)
        value: Any = had
        for part in name.split("."):
            value = value.get(part, _Absent) if isinstance(value, Mapping) else _Absent
        if value is _Absent:  # a setting that there was none of then
            value = get_field(blank, name)
        value = tuple(value) if isinstance(value, list) else value
        if wanted is not None and value != wanted:
            return False
    return True


class _Absent:
    """Stands for a field that an older line lacks."""


def step_times(line: Line) -> dict[str, Timing]:
    """Times of a training step by network, of a bench line."""
    return {row["what"].split(",")[0]: Timing(tuple(row["seconds"])) for row in line["timings"]}


def figures(line: Line) -> dict[str, float]:
    """The metrics of a training line: of `test`, else of `val`, which chose the epoch."""
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
