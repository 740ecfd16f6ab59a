"""The HTML report of one run, or of several side by side: one file that needs no network."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from resnext.files import write_output, write_whole
from resnext.names import shorten
from resnext.recipe import dotted_names, get_field
from resnext.reporting.pages import render
from resnext.reporting.run_plots import (
    MAX_DRAWN_CLASSES,
    MAX_NAMED_CLASSES,
    confusion_plot,
    curve,
    exports_plot,
    reliability_plot,
    risk_coverage_plot,
    val_errors,
)
from resnext.reporting.run_summary import RunSummary, read_runs
from resnext.run.documents import RunWaits
from resnext.statistics import MAX_WIDTH, Rate, paired_test

#: Shares of the images, the surest ones, whose accuracy is told; the last stands for all.
SURE_SHARES = (0.5, 0.8, 1.0)
#: Sizes of sets of classes that are told apart.
SIZES_TOLD = 3
#: Number of pairs of classes that are listed as most often confused, and most classes with a row.
PAIRS, MAX_ROWS = 15, 1000


def write_report(runs: Sequence[str | Path], out: str | Path | None = None) -> Path:
    """Write the report of one finished run, or of several side by side.

    Args:
        runs: Folders of finished runs.
        out: The file; the default is report.html in the run's folder, or comparison.html beside the first of
            several.

    Returns:
        Path of the report.

    Raises:
        UsageError: `runs` is one path or empty.
        RunError: A folder has no finished run.
        OSError: The report cannot be written.

    >>> import resnext, tempfile
    >>> run = resnext.train("digits", model="resnet11+template=8", epochs=1, runs=tempfile.mkdtemp())
    >>> write_report([run.folder]).name
    'report.html'
    """
    summaries = read_runs(runs, 1)
    if len(summaries) == 1:
        usual = summaries[0].folder / "report.html"
        page = render("run.html.j2", _run(summaries[0]))
    else:
        usual = summaries[0].folder.parent / "comparison.html"
        page = render("comparison.html.j2", _comparison(summaries))
    if out is None:
        write_whole(usual, page)  # through no link: others may have made the folder
        return usual
    write_output(Path(out), page)
    return Path(out)


def _run(run: RunSummary) -> dict[str, Any]:
    """What the report of one run shows."""
    classes, best = run.contract.classes, run.result.metrics.best_epoch
    is_drawn = len(classes) <= MAX_DRAWN_CLASSES
    rows = sorted(run.scores.classes, key=lambda row: (row.count == 0, row.f1))
    return {
        "run": run,
        "curves": [
            Markup(curve(run.epochs, best, what, label))
            for what, label in (("loss", "loss"), ("top1_error", "top-1 error, %"))
        ],
        "reliability_plot": Markup(reliability_plot(run.reliability)),
        "risk_coverage_plot": Markup(risk_coverage_plot(run.risk_coverage, SURE_SHARES)),
        "exports_plot": Markup(exports_plot(run.exports)),
        "sure": _surest(run),
        "calibration": run.contract.calibration,
        "rejected": run.rejected,
        "set_sizes": _set_sizes(run),
        "confusion_plot": Markup(confusion_plot(run.confusion.matrix(), classes)) if is_drawn else "",
        "named": len(classes) <= MAX_NAMED_CLASSES,
        "pairs": _confused_pairs(run),
        "mistakes": list(run.mistakes()),
        "rows": rows[:MAX_ROWS],
        "trained": dict(zip(classes, run.data.train_counts, strict=False)),  # earlier versions counted none
        "max_width": 100 * MAX_WIDTH,
        "times": _times(run.result.waits),
    }


def _surest(run: RunSummary) -> list[tuple[float, float, Rate]]:
    """Share of the images, least confidence and accuracy of the surest ones; all images come last."""
    points = {point for share in SURE_SHARES if (point := run.risk_coverage.at(share))}
    return sorted((rate.n / len(run.keys), threshold, rate) for rate, threshold in points)


def _set_sizes(run: RunSummary) -> list[tuple[str, float]]:
    """Sizes of the sets of classes, for people, and the shares of the images that have such a set."""
    if run.sets is None:
        return []
    sizes = run.sets.sizes
    named = [(f"have {size}", float((sizes == size).mean())) for size in range(1, SIZES_TOLD + 1)]
    return [*named, ("have more", float((sizes > SIZES_TOLD).mean()))]


def _times(waits: RunWaits | None) -> list[tuple[str, float]]:
    """What a run did, and for how many seconds: all of its time, as far as it was measured."""
    if waits is None:  # as in runs of earlier versions
        return []
    rest = [("the rest: start, reading all images once, saving, the final evaluation", waits.rest_s)]
    return [
        ("waiting for images", waits.data_s),
        ("training steps", waits.compute_s),
        ("evaluation on val", waits.evaluation_s),
        ("images to the device", waits.transfer_s),
        *(rest if waits.rest_s else []),
    ]


def _confused_pairs(run: RunSummary) -> list[tuple[str, str, int, int]]:
    """True and predicted class, number of mistakes and of images of the true class, most mistakes first."""
    rows = run.scores.classes
    return [
        (rows[true].name, rows[predicted].name, count, rows[true].count)
        for true, predicted, count in islice(run.confusion.mistakes(), PAIRS)
    ]


def _comparison(runs: list[RunSummary]) -> dict[str, Any]:
    """What the report of several runs shows."""
    names = _names(runs)
    recipes = [run.recipe for run in runs]
    differing = [
        (name, [get_field(recipe, name) for recipe in recipes])
        for name in dotted_names()
        if len({repr(get_field(recipe, name)) for recipe in recipes}) > 1
    ]
    first, *others = runs
    tests = [
        (name, paired_test(first.correct, other.correct) if _same_images(first, other) else None)
        for name, other in zip(names[1:], others, strict=True)
    ]
    return {
        "runs": list(zip(names, runs, strict=True)),
        "val_errors": Markup(val_errors(dict(zip(names, (run.epochs for run in runs), strict=True)))),
        "short": list(shorten(names).values()),
        "differing": differing,
        "tests": tests,
        "same_data": len({run.data.fingerprint for run in runs}) == 1,
        "optimistic": any(run.is_optimistic for run in runs),
    }


def _names(runs: list[RunSummary]) -> list[str]:
    """The runs' names, numbered where two are the same."""
    names: list[str] = []
    for run in runs:
        name, number = run.name, 2
        while name in names:
            name, number = f"{run.name} ({number})", number + 1
        names.append(name)
    return names


def _same_images(one: RunSummary, other: RunSummary) -> bool:
    return one.keys == other.keys and np.array_equal(one.outcomes.labels, other.outcomes.labels)
