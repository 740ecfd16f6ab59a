"""Plots of a run stay small."""

from __future__ import annotations

import re

import numpy as np

from resnext.reporting import run_plots


def test_many_classes_still_make_a_small_page() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (1000, 1000))
    assert len(run_plots.confusion_plot(counts, [f"class {i}" for i in range(1000)])) < 1_000_000


def test_no_two_classes_look_alike() -> None:
    """What is the same at both ends, too."""
    svg = run_plots.confusion_plot(np.eye(4, dtype=np.int64), [f"{'a' * 30}{i}{'z' * 30}" for i in range(4)])
    labels = re.findall(r">(aaa[^<]*)</text>", svg)
    assert len(labels) == 8
    assert len({*labels}) == 4
