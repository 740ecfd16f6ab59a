"""At equal latency in int8: which cardinality, width and depth? Designed in the engine, then trained.

`python benchmarks/equal_latency.py CIFAR10`: networks for images of 16 px, timed as OpenVINO computes one
image in int8. The budgets are the times of ResNeXt 32x4d with 11, 20 and 29 layers. For each, `design` finds
networks of any depth that take as long: those without groups (ResNet), and those of 2 to 32 paths. Of each
kind up to two are trained once, and the best on val is taken. It, ResNet's and 32x4d are trained with five
seeds, the same images and the same steps, and judged on all images of test. Appends a record for each
training, and one for each budget, to results/equal_latency.jsonl. Run it with nothing else on the machine;
about an hour on two cores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch

import resnext
from resnext.arch import Architecture
from resnext.design import Budget, DesignError, DesignSpace, EngineMeter, design_networks
from resnext.machine import cpu_name
from resnext.recipe import Recipe, named_recipe, override
from resnext.records import append_record, stamp
from resnext.statistics import interval

RESULTS = Path(__file__).parents[1] / "results" / "equal_latency.jsonl"
ENGINE, SIZE_PX, CLASSES = "openvino-int8", 16, 10
#: Those whose times are the budgets, the smallest first.
NAMES = tuple(f"resnext{depth}_32x4d+template=16" for depth in (11, 20, 29))
#: Cardinalities of each kind that is designed, and most networks of a kind that are tried.
KINDS = {"resnet": (1,), "groups": (2, 4, 8, 16, 32)}
TRIED = 2
#: Share by which a time may differ from the budget: what a path more changes in the smallest networks.
TOLERANCE = 0.1
#: The seed of the trial, and those of the comparison.
TRIAL, SEEDS = 100, range(5)


def recipe_of(name: str, epochs: int, seed: int) -> Recipe:
    return override(
        named_recipe("cifar-small"),
        model=name,
        epochs=epochs,
        batch=64,
        seed=seed,
        data__size_px=SIZE_PX,
        data__resize_px=SIZE_PX,
        data__train_px=SIZE_PX,
    )


@dataclass(frozen=True)
class Training:
    """A training of a network."""

    arm: str
    name: str
    seed: int

    def run(self, data: Path, epochs: int, runs: Path) -> dict[str, Any]:
        """The record of its result."""
        name = f"{self.arm}-{self.name}-{self.seed}".replace(" ", "-").replace(":", "")
        run = resnext.train(data, recipe_of(self.name, epochs, self.seed), name=name, runs=runs)
        record: dict[str, Any] = run.result | {"experiment": "equal_latency", "arm": self.arm}
        return record


def train_all(trainings: list[Training], data: Path, epochs: int, runs: Path) -> list[dict[str, Any]]:
    """Their records, which are appended. Two run at a time, one core each: faster than one on two."""
    spawn = multiprocessing.get_context("spawn")
    records = []
    with ProcessPoolExecutor(2, spawn, torch.set_num_threads, (1,)) as pool:
        started = [pool.submit(one.run, data, epochs, runs) for one in trainings]
        for one, future in zip(trainings, started, strict=True):
            records.append(record := future.result())
            append_record(record, RESULTS)
            metrics = record["metrics"]
            print(
                f"  {one.arm}: {one.name}, seed {one.seed}: val {100 - metrics['val']['top1_error']:.2f} %, "
                f"test {100 - metrics['test']['top1_error']:.2f} %, {record['seconds']:.0f} s",
                flush=True,
            )
    return records


def designed(budget_ms: float, meter: EngineMeter) -> Iterator[tuple[str, list[str]]]:
    """Networks of each kind that take the time."""
    base = Architecture.from_name(NAMES[-1], CLASSES)
    for kind, cardinalities in KINDS.items():
        space = DesignSpace(base, frozenset({"cardinality", "width", "depth"}), SIZE_PX, cardinalities)
        begun = time.perf_counter()
        try:
            budget = Budget(latency_ms=budget_ms, latency_tolerance=TOLERANCE)
            found = design_networks(space, budget, TRIED, meter)
        except DesignError as error:
            sys.exit(f"{kind}: {error}")
        for one in found:
            macs = f"{one.cost.macs / 1e6:.1f} M multiply-adds"
            print(f"  {kind}: {one.arch.name} {one.latency_ms:.3f} ms, {macs}")
        print(f"  found in {time.perf_counter() - begun:.0f} s", flush=True)
        yield kind, [one.arch.name for one in found]


def write_set(data: Path, images: int, folder: Path) -> None:
    """So many images of train, and all of test."""
    table = pq.read_table(data / "train.parquet")
    chosen = np.sort(np.random.default_rng(0).permutation(len(table))[:images])
    pq.write_table(table.take(chosen), folder / "train.parquet")
    pq.write_table(pq.read_table(data / "test.parquet"), folder / "test.parquet")


def compare(data: Path, own: str, meter: EngineMeter, epochs: int, runs: Path) -> dict[str, Any]:
    """What networks that take as long as `own` are worth."""
    [budget_ms] = meter.measure({0: Architecture.from_name(own, CLASSES)}).values()
    print(f"as long as {own}, {budget_ms:.3f} ms:", flush=True)
    arms = {"32x4d": own}
    tried = [(kind, name) for kind, names in designed(budget_ms, meter) for name in names]
    trials = train_all(
        [Training(f"{own}: {kind}, trial", name, TRIAL) for kind, name in tried], data, epochs, runs
    )
    val = {one: trial["metrics"]["val"]["top1_error"] for one, trial in zip(tried, trials, strict=True)}
    for kind in KINDS:
        _, arms[kind] = min((one for one in tried if one[0] == kind), key=lambda one: val[one])
    ms = meter.measure({i: Architecture.from_name(name, CLASSES) for i, name in enumerate(arms.values())})
    pairs = [(arm, seed) for seed in SEEDS for arm in arms]
    found = train_all([Training(f"{own}: {arm}", arms[arm], seed) for arm, seed in pairs], data, epochs, runs)
    errors: dict[str, list[float]] = {arm: [] for arm in arms}
    for (arm, _), record in zip(pairs, found, strict=True):
        errors[arm].append(record["metrics"]["test"]["top1_error"])
    rows = []
    for place, (arm, name) in enumerate(arms.items()):
        gains = [a - b for a, b in zip(errors["resnet"], errors[arm], strict=True)]
        row: dict[str, Any] = {"arm": arm, "network": name, "ms": ms[place], "top1_errors": errors[arm]}
        if arm != "resnet":
            row["gain"] = asdict(interval(gains))
        rows.append(row)
        print(f"  {arm}: {name}, {ms[place]:.3f} ms, gain over ResNet {row.get('gain')}", flush=True)
    return {"budget": own, "budget_ms": budget_ms, "drift": meter.drift, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--budgets", nargs="+", default=list(NAMES), metavar="NAME")
    given = parser.parse_args()
    meter = resnext.latency_meter(Architecture.from_name(NAMES[0], CLASSES), ENGINE, size_px=SIZE_PX)
    assert isinstance(meter, EngineMeter)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        data.mkdir()
        write_set(given.data, given.images, data)
        for own in given.budgets:
            found = compare(data, own, meter, given.epochs, Path(folder) / "runs")
            settings = {"engine": ENGINE, "size_px": SIZE_PX, "images": given.images, "epochs": given.epochs}
            record = {"kind": "equal_latency", "settings": settings} | found
            append_record(record | asdict(stamp(cpu_name())), RESULTS)


if __name__ == "__main__":
    main()
