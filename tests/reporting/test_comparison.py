"""Runs are compared on the same images, in pairs of the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import resnext
from resnext.recipe import Recipe
from resnext.reporting import compare
from resnext.reporting.run_summary import RunSummary
from resnext.run import Run, RunError
from resnext.statistics import crossed_bootstrap, paired_test


def test_two_recipes_by_two_seeds_each(run: Run, data: Path, tmp_path: Path, recipe: Recipe) -> None:
    """The figures are those of the runs' own answers; the order in which they are given decides only which
    recipe is the first."""
    runs = [
        run.folder,
        resnext.train(data, recipe, runs=tmp_path, seed=1).folder,
        *(resnext.train(data, recipe, runs=tmp_path, seed=s, training__dropout=0.2).folder for s in (1, 0)),
    ]
    comparison = compare(runs)
    assert comparison.differing == {"training.dropout": ("0.0", "0.2")}
    assert comparison.seeds == ((0, 0), (1, 1))
    first, other, second_1, second_0 = (RunSummary.read(path).correct for path in runs)
    assert comparison.tests == (paired_test(first, second_0), paired_test(other, second_1))
    gains = [100 * (b.mean() - a.mean()) for a, b in ((first, second_0), (other, second_1))]
    assert comparison.across is not None
    assert comparison.across.mean == pytest.approx(np.mean(gains))
    assert comparison.bootstrap.difference == pytest.approx(np.mean(gains))
    assert "training.dropout: 0.0 against 0.2" in comparison.lines()
    pairs = np.stack([second_0, second_1]).astype(float) - np.stack([first, other])
    assert comparison.with_images == crossed_bootstrap(100 * pairs)
    assert "for other images too" in comparison.lines()[-1]
    back = compare(runs[::-1])
    assert back.bootstrap.difference == pytest.approx(-comparison.bootstrap.difference)
    alone = compare([runs[0], runs[3]])
    assert (alone.across, alone.with_images) == (None, None)
    assert "one seed says nothing" in alone.lines()[-1]
    seeds = compare(runs[:2])  # two runs may differ in anything
    assert seeds.differing == {}
    assert seeds.seeds == ((0, 1),)
    with pytest.raises(RunError, match="1 different recipes"):
        compare([runs[0], runs[1], runs[0]])
    with pytest.raises(RunError, match="seed 1 was run by one recipe only"):
        compare([runs[0], runs[1], runs[3]])
    with pytest.raises(RunError, match="same recipe and seed"):
        compare([runs[0], runs[1], runs[3], runs[3]])
