"""The plots of experiments, as SVG files on white."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from resnext.arch import Architecture
from resnext.experiments.findings import ERROR, METRICS, STEP_RATIO, STEP_S, ArmFindings, Findings
from resnext.reporting.plot_style import COLOURS, INK, new_figure, plot_style, svg_on_white
from resnext.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_plots(findings: Findings, number: int = 1) -> dict[str, str]:
    """SVG texts by file name: the plots of `findings.plots` for which there are figures.

    Args:
        findings: What to draw.
        number: Distinguishes the files of several findings at one scale.
    """
    drawn = {}
    for plot in findings.plots:
        with plot_style():
            figure = PLOTS[plot](findings)
            if figure is not None:
                machine = "" if number == 1 else f"-{number}"
                drawn[f"{findings.experiment}-{findings.scale}{machine}-{plot}.svg"] = svg_on_white(figure)
    return drawn


def by_cardinality(findings: Findings) -> Figure | None:
    """The metric against cardinality, one line for each depth; published figures left, ours right."""
    metric = findings.metrics[0]
    own = [arm for arm in findings.arms if metric in arm.ours]
    if not own:
        return None
    published = {arm.name: arm.published[metric] for arm in findings.arms if metric in arm.published}
    figure = new_figure(8 if published else 4.5, 3.2)
    axes = figure.subplots(1, 2 if published else 1, squeeze=False)[0]
    for number, (group, members) in enumerate(_by_depth(findings.arms).items()):
        shown = [arm for arm in members if arm.name in published]
        x, y = [_cardinality(arm) for arm in shown], [published[arm.name] for arm in shown]
        axes[0].plot(x, y, marker="o", color=COLOURS[number], label=group)
    for number, (group, members) in enumerate(_by_depth(own).items()):
        x, ours = [_cardinality(arm) for arm in members], [arm.ours[metric] for arm in members]
        _plot_intervals(axes[-1], x, ours, number, group)
    titles = ["published, the paper's networks"] * bool(published) + [f"ours, {findings.scale}"]
    ticks = sorted({_cardinality(arm) for arm in findings.arms})
    for ax, title in zip(axes, titles, strict=True):
        ax.set_xscale("log", base=2)
        ax.set_xticks(ticks, [str(c) for c in ticks])
        ax.minorticks_off()
        _label(ax, "cardinality", METRICS[metric], title)
        if len(_by_depth(findings.arms)) > 1:
            ax.legend()
    return figure


def curves(findings: Findings) -> Figure | None:
    """Training (dashed) and validation error after each epoch, means over the runs."""
    from matplotlib.ticker import MaxNLocator

    own = [arm for arm in findings.arms if len(arm.curve) > 1]
    if not own:
        return None
    figure = new_figure(7.5, 3.6)
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
    panels: list[tuple[str, list[ArmFindings], bool]] = []
    for metric in findings.metrics:
        own = [arm for arm in findings.arms if metric in arm.ours]
        if own and metric not in (STEP_S, STEP_RATIO):
            published = all(metric in arm.published for arm in own)
            panels += [(metric, own, False)] * published + [(metric, own, True)]
    if not panels:
        return None
    figure = new_figure(4 * len(panels), 3.2)
    for ax, (metric, arms, ours) in zip(
        figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        names = [arm.name.replace(" ", "\n") for arm in arms]
        colours = [COLOURS[i % len(COLOURS)] for i in range(len(arms))]
        if ours:
            found = [arm.ours[metric] for arm in arms]
            means = [one.mean for one in found]
            ax.bar(names, means, yerr=_half_widths(found), color=colours, ecolor=INK, capsize=4)
        else:
            ax.bar(names, [arm.published[metric] for arm in arms], color=colours)
        ax.tick_params(axis="x", labelsize=8)
        title = f"ours, {findings.scale}" if ours else "published, the paper's networks"
        _label(ax, "", METRICS[metric], title)
    return figure


def cost(findings: Findings) -> Figure | None:
    """The error against multiply-adds."""
    own = [arm for arm in findings.arms if ERROR in arm.ours and arm.macs is not None]
    x = [(arm.macs or 0) / 1e6 for arm in own]
    return _scatter(findings, own, x, "multiply-adds of an image, millions")


def time(findings: Findings) -> Figure | None:
    """The error against the time of a training step."""
    own = [arm for arm in findings.arms if ERROR in arm.ours and STEP_RATIO in arm.ours]
    return _scatter(findings, own, [arm.ours[STEP_RATIO].mean for arm in own], METRICS[STEP_RATIO])


PLOTS: dict[str, Callable[[Findings], Figure | None]] = {
    "cardinality": by_cardinality,
    "curves": curves,
    "bars": bars,
    "cost": cost,
    "time": time,
}


def _scatter(
    findings: Findings, arms: Sequence[ArmFindings], x: Sequence[float], label: str
) -> Figure | None:
    if not arms:
        return None
    figure = new_figure(7, 3.4)
    ax = figure.subplots()
    for number, (arm, position) in enumerate(zip(arms, x, strict=True)):
        _plot_intervals(ax, [position], [arm.ours[ERROR]], number, arm.name)
    ax.set_xlim(0, 1.15 * max(x))
    figure.legend(loc="outside right upper", fontsize=8)
    _label(ax, label, METRICS[ERROR], f"ours, {findings.scale}")
    return figure


def _plot_intervals(
    ax: Axes, x: Sequence[float], ours: Sequence[Interval], number: int = 0, label: str | None = None
) -> None:
    """Means, joined by a line, with their intervals; `number` gives colour and marker."""
    means = [one.mean for one in ours]
    marker, colour = "osDv^P*X"[number % 8], COLOURS[number % len(COLOURS)]
    ax.errorbar(x, means, yerr=_half_widths(ours), marker=marker, color=colour, capsize=4, label=label)


def _half_widths(ours: Sequence[Interval]) -> list[float]:
    """From the mean to the end of each interval; 0 for a single run, whose interval is infinite."""
    return [one.mean - one.low if one.n > 1 else 0.0 for one in ours]


def _by_depth(arms: Sequence[ArmFindings]) -> dict[str, list[ArmFindings]]:
    groups: dict[str, list[ArmFindings]] = {}
    for arm in arms:
        groups.setdefault(f"{Architecture.from_name(arm.model).depth} layers", []).append(arm)
    return groups


def _cardinality(arm: ArmFindings) -> int:
    return Architecture.from_name(arm.model).cardinality


def _label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title, fontsize=10)
    ax.grid(True)
    ax.set_axisbelow(True)
