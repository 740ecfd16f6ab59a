"""How near the prediction of 100,000 small image files comes to the rate of its engine alone.

`python benchmarks/predict_rate.py DATA MODEL...`: DATA has `cifar10` and `tiny-imagenet`, whose 100,000
training images are written as JPEG files to a temporary folder. In each of ten rounds the engine of each
model computes batches that are ready in memory, then `predict_to_file` takes a tenth of the files, from their
listing to the finished table. Ratios are taken round by round. A MODEL is a path, or a network and its size
in pixels, as in `resnext50_32x4d@64`, with random weights and 40 classes. Promised for a network that
computes 60 million multiply-adds or more for an image: at least 90 % of the engine's rate. Appends a record
for each model to results/bench.jsonl.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

import resnext
from resnext.arch import Architecture
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.cost import count_cost
from resnext.data.image_files import find_image_files
from resnext.data.loaders import evaluation_batches, on_device
from resnext.data.stored_images import UnlabelledImages
from resnext.engine import Classifier, TorchEngine
from resnext.machine import cpu_name
from resnext.models import create
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
SETS, EACH, IN_A_FOLDER = ("cifar10", "tiny-imagenet"), 50_000, 1000
ROUNDS, BATCH, READY, PROMISED = 10, 64, 32, 0.9
CLASSES = 40


def write_images(data: Path, folder: Path) -> None:
    """The training images of `SETS` as files."""
    for name in SETS:
        file = pq.ParquetFile(data / name / "train.parquet")
        number = 0
        for rows in file.iter_batches(IN_A_FOLDER, columns=["image"]):
            target = folder / name / f"{number // IN_A_FOLDER:03d}"
            target.mkdir(parents=True)
            for row in rows.column("image").to_pylist():
                (target / f"{number:05d}.jpg").write_bytes(row["bytes"])
                number += 1
        assert number == EACH, (name, number)


def opened(model: str) -> Classifier:
    """The model at a path, or a new network, as in `resnext50_32x4d@64`."""
    if Path(model).exists():
        return resnext.load(model)
    name, _, px = model.partition("@")
    arch, size = Architecture.from_name(name, CLASSES), int(px)
    contract = Contract(
        classes=tuple(f"class {number}" for number in range(CLASSES)),
        input=Input(3, size, size),
        resize=Resize(size, size),
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        provenance=Provenance(arch.name),
    )
    return Classifier(TorchEngine(create(arch).eval(), contract))


def ready(classifier: Classifier, paths: list[str]) -> Iterator[torch.Tensor]:
    """Batches as the engine takes them."""
    contract = classifier.contract
    batches = evaluation_batches(UnlabelledImages(list(paths)), contract.resize, BATCH, 0)
    for batch in on_device(batches, contract, classifier.device):
        yield batch.images


def engine_rate(classifier: Classifier, batches: list[torch.Tensor]) -> float:
    """Images a second of the engine alone."""
    start = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            classifier.engine.probabilities(batch)
    return sum(map(len, batches)) / (time.perf_counter() - start)


def predict_rate(classifier: Classifier, folder: Path, number: int, out: Path) -> float:
    """Images a second of `predict_to_file` with one of the parts."""
    start = time.perf_counter()
    summary = resnext.predict_to_file(classifier, [folder], out / "a.csv", shard=f"{number}/{ROUNDS}")
    return summary.rows / (time.perf_counter() - start)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    given = parser.parse_args()
    passed = True
    with tempfile.TemporaryDirectory() as root:
        folder = Path(root) / "images"
        write_images(given.data, folder)
        paths = list(find_image_files([folder]).paths)
        some = paths[:: len(paths) // (READY * BATCH)][: READY * BATCH]
        for model in given.models:
            classifier = opened(model)
            size, name = classifier.contract.resize.crop_px, Path(model).name
            macs = count_cost(classifier.network.arch, size).macs
            batches = list(ready(classifier, some))
            engine_rate(classifier, batches)
            out = Path(root) / name
            out.mkdir()
            rounds = []
            for number in range(ROUNDS):
                alone = engine_rate(classifier, batches)
                whole = predict_rate(classifier, folder, number, out)
                rounds.append((alone, whole))
                shown = f"engine {alone:,.0f} images/s, predict {whole:,.0f}: {whole / alone:.3f}"
                print(f"{name}, {number + 1} of {ROUNDS}: {shown}", flush=True)
            ratios = [whole / alone for alone, whole in rounds]
            row: dict[str, Any] = {
                "images": len(SETS) * EACH,
                "engine_per_s": float(np.median([alone for alone, _ in rounds])),
                "predict_per_s": float(np.median([whole for _, whole in rounds])),
                "ratio": float(np.median(ratios)),
                "spread": [float(np.quantile(ratios, q)) for q in (0.1, 0.9)],
            }
            settings = {"batch": BATCH, "macs": macs, "size_px": size, "rounds": ROUNDS}
            record = {"kind": "bench", "experiment": "predict_rate", "arm": name, "settings": settings}
            append_record(record | row | asdict(stamp(cpu_name())), RESULTS)
            passed = passed and row["ratio"] >= PROMISED
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
