"""Training on small images, against a plain loop: `python benchmarks/plain_loop.py CIFAR10 [NAME]`.

The plain loop is that of tutorials: a `DataLoader` of torchvision's transforms on Pillow images, the network
as torch makes it, SGD. Ours is `resnext train` with the recipe `small`, including its metrics and weight
average. Both train the same network with batches of 128, a few steps in turns, without workers. Ours decodes
all images once before, which is not counted.
`make test` puts torchvision into .oracle. Appends a record to results/bench.jsonl. Run it with nothing else
on the machine.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import oracle  # noqa: F401  # before torchvision
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from resnext import api
from resnext.bench.tables import BenchTable, make_rows
from resnext.data.images import ImageDataset
from resnext.data.sources import read_splits
from resnext.machine import find_machine
from resnext.recipe import named_recipe, override
from resnext.records import append_record
from resnext.run import StepEnd
from resnext.timing import interleave

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
BATCH, STEPS, ROUNDS = 128, 2, 11
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


class Transformed(Dataset[Any]):
    """Decodes and transforms images on access, as torchvision's data sets do."""

    def __init__(self, images: ImageDataset) -> None:
        self.images = images
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.images.open(index)), int(self.images.labels[index])


def plain_loop(images: ImageDataset, name: str) -> Iterator[None]:
    """Train, and yield after each step."""
    network = api.create(name, classes=len(images.classes))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
    network.train()
    while True:
        for x, y in DataLoader(Transformed(images), BATCH, shuffle=True, drop_last=True):
            optimiser.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimiser.step()
            yield


def main(data: str, name: str = "resnext29_8x4d+template=16") -> None:
    recipe = override(named_recipe("small"), model=name, epochs=50, batch=BATCH, precision="float32")
    plain = plain_loop(read_splits(data).train, name)
    with tempfile.TemporaryDirectory() as runs:
        options = api.TrainOptions("ours", Path(runs), device="cpu", workers=0)
        events = api.train_events(data, recipe, options)
        ours = (event for event in events if isinstance(event, StepEnd))

        def steps(loop: Iterator[object]) -> None:
            for _ in range(STEPS):
                next(loop)

        calls = {"plain loop": lambda: steps(plain), "resnext train": lambda: steps(ours)}
        timings = interleave(calls, ROUNDS)
        events.close()
    rows = make_rows(timings, STEPS * BATCH, {})
    settings = {"network": name, "batch": BATCH, "size_px": 32, "rounds": ROUNDS}
    table = BenchTable("plain_loop", settings, rows, {}, {}, find_machine("cpu").name)
    for row in rows:
        spread = "" if row.ratio_spread is None else "({:.3f} to {:.3f})".format(*row.ratio_spread)
        print(f"{row.what:15} {row.images_per_s:7.1f} images/s, ratio {row.ratio or 1:.3f} {spread}")
    append_record(table.to_json(), RESULTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
