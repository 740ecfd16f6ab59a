"""Two runs, or two recipes with several runs each, on the same pictures: which is better, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from resnext.recipe import Recipe, dotted_names, get_field
from resnext.reporting.account import Account
from resnext.results import (
    ENOUGH_RUNS,
    Bootstrap,
    Interval,
    PairedTest,
    bootstrap_difference,
    interval,
    paired_test,
)
from resnext.run import RunError


@dataclass(frozen=True)
class Comparison:
    """The second recipe against the first on the same `pictures` of `split`.

    `differing` are the settings that differ, by dotted name. For each pair: its seeds, both errors in percent
    and McNemar's test. `bootstrap` draws the pictures again; `across` is the interval of the mean difference
    over pairs, None where there is one. Errors are `optimistic` where the pictures also chose the epoch.
    """

    split: str
    pictures: int
    differing: dict[str, tuple[str, str]]
    seeds: tuple[tuple[int, int], ...]
    errors: tuple[tuple[float, float], ...]
    tests: tuple[PairedTest, ...]
    optimistic: bool
    bootstrap: Bootstrap
    across: Interval | None

    def lines(self) -> list[str]:
        """All of it for people."""
        lines = [f"{name}: {first} against {second}" for name, (first, second) in self.differing.items()]
        chose = " (they chose the epoch, so the errors are optimistic)" if self.optimistic else ""
        lines.append(f"{self.pictures:,} pictures of {self.split}{chose}")
        for (seed, other), (first, second), test in zip(self.seeds, self.errors, self.tests, strict=True):
            seeds = f"seed {seed}" if seed == other else f"seeds {seed} and {other}"
            lines.append(
                f"{seeds}: error {first:.2f} % against {second:.2f} %; only the second is right on "
                f"{test.better:,}, only the first on {test.worse:,}; p = {test.p:.3g} (McNemar)"
            )
        one = self.bootstrap
        drawn = "pictures" if len(self.seeds) < ENOUGH_RUNS else "pictures and seeds"
        lines.append(
            f"of these runs the second is right on {one.difference:+.2f} points more, {one.low:+.2f} to "
            f"{one.high:+.2f} (95 %, {drawn} drawn again): {_verdict(one.low, one.high)}"
        )
        if self.across is not None:
            low, high = self.across.low, self.across.high
            lines.append(
                f"over {self.across.n} seeds {self.across.mean:+.2f} points, {low:+.2f} to {high:+.2f} "
                f"(95 %, Student's t): {_verdict(low, high)}"
            )
        else:
            lines.append("one seed says nothing of how another would come out; give runs of more seeds")
        return lines


def _verdict(low: float, high: float) -> str:
    return "the second is better" if low > 0 else "the first is better" if high < 0 else "not resolved"


def compare(runs: Sequence[Path]) -> Comparison:
    """Compare two finished runs; or more, which fall into two groups by their recipes without the seed, and
    are paired by their seeds.

    Raises `RunError` where they do not, or where they answered different pictures.
    """
    accounts = [Account.read(run) for run in runs]
    pairs = [(accounts[0], accounts[1])] if len(accounts) == 2 else _pair(accounts)
    start = pairs[0][0]
    for account in accounts:
        if account.keys != start.keys or not np.array_equal(account.labels, start.labels):
            raise RunError(
                f"{account.folder}: answered other pictures than {start.folder}; runs are compared on the "
                "same DATA"
            )
    one, other = (np.stack([pair[i].right for pair in pairs]) for i in (0, 1))
    errors = [(100 * float(1 - a.mean()), 100 * float(1 - b.mean())) for a, b in zip(one, other, strict=True)]
    return Comparison(
        split=start.split,
        pictures=len(start.keys),
        differing=_differing(start.recipe, pairs[0][1].recipe),
        seeds=tuple((a.recipe.seed, b.recipe.seed) for a, b in pairs),
        errors=tuple(errors),
        optimistic=start.is_optimistic,
        tests=tuple(paired_test(a, b) for a, b in zip(one, other, strict=True)),
        bootstrap=bootstrap_difference(one, other),
        across=interval([a - b for a, b in errors]) if len(pairs) > 1 else None,
    )


def _pair(accounts: Sequence[Account]) -> list[tuple[Account, Account]]:
    """Runs of two recipes, paired by their seeds."""
    groups: dict[str, list[Account]] = {}
    for account in accounts:
        groups.setdefault(replace(account.recipe, seed=0).to_toml(), []).append(account)
    if len(groups) != 2:
        raise RunError(
            f"these {len(accounts)} runs have {len(groups)} different recipes, leaving out the seed. "
            "Give two runs, or runs of several seeds of each of two recipes"
        )
    first, second = ({account.recipe.seed: account for account in group} for group in groups.values())
    if len(first) + len(second) < len(accounts):
        raise RunError("two runs have the same recipe and seed: they are no pair; leave one out")
    if set(first) != set(second):
        alone = sorted(set(first) ^ set(second))
        raise RunError(f"seed {alone[0]} was run by one recipe only; leave it out, or run it by the other")
    return [(first[seed], second[seed]) for seed in sorted(first)]


def _differing(first: Recipe, second: Recipe) -> dict[str, tuple[str, str]]:
    values = ((n, str(get_field(first, n)), str(get_field(second, n))) for n in dotted_names() if n != "seed")
    return {name: (one, other) for name, one, other in values if one != other}
