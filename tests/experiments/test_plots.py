"""Plots are drawn where there are figures, as files that say what they show."""

from __future__ import annotations

from resnext.experiments import EXPERIMENTS, Ledger, Workspace, judge
from resnext.experiments.plots import draw_plots


def test_the_plots_that_an_experiment_asks_for_where_there_are_figures(workspace: Workspace) -> None:
    ledger = Ledger.read(workspace.results)
    (found,) = judge(EXPERIMENTS["cardinality"], "miniature", ledger)
    plots = draw_plots(found)
    assert list(plots) == ["cardinality-miniature-cardinality.svg", "cardinality-miniature-curves.svg"]
    assert all(svg.startswith("<?xml") for svg in plots.values())
    assert "1x16d, val" in plots["cardinality-miniature-curves.svg"]
    assert "cardinality-miniature-2-curves.svg" in draw_plots(found, number=2)
    (idle,) = judge(EXPERIMENTS["cardinality"], "laptop", ledger)
    assert draw_plots(idle) == {}
