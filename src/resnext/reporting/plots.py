"""Plots of what experiments and designs found: files of SVG on white, for pages of any colour."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from resnext.arch import Architecture
from resnext.reporting.figures import COLOURS, INK, STYLE
from resnext.results import ERROR, METRICS, STEP_RATIO, STEP_S, Arm, Findings, Interval

#: Points of a plot are named up to this many.
NAMED_POINTS = 12


def plots_of(findings: Findings, number: int = 1) -> dict[str, str]:
    """SVG texts by file name: the drawings that the experiment asks for, as far as there are figures.

    `number` tells accounts at the same scale apart.
    """
    plots = {}
    for drawing in findings.drawings:
        with rc_context(STYLE):
            figure = DRAWINGS[drawing](findings)
            if figure is not None:
                machine = "" if number == 1 else f"-{number}"
                plots[f"{findings.experiment}-{findings.scale}{machine}-{drawing}.svg"] = _svg(figure)
    return plots


def by_cardinality(findings: Findings) -> Figure | None:
    """The metric against cardinality, networks of one depth joined: published at the left, ours at the right
    with intervals."""
    metric = findings.metrics[0]
    own = [arm for arm in findings.arms if metric in arm.ours]
    if not own:
        return None
    published = {arm.name: arm.paper[metric] for arm in findings.arms if metric in arm.paper}
    figure = Figure(figsize=(8 if published else 4.5, 3.2))
    axes = figure.subplots(1, 2 if published else 1, squeeze=False)[0]
    for number, (group, members) in enumerate(_groups(findings.arms).items()):
        told = [arm for arm in members if arm.name in published]
        x, y = [_cardinality(arm) for arm in told], [published[arm.name] for arm in told]
        axes[0].plot(x, y, marker="o", color=COLOURS[number], label=group)
    for number, (group, members) in enumerate(_groups(own).items()):
        x, ours = [_cardinality(arm) for arm in members], [arm.ours[metric] for arm in members]
        _with_intervals(axes[-1], x, ours, number, group)
    titles = (
        ("published, the paper's networks", f"ours, {findings.scale}")
        if published
        else (f"ours, {findings.scale}",)
    )
    ticks = sorted({_cardinality(arm) for arm in findings.arms})
    for ax, title in zip(axes, titles, strict=True):
        ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, [str(c) for c in ticks])
        ax.minorticks_off()
        _label(ax, "cardinality", METRICS[metric], title)
        if len(_groups(findings.arms)) > 1:
            ax.legend()
    return figure


def curves(findings: Findings) -> Figure | None:
    """Training (dashed) and validation error after each epoch, means over the runs, as in the paper's
    figures."""
    own = [arm for arm in findings.arms if len(arm.curve) > 1]
    if not own:
        return None
    figure = Figure(figsize=(7.5, 3.6))
    ax = figure.subplots()
    for arm, colour in zip(own, COLOURS * 2, strict=False):
        epochs = [point["epoch"] for point in arm.curve]
        marker = "o" if len(epochs) < 15 else ""
        val, train = ([point[f"{split}_top1_error"] for point in arm.curve] for split in ("val", "train"))
        ax.plot(epochs, val, color=colour, marker=marker, label=f"{arm.name}, val")
        ax.plot(epochs, train, color=colour, marker=marker, linestyle="--", label=f"{arm.name}, train")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    _label(ax, "epoch", "error, %", "")
    figure.legend(loc="outside right upper", fontsize=8, handlelength=3)
    return figure


def bars(findings: Findings) -> Figure | None:
    """The errors of each arm with intervals; published ones, where there are, at the left."""
    panels: list[tuple[str, list[Arm], bool]] = []
    for metric in findings.metrics:
        own = [arm for arm in findings.arms if metric in arm.ours]
        if own and metric not in (STEP_S, STEP_RATIO):
            published = all(metric in arm.paper for arm in own)
            panels += [(metric, own, False)] * published + [(metric, own, True)]
    if not panels:
        return None
    figure = Figure(figsize=(4 * len(panels), 3.2))
    for ax, (metric, arms, ours) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        names = [arm.name.replace(" ", "\n") for arm in arms]
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(arms))]
        if ours:
            found = [arm.ours[metric] for arm in arms]
            means = [one.mean for one in found]
            ax.bar(names, means, yerr=_reach(found), color=colours, ecolor=INK, capsize=4)
        else:
            ax.bar(names, [arm.paper[metric] for arm in arms], color=colours)
        ax.tick_params(axis="x", labelsize=8)
        title = f"ours, {findings.scale}" if ours else "published, the paper's networks"
        _label(ax, "", METRICS[metric], title)
    return figure


def cost(findings: Findings) -> Figure | None:
    """The error against multiply-adds."""
    own = [arm for arm in findings.arms if ERROR in arm.ours and arm.macs is not None]
    return _scatter(
        findings, own, [(arm.macs or 0) / 1e6 for arm in own], "multiply-adds of a picture, millions"
    )


def time(findings: Findings) -> Figure | None:
    """The error against the time of a training step."""
    own = [arm for arm in findings.arms if ERROR in arm.ours and STEP_RATIO in arm.ours]
    return _scatter(findings, own, [arm.ours[STEP_RATIO].mean for arm in own], METRICS[STEP_RATIO])


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
    _label(ax, label, METRICS[ERROR], f"ours, {findings.scale}")
    return figure


def write_design_plot(
    names: Sequence[str], macs: Sequence[int], ms: Sequence[float], cardinality: Sequence[int], out: Path
) -> Path:
    """Write a plot of networks' times against their multiply-adds, coloured by cardinality, as SVG, and
    return its path."""
    with rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.2))
        ax = figure.subplots()
        for number, paths in enumerate(sorted(set(cardinality))):
            own = [i for i, c in enumerate(cardinality) if c == paths]
            ax.scatter(
                [macs[i] / 1e6 for i in own],
                [ms[i] for i in own],
                color=COLOURS[number % len(COLOURS)],
                marker=("o", "s", "^", "D")[number // len(COLOURS) % 4],
                label=f"C = {paths}",
            )
        if len(names) <= NAMED_POINTS:
            for name, x, y in zip(names, macs, ms, strict=True):
                ax.annotate(name.split("+")[0], (x / 1e6, y), (5, 4), textcoords="offset points", fontsize=7)
        _label(ax, "multiply-adds of a picture, millions", "time, ms", "")
        ax.legend()
        out.write_text(_svg(figure), encoding="utf-8")
    return out


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


def _groups(arms: Sequence[Arm]) -> dict[str, list[Arm]]:
    """Arms by their depth."""
    groups: dict[str, list[Arm]] = {}
    for arm in arms:
        groups.setdefault(f"{Architecture.from_name(arm.model).depth} layers", []).append(arm)
    return groups


def _cardinality(arm: Arm) -> int:
    return Architecture.from_name(arm.model).cardinality


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
