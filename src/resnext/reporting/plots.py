"""Plots of what experiments found, as SVG on white: they are shown in pages of any colour."""

from __future__ import annotations

from resnext.results import Findings


def plots_of(findings: Findings) -> dict[str, str]:
    """SVG texts by file name."""
    return {}
