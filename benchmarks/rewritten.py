"""Trained networks with their grouped convolutions rewritten, beside their originals, on images of test.

`python benchmarks/rewritten.py RUNS [NAME...]`: RUNS has runs of reference_runs.py that have groups. Each is
written for each engine, in float32 and int8, with every grouped convolution packed into groups of four times
the width, whatever `optimize` would choose here. Then both answer all images of test, or of val where there
is none. Promised: at most 0.3 points lost; in float32 the same
class for every image. Appends a record for each file to results/bench.jsonl; a few minutes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from judged import answers, judged

import resnext
from resnext.engine import Classifier
from resnext.engine.openers import open_network
from resnext.export import MAX_DROP, PRECISIONS, QUANTIZERS, TUNED, ParityError, Precision
from resnext.export.grouped import find_grouped
from resnext.machine import cpu_name
from resnext.records import append_record, stamp
from resnext.statistics import bootstrap_difference

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
NAMES = ("digits", "tiny40-resnext26")
TIMES = 4


def measure(run: Path, to: str, precision: Precision) -> dict[str, Any]:
    """What the rewritten file is worth on the images that judge the run."""
    original, split, images = judged(run)
    network, contract = open_network(run)
    kinds = find_grouped(network, contract)
    packing = {name: TIMES for layer, names in kinds.items() if layer.groups % TIMES == 0 for name in names}
    with tempfile.TemporaryDirectory() as folder:
        try:
            path = (
                resnext.quantize(run, to, min_speed=0, out=folder, packing=packing).path
                if precision == "int8"
                else resnext.export_model(run, to, out=folder, packing=packing).path
            )
        except ParityError as error:
            return {"refused": str(error), "packed": len(packing)}
        rewritten: Classifier = resnext.load(path)
        found = [answers(model, images).argmax(1) for model in (original, rewritten)]
    right = [one == images.labels for one in found]
    points = bootstrap_difference(right[0][None], right[1][None])
    return {
        "split": split,
        "images": len(images),
        "packed": len(packing),
        "same": int((found[0] == found[1]).sum()),
        "correct": [int(one.sum()) for one in right],
        "points": points.difference,
        "interval": [points.low, points.high],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME")
    given = parser.parse_args()
    passed = True
    for name in given.names:
        for to in TUNED:
            for precision in PRECISIONS:
                if precision == "int8" and to not in QUANTIZERS:
                    continue
                row = measure(given.runs / name, to, precision)
                is_same = precision == "int8" or row.get("same") == row.get("images")
                kept = "refused" in row or (row["points"] >= -MAX_DROP and is_same)
                passed = passed and kept
                arm = f"{name}, {to}, {precision}"
                record = {"kind": "bench", "experiment": "rewritten", "arm": arm, "kept": kept}
                append_record(record | row | asdict(stamp(cpu_name())), RESULTS)
                print(f"{arm}: {'kept' if kept else 'NOT KEPT'} {row}", flush=True)
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
