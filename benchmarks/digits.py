"""Training on digits: at least 98.5 % on the test images for seeds 0, 1 and 2, in 3 minutes each.

Appends a record for each seed to results/digits.jsonl, and exits with 4 if a promise does not hold.
Cost: about 4 minutes on two CPU cores. `python benchmarks/digits.py`
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import resnext
from resnext.records import append_record

MIN_TOP1, MAX_SECONDS = 98.5, 180
RESULTS = Path(__file__).parents[1] / "results" / "digits.jsonl"


def main() -> int:
    with tempfile.TemporaryDirectory() as runs:
        results = [resnext.train("digits", seed=seed, runs=Path(runs)).result for seed in (0, 1, 2)]
    held = True
    for result in results:
        append_record(result, RESULTS)
        top1 = 100 - result["metrics"]["test"]["top1_error"]
        held &= top1 >= MIN_TOP1 and result["seconds"] <= MAX_SECONDS
        print(f"seed {result['seed']}: {top1:.2f} % of test, {result['seconds']:.0f} s of training")
    return 0 if held else 4


if __name__ == "__main__":
    sys.exit(main())
