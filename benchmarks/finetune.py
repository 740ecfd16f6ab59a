"""Fine-tuning on 100 images of each of two classes, against training from scratch for three times as long.

Promised: higher top-1 on the classes' other images for three paired seeds, with weights from another data
set.

Each seed draws its own images. Cost: about 10 minutes on two CPU cores for a CIFAR network.
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
    """Write `EACH` images of each of `classes` as train, and their other images as test."""
    for number, name in enumerate(classes):
        found = []
        for _, images in read_splits(data).items():
            label = images.classes.index(name)
            found += [(images, int(i)) for i in np.flatnonzero(images.labels == label)]
        order = np.random.default_rng((seed, number)).permutation(len(found))
        for rank, i in enumerate(order):
            images, index = found[i]
            target = folder / ("train" if rank < EACH else "test") / name
            target.mkdir(parents=True, exist_ok=True)
            images.open(index).save(target / f"{i:04d}.png")


def main(weights: str, data: str, *classes: str) -> int:
    start = resnext.Run(Path(weights))
    size = start.contract.input.height_px
    with tempfile.TemporaryDirectory() as root:

        def run(recipe: str, seed: int, epochs: int, **more: Any) -> dict[str, Any]:
            folder = Path(root) / f"set-{seed}"
            if not folder.exists():
                write_set(data, classes, seed, folder)
            made = resnext.train(
                folder,
                recipe,
                runs=Path(root) / "runs",
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
