"""Figures in the text format of Prometheus."""

from __future__ import annotations

import multiprocessing
import re

from resnext.serve.metrics import Metrics, count_numbers

LINE = re.compile(
    r'[a-z_]+(\{[a-z]+="[^"\\\n]*"(,[a-z]+="[^"\\\n]*")*\})? [0-9.e+-]+|# (HELP|TYPE) [a-z_]+ .+'
)


def test_the_text_is_that_of_prometheus_and_histograms_add_up() -> None:
    metrics = Metrics(["pets"])
    for value in (1, 2, 3, 500):
        metrics.observe("resnext_batch_images", value)
    metrics.set("resnext_waiting_images", 7)
    lines = metrics.text().splitlines()
    assert all(LINE.fullmatch(line) for line in lines), [one for one in lines if not LINE.fullmatch(one)]
    assert "resnext_waiting_images 7" in lines
    buckets = [line.rpartition(" ")[2] for line in lines if line.startswith("resnext_batch_images_bucket")]
    assert buckets == ["1", "2", "3", "3", "3", "3", "3", "3", "4"]
    assert "resnext_batch_images_sum 506" in lines
    assert "resnext_batch_images_count 4" in lines


def test_processes_tell_the_figures_of_all() -> None:
    memory = multiprocessing.get_context("spawn").RawArray("d", 3 * count_numbers(["a", "b"]))
    processes = [Metrics(["a", "b"], memory, number) for number in range(3)]
    for number, one in enumerate(processes):
        one.add("resnext_images_total", number + 1, "b")
    for one in processes:
        assert 'resnext_images_total{model="b"} 6' in one.text().splitlines()
    again = Metrics(["a", "b"], memory, 1)  # a process that was started again begins at 0
    assert 'resnext_images_total{model="b"} 4' in again.text().splitlines()
