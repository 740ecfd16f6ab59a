"""Arms of an experiment on paired seeds: run them all, keep their lines, tell the differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from resnext.results import append

RESULTS = Path(__file__).parents[1] / "results"
SEEDS = (0, 1, 2)


def compare(experiment: str, arms: dict[str, Callable[[int], dict[str, Any]]], of: str) -> bool:
    """Run each arm with each seed, and append their result lines to results/{experiment}.jsonl.

    `of` is the figure in a line's metrics that is compared. True where every other arm has a higher one than
    the first with every seed.
    """
    lines: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for seed in SEEDS:
        for arm, run in arms.items():
            line = run(seed) | {"experiment": experiment, "arm": arm}
            lines[arm].append(line)
            append(line, RESULTS / f"{experiment}.jsonl")
            print(f"{experiment}, seed {seed}, {arm}: {of} {line['metrics'][of]:.2f}", flush=True)
    figures = {arm: [line["metrics"][of] for line in made] for arm, made in lines.items()}
    first, *others = figures
    for arm, values in figures.items():
        print(f"{arm}: {', '.join(f'{v:.2f}' for v in values)}; mean {mean(values):.2f}")
    better = True
    for arm in others:
        differences = [b - a for a, b in zip(figures[first], figures[arm], strict=True)]
        print(
            f"{arm} - {first}: {', '.join(f'{d:+.2f}' for d in differences)}; mean {mean(differences):+.2f}"
        )
        better = better and min(differences) > 0
    return better
