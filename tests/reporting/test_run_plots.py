"""Plots of a run stay small."""

from __future__ import annotations

import re

import numpy as np
import pytest

from resnext.engine.exports import ParityRecord
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


def record(ms: tuple[float, float], correct: tuple[int, int] | None) -> ParityRecord:
    return ParityRecord("onnx", "onnxruntime", "", "val", 100, 100, 0.0, 1e-4, ms, "a CPU", correct)


def test_each_judged_export_is_a_point_beside_the_run() -> None:
    drawn = run_plots.exports_plot({"x.onnx": record((4, 1), (90, 89)), "x.pt2": record((4, 5), (90, 90))})
    words = re.findall(r">([^<>]+)</text>", drawn)
    assert {"the run", "x.onnx, onnxruntime", "x.pt2, onnxruntime"} <= {*words}


@pytest.mark.parametrize("one", [record((4, 1), None), record((4, 0), (90, 90))])
def test_what_was_not_judged_or_timed_is_not_drawn(one: ParityRecord) -> None:
    assert run_plots.exports_plot({"x.onnx": one}) == ""
