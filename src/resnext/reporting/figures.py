"""Plots as SVG for a page in light or dark: lines and letters have the colour of the text around them."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from resnext.metrics import Reliability

#: Stands for "the colour of the text" until the SVG is written.
INK = "#010203"
#: Legible on white and on black, and apart for the colour-blind (after Okabe and Ito 2008).
COLOURS = ("#2a7de1", "#e0701b", "#1a9c78", "#c25fa8", "#a08a1c", "#7b6fd6", "#d24545", "#6d8a96")
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "resnext",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x$
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": INK,
    "grid.alpha": 0.15,
    "legend.frameon": False,
}
#: Counts are written into the cells of confusion matrices up to this many classes, names up to the next.
CELLS_UP_TO, NAMES_UP_TO = 20, 60


def curve(epochs: Sequence[dict[str, float]], best: int, what: str, label: str) -> str:
    """`what` (loss, top1_error) after each epoch, on train and val; `best` is the epoch that was kept."""
    number = [line["epoch"] for line in epochs]
    with rc_context(STYLE):
        figure = Figure(figsize=(4.8, 3.1))
        ax = figure.subplots()
        for split, colour in zip(("train", "val"), COLOURS, strict=False):
            values = [line[f"{split}_{what}"] for line in epochs]
            ax.plot(number, values, color=colour, label=split, marker="." if len(number) < 15 else "")
        ax.axvline(best, color=INK, linewidth=0.8, linestyle=":", label=f"best epoch, {best}")
        _finish(ax, "epoch", label)
        ax.set_ylim(bottom=0)
        ax.legend()
        return _svg(figure, f"{label} after each epoch, on train and val")


def val_errors(runs: dict[str, Sequence[dict[str, float]]]) -> str:
    """Top-1 error on val after each epoch, one line a run."""
    with rc_context(STYLE):
        figure = Figure(figsize=(9, 3.4))
        ax = figure.subplots()
        for number, (name, epochs) in enumerate(runs.items()):
            errors = [line["val_top1_error"] for line in epochs]
            ax.plot(
                [line["epoch"] for line in epochs],
                errors,
                color=COLOURS[number % len(COLOURS)],
                linestyle=("-", "--", ":")[number // len(COLOURS) % 3],
                label=name,
                marker="." if len(errors) < 15 else "",
            )
        _finish(ax, "epoch", "top-1 error on val, %")
        ax.set_ylim(bottom=0)
        ax.legend()
        return _svg(figure, "Top-1 error on val after each epoch, one line a run")


def reliability_plot(reliability: Reliability) -> str:
    """Accuracy against confidence; the dots are small where few pictures lie."""
    most = max(one.count for one in reliability.bins)
    with rc_context(STYLE):
        figure = Figure(figsize=(4.2, 3.6))
        ax = figure.subplots()
        ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for one in reliability.bins:
            ax.plot([one.confidence] * 2, [one.confidence, one.accuracy], color=COLOURS[1], linewidth=2)
            size = 20 + 180 * one.count / most
            ax.scatter([one.confidence], [one.accuracy], s=size, color=COLOURS[0], zorder=3, linewidths=0)
        ax.set_xlim(0, 1.03)
        ax.set_ylim(0, 1.03)
        _finish(ax, "confidence", "share that is right")
        return _svg(figure, "Share of right answers against confidence")


def confusion_plot(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Shares of each true class (rows) that get each answer (columns)."""
    size = len(classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(9.0, 2.2 + 0.42 * size)
    blue = LinearSegmentedColormap.from_list("ink", [(0.16, 0.49, 0.88, 0.0), (0.16, 0.49, 0.88, 1.0)])
    with rc_context(STYLE):
        figure = Figure(figsize=(side, side))
        ax = figure.subplots()
        ax.imshow(shares, cmap=blue, vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        if size <= CELLS_UP_TO:
            for row, column in np.argwhere(counts > 0):
                ax.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=9)
        if size <= NAMES_UP_TO:
            small = 10 if size <= CELLS_UP_TO else 6
            ax.set_xticks(range(size), [shorten(c) for c in classes], rotation=60, ha="right", fontsize=small)
            ax.set_yticks(range(size), [shorten(c) for c in classes], fontsize=small)
        else:
            ax.set_xticks([])
            ax.set_yticks([])
        ax.set_xlabel("answer")
        ax.set_ylabel("truth")
        return _svg(figure, "Confusion matrix: truth in rows, answers in columns")


def shorten(name: str, most: int = 18) -> str:
    """`name`, its middle left out where it is long."""
    return name if len(name) <= most else f"{name[: most - 8]}…{name[-7:]}"


def _finish(ax: Axes, x: str, y: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if x == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(True)


def _svg(figure: Figure, says: str) -> str:
    """The figure without its XML head, in the page's font and the colour of its text."""
    figure.set_layout_engine("constrained")
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor")
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    width = re.search(r'width="([\d.]+)pt"', svg)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    style = f"max-width:{float(width[1]) * 4 / 3:.0f}px" if width else ""
    return svg.replace("<svg", f'<svg role="img" aria-label="{says}" style="{style}"', 1)
