"""The style that all plots share, and figures as SVG.

Matplotlib is imported by `plot_style`, when something is drawn: what draws nothing need not wait for it.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from resnext.reporting.plot_fonts import fonts_for

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: Stands for the colour of text and axes until the SVG is written.
INK = "#010203"
#: Legible on white and on black, and distinct for the colour-blind (after Okabe and Ito 2008).
COLOURS = ("#2a7de1", "#e0701b", "#1a9c78", "#c25fa8", "#a08a1c", "#7b6fd6", "#d24545", "#6d8a96")
#: Matplotlib's settings.
STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "resnext",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a class may be called $x$
    "text.usetex": False,  # a matplotlibrc in the current folder could hand names to LaTeX
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


@contextmanager
def plot_style() -> Iterator[None]:
    """Draw in the style of all plots.

    Whatever MPLBACKEND names does not matter: it is about windows, and Matplotlib cannot even be imported
    where it names one that is not installed, as in a process that a notebook starts.
    """
    _import_matplotlib()
    from matplotlib import rc_context

    with rc_context(STYLE):
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, that belongs to no window."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height))


def _import_matplotlib() -> None:
    """Import Matplotlib, with the windows of MPLBACKEND for the plots of others where it has them."""
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = backend


def svg_on_white(figure: Figure) -> str:
    """The figure as an SVG file on white, for pages of any colour."""
    return _svg(figure, "#222222", facecolor="white")


def svg_inline(figure: Figure, label: str) -> str:
    """The figure as an SVG element of an HTML page, transparent and in the colour of the text around it.

    Args:
        figure: It gets the page's font, and at most its own width.
        label: What it shows, for screen readers.
    """
    svg = _svg(figure, "currentColor", transparent=True)
    svg = svg[svg.index("<svg") :]
    width = re.search(r'width="([\d.]+)pt"', svg)
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    style = f"max-width:{float(width[1]) * 4 / 3:.0f}px" if width else ""
    return svg.replace("<svg", f'<svg role="img" aria-label="{label}" style="{style}"', 1)


def _svg(figure: Figure, ink: str, **options: Any) -> str:
    """The figure as SVG without metadata, which has the date, and with `ink` for `INK`."""
    figure.set_layout_engine("constrained")
    file = io.StringIO()
    with fonts_for(figure):
        figure.savefig(file, format="svg", metadata={"Date": None}, **options)
    text = file.getvalue().replace(INK, ink)
    return re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
