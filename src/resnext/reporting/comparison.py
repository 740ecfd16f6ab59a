"""Comparison of two runs, or of two recipes with several runs each, on the same images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from resnext.recipe import Recipe, dotted_names, get_field
from resnext.reporting.run_summary import RunSummary, read_runs
from resnext.run import RunError
from resnext.statistics import (
    MIN_RUNS_TO_RESAMPLE,
    Bootstrap,
    Interval,
    PairedTest,
    bootstrap_difference,
    crossed_bootstrap,
    interval,
    paired_test,
)

Pair = tuple[RunSummary, RunSummary]


@dataclass(frozen=True)
class Comparison:
    """The second recipe against the first, on the same `images` of `split`.

    `differing` are the settings that differ, by dotted name. `seeds`, `errors` in percent and `tests` by
    McNemar are of each pair of runs. `bootstrap` resamples the images; `across` is the interval of the mean
    difference over pairs, and `with_images` the one for other seeds and other images alike, both None where
    there is one pair. Errors are `optimistic` where the images also
    chose the weights.
    """

    split: str
    images: int
    differing: dict[str, tuple[str, str]]
    seeds: tuple[tuple[int, int], ...]
    errors: tuple[tuple[float, float], ...]
    tests: tuple[PairedTest, ...]
    optimistic: bool
    bootstrap: Bootstrap
    across: Interval | None
    with_images: tuple[float, float] | None = None

    def to_json(self) -> dict[str, Any]:
        """The comparison as `resnext compare --json` prints it."""
        return {_KEYS.get(name, name): value for name, value in asdict(self).items()}

    def lines(self) -> list[str]:
        """The comparison for people."""
        settings = [f"{name}: {first} against {second}" for name, (first, second) in self.differing.items()]
        chose = " (they chose the weights, so the errors are optimistic)" if self.optimistic else ""
        pairs = map(_pair_line, self.seeds, self.errors, self.tests)
        of_split = f"{self.images:,} images of {self.split}{chose}"
        return [*settings, of_split, *pairs, self._bootstrap_line(), self._across_line()]

    def _bootstrap_line(self) -> str:
        one = self.bootstrap
        drawn = "images" if len(self.seeds) < MIN_RUNS_TO_RESAMPLE else "images and seeds"
        return (
            f"in these runs the second is correct on {one.difference:+.2f} points more, {one.low:+.2f} to "
            f"{one.high:+.2f} (95 %, {drawn} resampled): {_verdict(one.low, one.high)}"
        )

    def _across_line(self) -> str:
        if self.across is None:
            return "one seed says nothing about other seeds; give runs of more seeds"
        mean, low, high = self.across.mean, self.across.low, self.across.high
        line = (
            f"over {self.across.n} seeds {mean:+.2f} points, {low:+.2f} to {high:+.2f} "
            f"(95 %, Student's t): {_verdict(low, high)}"
        )
        if self.with_images is not None:
            low, high = self.with_images
            line += f"; for other images too {low:+.2f} to {high:+.2f} (seeds and images resampled)"
        return line


#: Keys of the JSON whose fields have another name here.
_KEYS = {"images": "pictures"}


def _pair_line(seeds: tuple[int, int], errors: tuple[float, float], test: PairedTest) -> str:
    one, other = seeds
    words = f"seed {one}" if one == other else f"seeds {one} and {other}"
    return (
        f"{words}: error {errors[0]:.2f} % against {errors[1]:.2f} %; only the second is correct on "
        f"{test.better:,}, only the first on {test.worse:,}; p = {test.p:.3g} (McNemar)"
    )


def _verdict(low: float, high: float) -> str:
    return "the second is better" if low > 0 else "the first is better" if high < 0 else "not resolved"


def compare(runs: Sequence[str | Path]) -> Comparison:
    """Compare two runs, or two recipes by several runs each.

    Args:
        runs: Folders of two finished runs; or of more, which fall into two groups by their recipes without
            the seed, and are paired by their seeds.

    Raises:
        UsageError: `runs` is no list of two runs or more.
        RunError: They do not fall into pairs, or predicted different images.

    >>> import resnext, tempfile
    >>> small = {"model": "resnet11+template=8", "epochs": 1, "runs": tempfile.mkdtemp()}
    >>> runs = [resnext.train("digits", seed=seed, **small).folder for seed in (0, 1)]
    >>> comparison = compare(runs)
    >>> comparison.seeds, comparison.split
    (((0, 1),), 'test')
    """
    summaries = read_runs(runs, 2)
    first = summaries[0]
    pairs = [(first, summaries[1])] if len(summaries) == 2 else _pairs(summaries)
    for run in summaries:
        if run.keys != first.keys or not np.array_equal(run.outcomes.labels, first.outcomes.labels):
            raise RunError(
                f"{run.folder}: answered other images than {first.folder}; runs are compared on the same DATA"
            )
    return _compare(pairs)


def _compare(pairs: Sequence[Pair]) -> Comparison:
    first, second = pairs[0]
    one, other = (np.stack([pair[i].correct for pair in pairs]) for i in (0, 1))
    errors = [(100 * float(1 - a.mean()), 100 * float(1 - b.mean())) for a, b in zip(one, other, strict=True)]
    return Comparison(
        split=first.split,
        images=len(first.keys),
        differing=_differing(first.recipe, second.recipe),
        seeds=tuple((a.recipe.seed, b.recipe.seed) for a, b in pairs),
        errors=tuple(errors),
        optimistic=first.is_optimistic,
        tests=tuple(paired_test(a, b) for a, b in zip(one, other, strict=True)),
        bootstrap=bootstrap_difference(one, other),
        across=interval([a - b for a, b in errors]) if len(pairs) > 1 else None,
        with_images=crossed_bootstrap(100.0 * (other.astype(float) - one)) if len(pairs) > 1 else None,
    )


def _pairs(runs: Sequence[RunSummary]) -> list[Pair]:
    """Runs of two recipes, paired by their seeds."""
    groups: dict[str, list[RunSummary]] = {}
    for run in runs:
        groups.setdefault(replace(run.recipe, seed=0).to_toml(), []).append(run)
    if len(groups) != 2:
        raise RunError(
            f"these {len(runs)} runs have {len(groups)} different recipes, leaving out the seed. "
            "Give two runs, or runs of several seeds of each of two recipes"
        )
    first, second = ({run.recipe.seed: run for run in group} for group in groups.values())
    if len(first) + len(second) < len(runs):
        raise RunError("two runs have the same recipe and seed: they are no pair; leave one out")
    if set(first) != set(second):
        alone = sorted(set(first) ^ set(second))
        raise RunError(f"seed {alone[0]} was run by one recipe only; leave it out, or run it by the other")
    return [(first[seed], second[seed]) for seed in sorted(first)]


def _differing(first: Recipe, second: Recipe) -> dict[str, tuple[str, str]]:
    values = ((n, str(get_field(first, n)), str(get_field(second, n))) for n in dotted_names() if n != "seed")
    return {name: (one, other) for name, one, other in values if one != other}
