"""Benches tell what they timed: rows, ratios and limits add up, and what fails is named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from resnext.bench import (
    BenchError,
    BenchSettings,
    Candidate,
    Mode,
    bench_data,
    bench_infer,
    bench_step,
    candidate,
)
from resnext.cli import main
from resnext.roofline import Limits, training_step

NAMES = ["resnet11+template=8", "resnext11_2x4d+template=8"]


@pytest.mark.parametrize("bench", [bench_step, bench_infer])
def test_networks_are_timed_beside_each_other(bench: Any) -> None:
    seen: list[tuple[int, int]] = []
    modes = [Mode(), Mode(channels_last=False)]
    table = bench(
        [candidate(name) for name in NAMES],
        modes,
        BenchSettings(4, 16, 2, "cpu"),
        lambda a, b: seen.append((a, b)),
    )
    assert [row.what for row in table.rows] == [f"{n}, {m.name}" for n in NAMES for m in modes]
    assert all(row.median_s > 0 and row.images_per_s == 4 / row.median_s for row in table.rows)
    assert seen == [(1, 2), (2, 2)]
    assert table.limits.keys() == {"bytes_per_s", "float32_flops_per_s"}
    assert all(row.limit_share is not None and row.limit_share > 0 for row in table.rows)
    if bench is bench_step:
        limits = Limits(table.limits["bytes_per_s"], table.limits["float32_flops_per_s"])
        kernels = training_step(candidate(NAMES[0]).arch, 4, 16, "fused")  # type: ignore[arg-type]
        assert table.rows[0].limit_share == pytest.approx(limits.seconds(kernels) / table.rows[0].median_s)


def test_training_is_what_a_step_does() -> None:
    """The timed call changes the weights; the answers' does not."""
    for bench, changes in ((bench_step, True), (bench_infer, False)):
        nets: list[nn.Module] = []

        def make(nets: list[nn.Module] = nets) -> nn.Module:
            nets.append(candidate(NAMES[0]).make())
            return nets[0]

        before = candidate(NAMES[0]).make().state_dict()["conv1.weight"]
        bench([Candidate("ours", make)], [Mode()], BenchSettings(2, 16, 1, "cpu"))
        assert before.equal(nets[0].state_dict()["conv1.weight"]) != changes


def test_what_fails_is_named_and_the_others_are_timed() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("does not run here\nand more")

    table = bench_infer(
        [Candidate("broken", Broken), candidate(NAMES[0])], [Mode()], BenchSettings(2, 16, 1, "cpu")
    )
    assert table.failed == {"broken, eager float32 channels-last": "RuntimeError: does not run here"}
    assert [row.what for row in table.rows] == [f"{NAMES[0]}, eager float32 channels-last"]
    with pytest.raises(BenchError, match="broken, eager float32 channels-last cannot be timed here"):
        bench_infer([Candidate("broken", Broken)], [Mode()], BenchSettings(2, 16, 1, "cpu"))


def test_what_is_given_twice_is_timed_twice() -> None:
    table = bench_infer([candidate(NAMES[0])] * 3, [Mode()], BenchSettings(2, 16, 1, "cpu"))
    once = f"{NAMES[0]}, eager float32 channels-last"
    assert [row.what for row in table.rows] == [once, f"{once} (2)", f"{once} (3)"]


def test_the_data_path_beside_a_peer(make_folder: Any, tmp_path: Path) -> None:
    make_folder(tmp_path / "data" / "train", {"a": 6, "b": 6})
    threads = torch.get_num_threads()
    seen: list[int] = []
    peers = {"peer": lambda images, index, random: seen.append(index)}
    table = bench_data(str(tmp_path / "data"), 4, 8, 2, peers)
    assert [row.what for row in table.rows] == [
        "peer",
        "exact",
        "fast",
        "decoding alone",
        "normalising a batch",
    ]
    assert seen == [0, 1, 2, 3] * 3
    assert table.rows[1].against == "peer"
    assert torch.get_num_threads() == threads


def test_without_the_fast_decoder_the_others_are_timed(
    make_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "simplejpeg", None)
    make_folder(tmp_path / "data" / "train", {"a": 6, "b": 6})
    table = bench_data(str(tmp_path / "data"), 4, 8, 1)
    assert [row.what for row in table.rows] == ["exact", "decoding alone", "normalising a batch"]
    assert "pip install 'resnext[fast]'" in table.failed["fast"]


def test_the_command_prints_a_table_and_keeps_the_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "bench.jsonl"
    words = ["bench", "infer", *NAMES, "--batch", "2", "--size-px", "16", "--rounds", "2", "--out", str(out)]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert NAMES[1] in said
    assert "GB/s copied" in said
    line = json.loads(out.read_text())
    assert (line["kind"], line["experiment"], line["settings"]["batch"]) == ("bench", "infer", 2)
    assert [row["what"] for row in line["timings"]] == [f"{n}, eager float32 channels-last" for n in NAMES]
    assert main(["bench", "step", "--mode", "int8"]) == 2
    assert "'int8' is no mode" in capsys.readouterr().err
    assert main(["bench", "data"]) == 2
    capsys.readouterr()
    assert main(["bench", "data", "digits", "--batch", "64"]) == 2
    assert "--batch: is for networks" in capsys.readouterr().err
