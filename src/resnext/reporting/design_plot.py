"""The plot of designed networks: time against cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from resnext.files import write_output
from resnext.reporting.plot_style import COLOURS, new_figure, plot_style, svg_on_white

#: Up to this many points get their names.
MAX_NAMED_POINTS = 12


def write_design_plot(
    names: Sequence[str], macs: Sequence[int], ms: Sequence[float], cardinality: Sequence[int], out: Path
) -> Path:
    """Plot the time of networks against their multiply-adds, coloured by cardinality.

    Args:
        names: The networks.
        macs: Multiply-adds of each for one image.
        ms: Time of each, in milliseconds.
        cardinality: Of each.
        out: The SVG file to write.

    Returns:
        `out`.
    """
    with plot_style():
        figure = new_figure(7.2, 4.2)
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
        if len(names) <= MAX_NAMED_POINTS:
            for name, x, y in zip(names, macs, ms, strict=True):
                ax.annotate(name.split("+")[0], (x / 1e6, y), (5, 4), textcoords="offset points", fontsize=7)
        ax.set_xlabel("multiply-adds of an image, millions")
        ax.set_ylabel("time, ms")
        ax.grid(True)
        ax.set_axisbelow(True)
        ax.legend()
        write_output(out, svg_on_white(figure))
    return out
