"""The plots of docs/confidence.md, as confidence.py draws them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from resnext.confidence import Separation
from resnext.metrics import Reliability, RiskCoverage
from resnext.reporting.plot_style import COLOURS, INK, new_figure, plot_style, svg_on_white

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = Path(__file__).parents[1] / "docs" / "confidence"
#: Most points of a curve.
POINTS = 200


def draw_honesty(before: Reliability, after: Reliability, name: str) -> None:
    """Accuracy against confidence, before and after the temperature."""
    with plot_style():
        figure = new_figure(4.8, 3.6)
        ax = figure.subplots()
        ax.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", label="honest")
        for one, label, colour in ((before, "before", COLOURS[1]), (after, "after", COLOURS[0])):
            confidence = [100 * part.confidence for part in one.bins if part.count]
            accuracy = [100 * part.accuracy for part in one.bins if part.count]
            ax.plot(
                confidence, accuracy, color=colour, marker=".", label=f"{label}: ECE {100 * one.ece:.1f} %"
            )
        _finish(ax, f"confidence of {name}, %", "share that is right, %")
        ax.set_xlim(0, 102)
        ax.set_ylim(0, 102)
        ax.legend()
        _write(svg_on_white(figure), "honesty")


def draw_sets(curves: Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]) -> None:
    """Mean number of classes against coverage, in a panel for each network and a line for each method."""
    with plot_style():
        figure = new_figure(4.4 * len(curves), 3.4)
        for ax, (name, methods) in zip(
            np.atleast_1d(figure.subplots(1, len(curves))), curves.items(), strict=True
        ):
            for (method, points), colour in zip(methods.items(), COLOURS, strict=False):
                coverage, size = np.transpose(points)
                ax.plot(100 * coverage, size, color=colour, marker=".", label=method)
            _finish(ax, f"sets of {name} that hold the class, %", "classes in a set")
            ax.set_ylim(bottom=0)
            ax.legend()
        _write(svg_on_white(figure), "sets")


def draw_rejection(kinds: Mapping[str, Mapping[str, Separation]]) -> None:
    """Share of the outliers that is rejected against share of the images of the classes, by score."""
    with plot_style():
        figure = new_figure(3.6 * len(kinds), 3.4)
        panels = np.atleast_1d(figure.subplots(1, len(kinds), sharey=True))
        alarms = np.linspace(0, 1, POINTS)
        for ax, (kind, scores) in zip(panels, kinds.items(), strict=True):
            ax.plot([0, 100], [0, 100], color=INK, linewidth=0.8, linestyle=":", label="chance")
            for (score, one), colour in zip(scores.items(), COLOURS, strict=False):
                # An outlier falls below the threshold when all images of the classes above it are kept.
                rejected = [(one.others > 1 - share).mean() for share in alarms]
                ax.plot(100 * alarms, 100 * np.array(rejected), color=colour, label=score)
            _finish(ax, "false alarms, %", "")
            ax.set_title(kind, fontsize=10)
        panels[0].set_ylabel("outliers that are rejected, %")
        panels[0].legend()
        _write(svg_on_white(figure), "rejection")


def draw_answered(curves: Mapping[str, RiskCoverage]) -> None:
    """Accuracy where only the surest images are answered, against their share."""
    with plot_style():
        figure = new_figure(5.2, 3.4)
        ax = figure.subplots()
        for (name, one), colour in zip(curves.items(), COLOURS, strict=False):
            shown = np.unique(np.linspace(0, len(one.answered) - 1, POINTS).round().astype(int))
            ax.plot(100 * one.coverage[shown], 100 * one.accuracy[shown], color=colour, label=name)
        _finish(ax, "share answered, surest first, %", "share that is right, %")
        ax.set_xlim(0, 102)
        ax.set_ylim(0, 102)
        ax.legend()
        _write(svg_on_white(figure), "answered")


def _finish(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.grid(True)


def _write(svg: str, name: str) -> None:
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / f"{name}.svg").write_text(svg)
