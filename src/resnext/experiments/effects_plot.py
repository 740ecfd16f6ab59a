"""One plot of all effects: published beside ours, with intervals, coloured by verdict. As SVG on white."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from resnext.experiments.findings import Finding
from resnext.reporting.plot_style import COLOURS, new_figure, plot_style, svg_on_white

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Colour and marker of each verdict, so that none is told by its colour alone.
VERDICTS = {"holds": (COLOURS[0], "o"), "not resolved": ("#888888", "s"), "reversed": (COLOURS[1], "D")}
#: Inches of a row, and of what a panel has beside its rows.
ROW, AROUND = 0.24, 0.9


def draw_effects(findings: Sequence[tuple[str, Finding]]) -> str:
    """The plot of judged findings, each with its experiment: points above, ratios of times below."""
    points = [one for one in findings if one[1].unit != "times"]
    times = [one for one in findings if one[1].unit == "times"]
    panels = [own for own in (points, times) if own]
    with plot_style():
        heights = [AROUND + ROW * len(own) for own in panels]
        figure = new_figure(11, max(1.0, sum(heights) + 0.3))
        if panels:
            all_axes = figure.subplots(len(panels), 1, squeeze=False, height_ratios=heights)[:, 0]
            for ax, own in zip(all_axes, panels, strict=True):
                _panel(ax, own)
            _legend(all_axes[0])
        return svg_on_white(figure)


def _panel(ax: Axes, findings: Sequence[tuple[str, Finding]]) -> None:
    are_times = findings[0][1].unit == "times"
    for row, (_, one) in enumerate(findings):
        assert one.ours is not None
        colour, marker = VERDICTS[one.verdict]
        low, high = one.ours.mean - one.ours.low, one.ours.high - one.ours.mean
        face = "white" if one.void_by else colour
        ax.errorbar(
            one.ours.mean, row, xerr=[[low], [high]], color=colour, marker=marker, capsize=3, mfc=face
        )
        if one.published is not None:
            ax.plot(one.published, row, marker="|", markersize=11, color="black", markeredgewidth=2)
    ax.axvline(1.0 if are_times else 0.0, color="#666666", linewidth=0.8)
    ax.set_yticks(range(len(findings)), [f"{name}: {one.claim}" for name, one in findings], fontsize=8)
    ax.set_ylim(len(findings) - 0.4, -0.6)
    ax.set_xlabel("time of a step over another's" if are_times else "points of error", fontsize=9)
    ax.grid(True, axis="x")
    ax.set_axisbelow(True)


def _legend(ax: Axes) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=marker, label=f"ours: {verdict}")
        for verdict, (colour, marker) in VERDICTS.items()
    ]
    published = Line2D([], [], color="black", marker="|", linestyle="", markersize=11, label="published")
    ax.legend(
        handles=[*handles, published], loc="lower center", bbox_to_anchor=(0.2, 1.0), ncols=4, fontsize=8
    )
