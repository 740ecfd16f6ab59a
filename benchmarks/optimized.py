"""What cardinality costs in the engines that people deploy with, as exported and as optimised.

`python benchmarks/optimized.py [NAME...]`: networks of random weights, the first of them without groups, in
onnxruntime and OpenVINO, in float32 and int8, for batches of 1 and 8. Those with groups are written twice: as
they are, and with each grouped convolution in the form that `resnext optimize` measures to be the fastest.
All files of one engine and precision are timed in turns; ratios are taken round by round, to the first
network. Appends a record for each engine, precision and batch to results/bench.jsonl. Run it with nothing
else on the machine; about fifteen minutes.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

import brief_spins  # noqa: F401  # before torch
import torch

import resnext
from resnext.contract import Contract, Input, Provenance, Resize
from resnext.engine import Engine, open_model
from resnext.export import FORMATS, PRECISIONS, QUANTIZERS, Precision, Source, tune
from resnext.machine import cpu_name
from resnext.recipe import IMAGENET_COLOURS
from resnext.records import append_record, stamp
from resnext.timing import interleave

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
CLASSES, SAMPLES = 1000, 4


def source_of(name: str, size_px: int) -> Source:
    contract = Contract(
        classes=tuple(map(str, range(CLASSES))),
        input=Input(3, size_px, size_px),
        resize=Resize(size_px, size_px),
        mean=IMAGENET_COLOURS["mean"],
        std=IMAGENET_COLOURS["std"],
        provenance=Provenance(name),
    )
    return Source(name, resnext.create(name, classes=CLASSES).eval(), contract)


def opened(source: Source, to: str, precision: Precision, path: Path) -> Engine:
    """The engine of `source`, written to `path`."""
    if precision == "int8":
        size = source.contract.input
        samples = [torch.randn(1, 3, size.height_px, size.width_px).numpy() for _ in range(SAMPLES)]
        QUANTIZERS[to].write(source, samples, "any", path)
    else:
        FORMATS[to].write(source, path)
    return open_model(path).engine


def measure(
    sources: list[Source], to: str, precision: Precision, batch: int, rounds: int, folder: Path
) -> dict[str, Any]:
    """Times of all files of one engine, precision and batch, and what was packed."""
    engines: dict[str, Engine] = {}
    chosen: dict[str, Any] = {}
    for source in sources:
        path = folder / f"{source.name}{FORMATS[to].suffix}"
        engines[source.name] = opened(source, to, precision, path)
        start = time.perf_counter()
        tuning = tune(source, to, precision, batch)
        if not tuning.layers:
            continue
        seconds = time.perf_counter() - start
        for layer in tuning.layers:
            print(f"  {layer}", flush=True)
        chosen[source.name] = {"packing": tuning.packing, "seconds": seconds}
        if tuning.packing:
            path = path.with_stem(f"{source.name}-optimised")
            packed = replace(source, packing=tuning.packing)
            engines[f"{source.name}, optimised"] = opened(packed, to, precision, path)
    size = sources[0].contract.input
    pixels = torch.randn(batch, 3, size.height_px, size.width_px)
    timings = interleave({name: partial(one.probabilities, pixels) for name, one in engines.items()}, rounds)
    first = timings[sources[0].name]
    rows = []
    for name, timing in timings.items():
        ratio = timing.ratio_to(first)
        own = {"what": name, "ms": 1000 * timing.median_s, "ratio": ratio.median}
        rows.append(own | {"spread": list(ratio.spread)})
    settings = {"to": to, "precision": precision, "batch": batch, "size_px": size.height_px}
    settings |= {"rounds": rounds, "threads": torch.get_num_threads()}
    return {"settings": settings, "rows": rows, "chosen": chosen}


def records(sources: list[Source], batches: list[int], rounds: int) -> Iterator[dict[str, Any]]:
    """Those of all engines, precisions and batches."""
    for to in QUANTIZERS:  # the engines that have int8
        for precision in PRECISIONS:
            for batch in batches:
                with tempfile.TemporaryDirectory() as folder:
                    yield measure(sources, to, precision, batch, rounds, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", default=["resnet101", "resnext101_32x4d"], metavar="NAME")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--size-px", type=int, default=224)
    parser.add_argument("--out", type=Path, default=RESULTS)
    given = parser.parse_args()
    sources = [source_of(name, given.size_px) for name in given.names]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RESNEXT_CACHE"] = cache  # forms are chosen now, not by what was measured before
        for made in records(sources, given.batch, given.rounds):
            record = {"kind": "bench", "experiment": "optimized"} | made
            append_record(record | asdict(stamp(cpu_name())), given.out)
            settings = made["settings"]
            print(f"{settings['to']}, {settings['precision']}, batch {settings['batch']}:", flush=True)
            for row in made["rows"]:
                low, high = row["spread"]
                ratio = f"{row['ratio']:.2f} ({low:.2f} to {high:.2f})"
                print(f"  {row['what']:35} {row['ms']:9.1f} ms  {ratio}", flush=True)


if __name__ == "__main__":
    main()
