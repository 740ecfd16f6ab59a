"""Class weights and the balanced sampler, on a class with a twentieth of the others' images.

Promised: both raise its recall on a test split with equally frequent classes, for three paired seeds.

Each seed draws its own training images. Cost: about 25 minutes on two CPU cores.
`python benchmarks/imbalance.py DATA CLASS`, with DATA a folder of CIFAR-10's train.parquet and test.parquet.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from paired import compare

import resnext
from resnext.data.tables import label_column

EACH, SHARE, EPOCHS = 300, 0.05, 12
MODEL = "resnet10+transform=basic+template=32+stem=cifar+blocks=1-1-1-1"


def write_set(data: Path, rare: str, seed: int, folder: Path) -> None:
    """Write `EACH` training images of each class, a `SHARE` of that for `rare`, and all test images."""
    folder.mkdir(parents=True)
    table = pq.read_table(data / "train.parquet")
    labels, classes = label_column(table, "label", data)
    random, chosen = np.random.default_rng(seed), []
    for label, name in enumerate(classes):
        count = round(EACH * SHARE) if name == rare else EACH
        chosen.append(random.choice(np.flatnonzero(labels == label), count, replace=False))
    pq.write_table(table.take(random.permutation(np.concatenate(chosen))), folder / "train.parquet")
    shutil.copyfile(data / "test.parquet", folder / "test.parquet")


def recall(run: resnext.Run, name: str) -> float:
    """Recall of a class on test, from the predictions of the run."""
    table = pq.read_table(run.folder / "predictions" / "test.parquet")
    labels, predicted = table["label"].to_numpy(), np.stack(table["probabilities"].to_numpy()).argmax(axis=1)
    own = labels == run.contract.classes.index(name)
    return float(np.mean(predicted[own] == labels[own]))


def main(data: str, rare: str) -> int:
    with tempfile.TemporaryDirectory() as root:

        def run(balance: str, seed: int) -> dict[str, Any]:
            folder = Path(root) / f"set-{seed}"
            if not folder.exists():
                write_set(Path(data), rare, seed, folder)
            made = resnext.train(
                folder,
                runs=Path(root) / "runs",
                seed=seed,
                epochs=EPOCHS,
                model=MODEL,
                data__train_px=24,
                data__crop="pad",
                data__pad_px=0,
                data__balance=balance,
            )
            line = made.result
            line["metrics"]["rare_recall"] = 100 * recall(made, rare)
            return line

        arms = {name: lambda seed, name=name: run(name, seed) for name in ("none", "weights", "sampler")}
        better = compare("imbalance", arms, of="rare_recall")
    return 0 if better else 4


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
