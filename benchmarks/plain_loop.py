"""Training on small pictures beside a plain loop: `python benchmarks/plain_loop.py CIFAR10 [NAME]`.

The plain loop is what tutorials write: a `DataLoader` of torchvision's transforms on Pillow pictures, the
network as torch makes it, SGD. Ours is `resnext train` with the recipe `small`, its records and
average included. Both train the same network with batches of 128, a few steps in turns, without workers;
that ours decodes all pictures once before is not counted.
`make test` puts torchvision into .oracle. A line of results goes to results/bench.jsonl; run it with nothing
else on the machine.
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
from resnext.bench.table import Table, rows_of
from resnext.data.pictures import Pictures
from resnext.data.sources import read_splits
from resnext.machine import find_machine
from resnext.recipe import named_recipe, override
from resnext.results import append
from resnext.run import Stepped
from resnext.timing import interleave

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
BATCH, STEPS, ROUNDS = 128, 2, 11
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


class Transformed(Dataset[Any]):
    """Pictures decoded and transformed when they are asked for, as torchvision's own data sets do."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.pictures.open(index)), int(self.pictures.labels[index])


def plain_loop(pictures: Pictures, name: str) -> Iterator[None]:
    """A step each time."""
    network = api.create(name, classes=len(pictures.classes))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, nesterov=True)
    network.train()
    while True:
        for x, y in DataLoader(Transformed(pictures), BATCH, shuffle=True, drop_last=True):
            optimiser.zero_grad()
            F.cross_entropy(network(x), y).backward()
            optimiser.step()
            yield


def main(data: str, name: str = "resnext29_8x4d+template=16") -> None:
    recipe = override(named_recipe("small"), model=name, epochs=50, batch=BATCH, precision="float32")
    plain = plain_loop(read_splits(data).train, name)
    with tempfile.TemporaryDirectory() as runs:
        events = api.train_events(api.Order(data, recipe, "ours", Path(runs), device="cpu", workers=0))
        ours = (event for event in events if isinstance(event, Stepped))

        def steps(of: Iterator[object]) -> None:
            for _ in range(STEPS):
                next(of)

        calls = {"plain loop": lambda: steps(plain), "resnext train": lambda: steps(ours)}
        timings = interleave(calls, ROUNDS)
        events.close()
    rows = rows_of(timings, STEPS * BATCH, {})
    settings = {"network": name, "batch": BATCH, "size_px": 32, "rounds": ROUNDS}
    table = Table("plain_loop", settings, rows, {}, {}, find_machine("cpu").name)
    for row in rows:
        spread = "" if row.ratio_spread is None else "({:.3f} to {:.3f})".format(*row.ratio_spread)
        print(f"{row.what:15} {row.pictures_per_s:7.1f} pictures/s, ratio {row.ratio or 1:.3f} {spread}")
    append(table.to_line(), RESULTS)


if __name__ == "__main__":
    main(*sys.argv[1:])
