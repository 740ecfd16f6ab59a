"""A network of 100 classes moved to 20 others with 50 images each: which way is best, and how long it takes.

`python benchmarks/transfer.py TINY_IMAGENET RUNS`: trains `MODEL` on the first 100 classes of Tiny ImageNet
at 32 px into RUNS/source (half an hour on two cores; the same command goes on where it was stopped). Then
each of five seeds draws 20 of the other classes and 50 images of each, and learns them in all ways of `WAYS`;
the other 500 images of each class are the test. Appends a record for each to results/transfer.jsonl and
prints the table of docs/weights.md.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import resnext
from resnext.data.sources import read_splits
from resnext.recipe import named_recipe, override
from resnext.records import append_record
from resnext.statistics import interval

RESULTS = Path(__file__).parents[1] / "results" / "transfer.jsonl"
MODEL, SIZE_PX, SOURCE_EPOCHS = "resnext11_8x4d+template=16", 32, 12
SOURCE_CLASSES, CLASSES, EACH = 100, 20, 50
SEEDS = range(5)
#: What is typed after `resnext train SET` in each way.
WAYS: dict[str, dict[str, Any]] = {
    "scratch": {"recipe": "small", "model": MODEL, "data__size_px": SIZE_PX},
    "probe": {"recipe": "probe"},
    "finetune": {"recipe": "finetune"},
    "probe, then finetune": {"recipe": "probe", "then": "finetune"},
}


def write_set(data: str, names: tuple[str, ...], seed: int | None, folder: Path) -> None:
    """Write the images of the classes `names` of `data`: `EACH` by the seed as train and the others as test,
    or all as train without a seed."""
    sets = [images for _, images in read_splits(data).items()]
    for number, name in enumerate(names):
        found = [
            (images, int(i))
            for images in sets
            for i in np.flatnonzero(images.labels == images.classes.index(name))
        ]
        order = range(len(found))
        if seed is not None:
            order = np.random.default_rng((seed, number)).permutation(len(found)).tolist()
        for rank, i in enumerate(order):
            target = folder / ("train" if seed is None or rank < EACH else "test") / name
            target.mkdir(parents=True, exist_ok=True)
            images, index = found[i]
            images.open(index).save(target / f"{i:04d}.png")


def train_source(data: str, runs: Path) -> Path:
    """The run folder of the network that knows the first classes; trained if it is not there."""
    if not (runs / "source" / "model").is_dir():
        images = runs / "source-images"
        if not images.is_dir():
            write_set(data, read_splits(data).classes[:SOURCE_CLASSES], None, images)
        recipe = override(named_recipe("small"), model=MODEL, epochs=SOURCE_EPOCHS, data__size_px=SIZE_PX)
        resnext.train(images, recipe, name="source", runs=runs, resume="auto")
    return runs / "source"


def learn(way: str, source: Path, images: Path, runs: Path, seed: int, epochs: int | None) -> dict[str, Any]:
    """The record of one way with one seed."""
    more = dict(WAYS[way])
    if way != "scratch":
        more |= {"weights": source}
    if epochs is not None:
        more |= {"epochs": epochs}
    name = f"{way.replace(', ', '-').replace(' ', '-')}-{epochs or 'usual'}-{seed}"
    begun = time.perf_counter()
    run = resnext.train(images, more.pop("recipe"), name=name, runs=runs, seed=seed, **more)
    record = run.result
    record["metrics"]["test_top1"] = 100 - record["metrics"]["test"]["top1_error"]
    record |= {"experiment": "transfer", "arm": way if epochs is None else f"{way}, {epochs} epochs"}
    return record | {"total_s": time.perf_counter() - begun}


def print_table(records: list[dict[str, Any]]) -> None:
    """Top-1 and seconds of each arm, with 95 % intervals of the means by Student's t."""
    arms = list(dict.fromkeys(record["arm"] for record in records))
    print("| way | epochs | top-1 of test | against finetune | seconds |\n| --- | --- | --- | --- | --- |")
    top1 = {arm: {r["seed"]: r["metrics"]["test_top1"] for r in records if r["arm"] == arm} for arm in arms}
    for arm in arms:
        own = [record for record in records if record["arm"] == arm]
        mean, gain = interval(list(top1[arm].values())), ""
        if arm != "finetune" and "finetune" in top1:
            differences = [value - top1["finetune"][seed] for seed, value in top1[arm].items()]
            difference = interval(differences)
            gain = f"{difference.mean:+.1f} ({difference.low:+.1f} to {difference.high:+.1f})"
        seconds = np.mean([record["total_s"] for record in own])
        print(
            f"| {arm} | {own[0]['recipe']['epochs']} | {mean.mean:.1f} % ({mean.low:.1f} to {mean.high:.1f}) "
            f"| {gain} | {seconds:.0f} |"
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data")
    parser.add_argument("runs", type=Path)
    parser.add_argument("--source-only", action="store_true", help="train the source and end")
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--epochs", type=int, help="of the last run; as chosen by the recipe if left out")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    given = parser.parse_args()
    source = train_source(given.data, given.runs)
    if given.source_only:
        return 0
    others = read_splits(given.data).classes[SOURCE_CLASSES:]
    records = []
    with tempfile.TemporaryDirectory() as root:
        for seed in given.seeds:
            chosen = np.random.default_rng(seed).permutation(len(others))[:CLASSES]
            images = Path(root) / f"images-{seed}"
            write_set(given.data, tuple(others[i] for i in sorted(chosen)), seed, images)
            for way in given.ways:
                record = learn(way, source, images, Path(root) / "runs", seed, given.epochs)
                records.append(record)
                append_record(record, RESULTS)
                top1 = record["metrics"]["test_top1"]
                print(f"seed {seed}, {record['arm']}: {top1:.2f} %, {record['total_s']:.0f} s", flush=True)
    print_table(records)
    return 0


if __name__ == "__main__":
    sys.exit(main())
