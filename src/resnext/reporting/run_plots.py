"""The plots of a run, as SVG elements of its report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from resnext.engine.exports import ParityRecord
from resnext.metrics import Reliability, RiskCoverage
from resnext.names import shorten
from resnext.reporting.plot_style import COLOURS, INK, new_figure, plot_style, svg_inline
from resnext.run.documents import EpochLine
from resnext.statistics import Rate

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Confusion matrices have counts in their cells up to this many classes, names up to this many, and are drawn
#: at all up to this many: a drawing has no room for more, and memory grows with their square.
MAX_COUNTED_CLASSES, MAX_NAMED_CLASSES, MAX_DRAWN_CLASSES = 20, 60, 1000

#: Columns of a run's name in a legend, and most points of a curve over images.
MAX_RUN_NAME, MAX_CURVE_POINTS = 40, 300


def curve(epochs: Sequence[EpochLine], best: int, what: str, label: str) -> str:
    """A metric after each epoch, or with each penalty, on train and val.

    Args:
        epochs: Lines of metrics.jsonl.
        best: Number of the one that was kept.
        what: loss or top1_error.
        label: The metric for people.
    """
    penalties = {line.epoch: line.penalty for line in epochs if line.penalty is not None}
    number = list(penalties.values()) or [line.epoch for line in epochs]
    best_at = penalties.get(best, best)
    what_is, kept = ("penalty", f"{best_at:.1e}") if penalties else ("epoch", f"{best}")
    with plot_style():
        figure = new_figure(4.8, 3.1)
        ax = figure.subplots()
        for split, colour in zip(("train", "val"), COLOURS, strict=False):
            lines = [line for line in epochs if not penalties or line.penalty is not None]
            values = [getattr(line, f"{split}_{what}") for line in lines]
            ax.plot(number, values, color=colour, label=split, marker="." if len(number) < 15 else "")
        ax.axvline(best_at, color=INK, linewidth=0.8, linestyle=":", label=f"best {what_is}, {kept}")
        _finish(ax, what_is, label)
        if penalties:
            ax.set_xscale("log")
        ax.set_ylim(bottom=0)
        ax.legend()
        after = "with each penalty" if penalties else "after each epoch"
        return svg_inline(figure, f"{label} {after}, on train and val")


def val_errors(runs: dict[str, Sequence[EpochLine]]) -> str:
    """Top-1 error on val after each epoch, one line for each run; level where only the head was fitted."""
    with plot_style():
        figure = new_figure(9, 3.4)
        ax = figure.subplots()
        names = shorten(runs, MAX_RUN_NAME)
        for number, (name, epochs) in enumerate(runs.items()):
            errors = [line.val_top1_error for line in epochs]
            looks: dict[str, Any] = {
                "color": COLOURS[number % len(COLOURS)],
                "linestyle": ("-", "--", ":")[number // len(COLOURS) % 3],
                "label": names[name],
            }
            if any(line.penalty is not None for line in epochs):
                ax.axhline(min(errors), **looks)
                continue
            marker = "." if len(errors) < 15 else ""
            ax.plot([line.epoch for line in epochs], errors, marker=marker, **looks)
        _finish(ax, "epoch", "top-1 error on val, %")
        ax.set_ylim(bottom=0)
        ax.legend()
        return svg_inline(figure, "Top-1 error on val after each epoch, one line for each run")


def reliability_plot(reliability: Reliability) -> str:
    """Accuracy against confidence; dots are larger where there are more images."""
    largest = max(one.count for one in reliability.bins)
    with plot_style():
        figure = new_figure(4.2, 3.6)
        ax = figure.subplots()
        ax.plot([0, 1], [0, 1], color=INK, linewidth=0.8, linestyle=":")
        for one in reliability.bins:
            ax.plot([one.confidence] * 2, [one.confidence, one.accuracy], color=COLOURS[1], linewidth=2)
            size = 20 + 180 * one.count / largest
            ax.scatter([one.confidence], [one.accuracy], s=size, color=COLOURS[0], zorder=3, linewidths=0)
        ax.set_xlim(0, 1.03)
        ax.set_ylim(0, 1.03)
        _finish(ax, "confidence", "share that is correct")
        return svg_inline(figure, "Share of correct predictions against confidence")


def risk_coverage_plot(curve: RiskCoverage, marked: Sequence[float]) -> str:
    """Accuracy where only the surest images are answered, against their share.

    Args:
        curve: The curve.
        marked: Shares whose points get a dot.
    """
    shown = np.unique(np.linspace(0, len(curve.answered) - 1, MAX_CURVE_POINTS).round().astype(int))
    with plot_style():
        figure = new_figure(4.8, 3.1)
        ax = figure.subplots()
        ax.plot(100 * curve.coverage[shown], 100 * curve.accuracy[shown], color=COLOURS[0])
        for rate in (point[0] for share in marked if (point := curve.at(share))):
            ax.plot([100 * rate.n / curve.answered[-1]], [100 * rate.share], "o", color=COLOURS[1])
        ax.set_xlim(0, 102)
        _finish(ax, "share answered, surest first, %", "share that is right, %")
        return svg_inline(figure, "Share that is right against share that is answered")


def exports_plot(exports: Mapping[str, ParityRecord]) -> str:
    """Accuracy against speed of the run and of each of its exports; "" where no images had labels.

    Each export was timed in turns with the run, so the speed is how many times that of the run it is. Bars
    are Wilson's 95 % intervals of the accuracy.

    Args:
        exports: How each export agreed with the run, by the name of its file.
    """
    judged = {
        name: one for name, one in exports.items() if one.correct is not None and one.images and one.ms[1]
    }
    if not judged:
        return ""
    first = next(iter(judged.values()))
    assert first.correct is not None
    points = [("the run", 1.0, Rate(first.correct[0], first.images))]
    for name, one in judged.items():
        assert one.correct is not None
        points.append((f"{name}, {one.engine}", one.ms[0] / one.ms[1], Rate(one.correct[1], one.images)))
    with plot_style():
        figure = new_figure(9, 3.1)
        ax = figure.subplots()
        for number, (name, speed, rate) in enumerate(points):
            low, high = rate.interval
            colour = COLOURS[number % len(COLOURS)]
            ax.plot([speed] * 2, [100 * low, 100 * high], color=colour, linewidth=1)
            ax.plot([speed], [100 * rate.share], "o", color=colour, label=name)
        ax.set_xlim(left=0)
        _finish(ax, "speed, as a multiple of that of the run in torch", "accuracy, %")
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
        return svg_inline(figure, "Accuracy against speed of the run and its exports")


def confusion_plot(counts: NDArray[np.int64], classes: Sequence[str]) -> str:
    """Shares of each true class (rows) that are predicted as each class (columns).

    Args:
        counts: (classes, classes) images by true and by predicted class.
        classes: Their names.
    """
    size = len(classes)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(9.0, 2.2 + 0.42 * size)
    with plot_style():
        from matplotlib.colors import LinearSegmentedColormap

        blue = LinearSegmentedColormap.from_list("ink", [(0.16, 0.49, 0.88, 0.0), (0.16, 0.49, 0.88, 1.0)])
        figure = new_figure(side, side)
        ax = figure.subplots()
        ax.imshow(shares, cmap=blue, vmin=0, vmax=1, interpolation="nearest", aspect="equal")
        if size <= MAX_COUNTED_CLASSES:
            for row, column in np.argwhere(counts > 0):
                ax.text(column, row, f"{counts[row, column]}", ha="center", va="center", fontsize=9)
        if size <= MAX_NAMED_CLASSES:
            small = 10 if size <= MAX_COUNTED_CLASSES else 6
            short = list(shorten(classes).values())
            ax.set_xticks(range(size), short, fontsize=small)
            ax.tick_params(axis="x", labelrotation=60)
            for label in ax.get_xticklabels():
                label.set(ha="right", rotation_mode="anchor")
            ax.set_yticks(range(size), short, fontsize=small)
        else:
            ax.set_xticks([])
            ax.set_yticks([])
        ax.set_xlabel("prediction")
        ax.set_ylabel("truth")
        return svg_inline(figure, "Confusion matrix: truth in rows, predictions in columns")


def _finish(ax: Axes, x: str, y: str) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.set_xlabel(x)
    ax.set_ylabel(y)
    if x == "epoch":
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(True)
