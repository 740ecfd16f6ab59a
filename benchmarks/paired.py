"""Runs of several arms with paired seeds: keeps their records and prints the differences."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import mean
from typing import Any

from resnext.records import append_record

RESULTS = Path(__file__).parents[1] / "results"
SEEDS = (0, 1, 2)


def compare(experiment: str, arms: dict[str, Callable[[int], dict[str, Any]]], of: str) -> bool:
    """Run each arm with each seed, and append the records to results/{experiment}.jsonl.

    Args:
        experiment: Name of the file.
        arms: For each arm, a function from seed to record.
        of: The metric to compare.

    Returns:
        Whether every other arm has a higher metric than the first with every seed.
    """
    records: dict[str, list[dict[str, Any]]] = {arm: [] for arm in arms}
    for seed in SEEDS:
        for arm, run in arms.items():
            record = run(seed) | {"experiment": experiment, "arm": arm}
            records[arm].append(record)
            append_record(record, RESULTS / f"{experiment}.jsonl")
            print(f"{experiment}, seed {seed}, {arm}: {of} {record['metrics'][of]:.2f}", flush=True)
    figures = {arm: [record["metrics"][of] for record in own] for arm, own in records.items()}
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
