"""Trained networks in int8, beside their originals, on images of test.

`python benchmarks/int8.py RUNS [NAME...]`: RUNS has runs of reference_runs.py. Each is quantised for each
format, once to be right on any processor and once for those with VNNI, calibrated on train and judged on val;
then both answer all images of test, or of val where there is no test. Promised of the file for any processor:
at most 0.3 points lost, or a refusal; of the other, on a processor without VNNI: where it saturates, the gate
on val refuses it or puts blocks back. Appends a record for each file to results/bench.jsonl. On two cores a
few minutes for each network.
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
from resnext.export import MAX_DROP, QUANTIZERS, TARGETS, ParityError, Target
from resnext.machine import cpu_name
from resnext.records import append_record, stamp
from resnext.statistics import bootstrap_difference

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
NAMES = ("digits", "cifar10", "tiny40-resnext26", "tiny200-resnext26")
#: Too few images for a promise.
REPORTED = "digits"


def measure(run: Path, to: str, target: Target) -> dict[str, Any]:
    """What the file of one format and target is worth on the images that judge the run."""
    original, split, images = judged(run)
    with tempfile.TemporaryDirectory() as folder:
        try:
            made = resnext.quantize(run, to, target=target, min_speed=0, out=folder)
        except ParityError as error:
            return {"refused": str(error)}
        quantised: Classifier = resnext.load(made.path)
        right = [answers(model, images).argmax(1) == images.labels for model in (original, quantised)]
    points = bootstrap_difference(right[0][None], right[1][None])
    return {
        "split": split,
        "images": len(images),
        "correct": [int(one.sum()) for one in right],
        "points": points.difference,
        "interval": [points.low, points.high],
        "speed": made.speed.median,
        "spread": list(made.speed.spread),
        "ms": list(made.ms),
        "put_back": list(made.floats),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("runs", type=Path)
    parser.add_argument("names", nargs="*", default=list(NAMES), metavar="NAME")
    given = parser.parse_args()
    passed = True
    for name in given.names:
        for to in QUANTIZERS:
            for target in TARGETS:
                row = measure(given.runs / name, to, target)
                kept = "refused" in row or name == REPORTED or row["points"] >= -MAX_DROP
                passed = passed and kept
                arm = f"{name}, {to}, {target}"
                record = {"kind": "bench", "experiment": "int8", "arm": arm, "kept": kept}
                append_record(record | row | asdict(stamp(cpu_name())), RESULTS)
                print(f"{arm}: {'kept' if kept else 'NOT KEPT'} {row}", flush=True)
    return 0 if passed else 4


if __name__ == "__main__":
    sys.exit(main())
