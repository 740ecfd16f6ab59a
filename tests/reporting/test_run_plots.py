"""Plots of a run stay small."""

from __future__ import annotations

import numpy as np

from resnext.reporting import run_plots


def test_many_classes_still_make_a_small_page() -> None:
    counts = np.random.default_rng(0).integers(0, 9, (1000, 1000))
    assert len(run_plots.confusion_plot(counts, [f"class {i}" for i in range(1000)])) < 1_000_000
    assert run_plots.shorten("n02123045 tabby, tabby cat") == "n02123045 …bby cat"
