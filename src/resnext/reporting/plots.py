"""Plots of what experiments found: files of SVG on white, for pages of any colour."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnext.reporting.figures import COLOURS, INK, STYLE
from resnext.results import Arm, Findings, Interval

ERROR, SECONDS = "top1_error", "step_s"


def plots_of(findings: Findings) -> dict[str, str]:
    """SVG texts by file name: the drawings that the experiment asks for, as far as there are figures."""
    plots = {}
    for name in findings.drawings:
        with rc_context(STYLE):
            figure = DRAWINGS[name](findings)
            if figure is not None:
                plots[f"{findings.experiment}-{findings.scale}-{name}.svg"] = _svg(figure)
    return plots


def by_cardinality(findings: Findings) -> Figure | None:
    """The metric against cardinality: published at the left, ours at the right with intervals."""
    metric = next(iter(findings.metrics))
    own = [arm for arm in findings.arms if metric in arm.ours]
    if not own:
        return None
    figure = Figure(figsize=(8, 3.2))
    left, right = figure.subplots(1, 2)
    published = [arm for arm in findings.arms if metric in arm.paper]
    groups: dict[str, list[Arm]] = {}
    for arm in published:
        groups.setdefault(" ".join(arm.name.split()[:-1]), []).append(arm)
    for number, (group, members) in enumerate(groups.items()):
        label = group or findings.source.split(",")[0]
        x, y = [_cardinality(arm) for arm in members], [arm.paper[metric] for arm in members]
        left.plot(x, y, marker="o", color=COLOURS[number], label=label)
    _with_intervals(right, [_cardinality(arm) for arm in own], [arm.ours[metric] for arm in own])
    for ax, title in ((left, "published"), (right, f"ours, {findings.scale}")):
        ax.set_xscale("log", base=2)
        ticks = sorted({_cardinality(arm) for arm in findings.arms})
        ax.set_xticks(ticks, [str(c) for c in ticks])
        ax.minorticks_off()
        _label(ax, "cardinality", findings.metrics[metric], title)
    if len(groups) > 1:
        left.legend()
    if not published:
        left.set_visible(False)
    return figure


def curves(findings: Findings) -> Figure | None:
    """Training (dashed) and validation error after each epoch, means over the runs, as in the paper's
    figures."""
    own = [arm for arm in findings.arms if len(arm.curve) > 1]
    if not own:
        return None
    figure = Figure(figsize=(6, 3.6))
    ax = figure.subplots()
    for arm, colour in zip(own, COLOURS * 2, strict=False):
        epochs = [point["epoch"] for point in arm.curve]
        marker = "o" if len(epochs) < 15 else ""
        val, train = ([point[f"{split}_top1_error"] for point in arm.curve] for split in ("val", "train"))
        ax.plot(epochs, val, color=colour, marker=marker, label=f"{arm.name}, val")
        ax.plot(epochs, train, color=colour, marker=marker, linestyle="--", label=f"{arm.name}, train")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label(ax, "epoch", "error, %", "")
    ax.legend(fontsize=8, handlelength=3)
    return figure


def bars(findings: Findings) -> Figure | None:
    """The error of each arm, published and ours beside each other."""
    own = [arm for arm in findings.arms if ERROR in arm.ours]
    if not own:
        return None
    published = any(ERROR in arm.paper for arm in own)
    figure = Figure(figsize=(8 if published else 4.5, 3.2))
    axes = figure.subplots(1, 1 + published, squeeze=False)[0]
    names = [arm.name.replace(" without", "\nwithout").replace(", ", ",\n") for arm in own]
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(own))]
    if published:
        axes[0].bar(names, [arm.paper.get(ERROR, 0.0) for arm in own], color=colours)
        _label(axes[0], "", findings.metrics[ERROR], "published")
    ours = [arm.ours[ERROR] for arm in own]
    axes[-1].bar(names, [one.mean for one in ours], yerr=_reach(ours), color=colours, ecolor=INK, capsize=4)
    _label(axes[-1], "", findings.metrics[ERROR], f"ours, {findings.scale}")
    for ax in axes:
        ax.tick_params(axis="x", labelsize=8)
    return figure


def cost(findings: Findings) -> Figure | None:
    """The error against multiply-adds."""
    own = [arm for arm in findings.arms if ERROR in arm.ours and arm.macs is not None]
    return _scatter(
        findings, own, [(arm.macs or 0) / 1e6 for arm in own], "multiply-adds of a picture, millions"
    )


def time(findings: Findings) -> Figure | None:
    """The error against the time of a training step."""
    own = [arm for arm in findings.arms if ERROR in arm.ours and SECONDS in arm.ours]
    return _scatter(findings, own, [arm.ours[SECONDS].mean for arm in own], "seconds a training step")


DRAWINGS: dict[str, Callable[[Findings], Figure | None]] = {
    "cardinality": by_cardinality,
    "curves": curves,
    "bars": bars,
    "cost": cost,
    "time": time,
}


def _scatter(findings: Findings, arms: Sequence[Arm], x: Sequence[float], label: str) -> Figure | None:
    if not arms:
        return None
    figure = Figure(figsize=(7, 3.4))
    ax = figure.subplots()
    for number, (arm, place) in enumerate(zip(arms, x, strict=True)):
        _with_intervals(ax, [place], [arm.ours[ERROR]], number, arm.name)
    ax.set_xlim(0, 1.15 * max(x))
    figure.legend(loc="outside right upper", fontsize=8)
    _label(ax, label, findings.metrics[ERROR], f"ours, {findings.scale}")
    return figure


def _with_intervals(
    ax: Axes, x: Sequence[float], ours: Sequence[Interval], number: int = 0, label: str | None = None
) -> None:
    """Means, joined, with their intervals; `number` decides colour and marker."""
    means = [one.mean for one in ours]
    marker, colour = "osDv^P*X"[number % 8], COLOURS[number % len(COLOURS)]
    ax.errorbar(x, means, yerr=_reach(ours), marker=marker, color=colour, capsize=4, label=label)


def _reach(ours: Sequence[Interval]) -> list[float]:
    """From the mean to the end of the interval; 0 where a single run has none."""
    return [one.mean - one.low if one.n > 1 else 0.0 for one in ours]


def _cardinality(arm: Arm) -> int:
    """Of an arm whose last word is like `32x4d`."""
    return int(arm.name.split()[-1].split("x")[0])


def _label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title, fontsize=10)
    ax.grid(True)
    ax.set_axisbelow(True)


def _svg(figure: Figure) -> str:
    figure.set_layout_engine("constrained")
    file = io.StringIO()
    figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None})
    text = file.getvalue().replace(INK, "#222222")
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
