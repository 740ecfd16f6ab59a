"""A checkpoint of ResNeXt-50 with SGD state against writing and syncing the same bytes.

Rounds alternate between the two; figures are medians. `stall` is the time for which training stops, which is
the copy into main memory: the rest happens in a thread. Appends a record to results/bench.jsonl.
`python benchmarks/checkpoint_cost.py [FOLDER]`: FOLDER is on the disk that is measured.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import torch

from resnext.arch import Architecture
from resnext.machine import cpu_name
from resnext.models import create
from resnext.records import append_record, stamp
from resnext.training import checkpoints
from resnext.training.loop import TrainState
from resnext.training.settings import TrainingSettings

ROUNDS = 15


def main(where: str | None = None) -> None:
    state = TrainState(create(Architecture.from_name("resnext50_32x4d")), TrainingSettings())
    for parameter in state.network.parameters():
        parameter.grad = torch.ones_like(parameter)
    state.optimiser.step()
    with tempfile.TemporaryDirectory(dir=where) as folder:
        path = Path(folder) / "last.safetensors"
        checkpoints.write_snapshot(checkpoints.take_snapshot(state, {}), path)
        content = path.read_bytes()
        plain, whole, stalls = [], [], []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            with open(Path(folder) / "plain", "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            plain.append(time.perf_counter() - start)
            start = time.perf_counter()
            snapshot = checkpoints.take_snapshot(state, {})
            stalls.append(time.perf_counter() - start)
            checkpoints.write_snapshot(snapshot, path)
            whole.append(time.perf_counter() - start)
    bytes_s = statistics.median(plain)
    timings = [
        {
            "what": what,
            "median_s": statistics.median(times),
            "spread": [min(times), max(times)],
            "against": "writing and syncing the same bytes",
            "ratio": statistics.median(t / p for t, p in zip(times, plain, strict=True)),
        }
        for what, times in (("checkpoint", whole), ("stall", stalls))
    ]
    print(f"{len(content) / 2**20:.0f} MiB: written and synced in {bytes_s:.2f} s (median of {ROUNDS})")
    for timing in timings:
        print(f"{timing['what']}: {timing['median_s']:.2f} s, ratio {timing['ratio']:.2f}")
    line = {"kind": "bench", "experiment": "checkpoint_cost", "timings": timings}
    append_record(line | asdict(stamp(cpu_name())), Path(__file__).parents[1] / "results" / "bench.jsonl")


if __name__ == "__main__":
    main(*sys.argv[1:])
