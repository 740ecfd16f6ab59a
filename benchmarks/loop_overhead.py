"""The overhead of `fit` over bare forward, backward and update of the same network, in one process.

Bare and full steps alternate in rounds; the figure is the median ratio over rounds. Run it with nothing else
on the machine: `python benchmarks/loop_overhead.py [NAME] [SIZE_PX] [BATCH]`.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from resnext.arch import Architecture
from resnext.models import create
from resnext.recipe import small
from resnext.training.loop import TrainState, fit

ROUNDS, STEPS = 30, 4


def main(name: str = "resnext29_8x4d+template=16", size_px: int = 32, batch: int = 32) -> None:
    settings = replace(small().training, lr=0.4)
    images = torch.randn(batch, 3, size_px, size_px).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(10, (batch,))

    def fresh() -> TrainState:
        network = create(Architecture.from_name(name, 10))
        return TrainState(network.to(memory_format=torch.channels_last), settings)

    bare, full = fresh(), fresh()
    bare.network.train()

    def bare_steps() -> None:
        for _ in range(STEPS):
            F.cross_entropy(bare.network(images), labels).backward()
            bare.optimiser.step()
            bare.optimiser.zero_grad(set_to_none=True)

    def forever() -> Iterator[tuple[Tensor, Tensor]]:
        while True:
            yield images, labels

    records = fit(full, forever(), settings, 10_000, 1_000_000)

    def full_steps() -> None:
        for _ in range(STEPS):
            next(records)

    def seconds(run: object) -> float:
        start = time.perf_counter()
        run()  # type: ignore[operator]
        return time.perf_counter() - start

    bare_steps(), full_steps()
    pairs = []
    for number in range(ROUNDS):
        order = (bare_steps, full_steps) if number % 2 else (full_steps, bare_steps)
        times = {run: seconds(run) for run in order}
        pairs.append((times[bare_steps], times[full_steps]))
    ratios = sorted(full_s / bare_s for bare_s, full_s in pairs)
    low, high = ratios[len(ratios) // 10], ratios[-len(ratios) // 10]
    bare_ms = 1000 / STEPS * statistics.median(bare_s for bare_s, _ in pairs)
    print(
        f"{name}, {size_px} px, batch {batch}: bare step {bare_ms:.1f} ms, full / bare = "
        f"{statistics.median(ratios):.3f} (80 % of rounds in {low:.3f} to {high:.3f}, n = {ROUNDS})"
    )


if __name__ == "__main__":
    main(*sys.argv[1:2], *map(int, sys.argv[2:]))
