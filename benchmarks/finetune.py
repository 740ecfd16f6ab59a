"""Weights from one set, fine-tuned on 100 pictures of each of two classes of another, against training from
scratch for three times as long: higher top-1 on the classes' other pictures for three paired seeds.

Each seed draws its own pictures. Cost: about 10 minutes on two CPU cores for a CIFAR network.
`python benchmarks/finetune.py RUN DATA CLASS CLASS`, with RUN trained on CIFAR-10 and DATA Tiny ImageNet.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from paired import compare

import resnext
from resnext.data.sources import read_splits

EACH, EPOCHS = 100, 40


def write_set(data: str, classes: tuple[str, ...], seed: int, folder: Path) -> None:
    """`EACH` pictures of each of `classes` as train, all others that `data` has of them as test."""
    for number, name in enumerate(classes):
        found = []
        for _, pictures in read_splits(data).items():
            label = pictures.classes.index(name)
            found += [(pictures, int(i)) for i in np.flatnonzero(pictures.labels == label)]
        order = np.random.default_rng((seed, number)).permutation(len(found))
        for place, i in enumerate(order):
            pictures, index = found[i]
            target = folder / ("train" if place < EACH else "test") / name
            target.mkdir(parents=True, exist_ok=True)
            pictures.open(index).save(target / f"{i:04d}.png")


def main(weights: str, data: str, *classes: str) -> int:
    start = resnext.Run(Path(weights))
    size = start.contract.input.height_px
    with tempfile.TemporaryDirectory() as place:

        def run(recipe: str, seed: int, epochs: int, **more: Any) -> dict[str, Any]:
            folder = Path(place) / f"set-{seed}"
            if not folder.exists():
                write_set(data, classes, seed, folder)
            made = resnext.train(
                folder,
                recipe,
                runs=Path(place) / "runs",
                seed=seed,
                epochs=epochs,
                model=start.recipe.model,
                data__size_px=size,
                **more,
            )
            line = made.result
            line["metrics"]["test_top1"] = 100 - line["metrics"]["test"]["top1_error"]
            return line

        better = compare(
            "finetune",
            {
                "scratch": lambda seed: run("small", seed, 3 * EPOCHS),
                "finetune": lambda seed: run("finetune", seed, EPOCHS, weights=start.folder, new_head=True),
            },
            of="test_top1",
        )
    return 0 if better else 4


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
