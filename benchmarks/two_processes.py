"""Images/s of 2 processes with one thread each, against 1 process with 2 threads, on the same cores.

Rounds alternate; each trains the same small network on digits for five epochs, of which the first does not
count. The figure is the median ratio over rounds; promised: at least 0.9. Appends a record to
results/bench.jsonl. Run it with nothing else on the machine: `python benchmarks/two_processes.py`, 5
minutes on two cores.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from resnext.machine import cpu_name
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
ROUNDS, MIN_RATIO = 5, 0.9
OPTIONS = "--model resnext11_8x4d+template=16 --data.size-px 32 --batch 64 --epochs 5"


def pace(processes: int, runs: Path) -> float:
    """Images/s of the epochs after the first."""
    name = f"{processes}-{len(list(runs.glob('*')))}"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    words = ["-m", "resnext", "train", "digits", "--runs", str(runs), "--name", name, "--device", "cpu"]
    words += OPTIONS.split()
    environment = os.environ | {"OMP_NUM_THREADS": str(2 // processes)}
    command = [sys.executable, *(launcher if processes > 1 else []), *words]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    result = json.loads((runs / name / "result.json").read_text())
    seconds = sum(epoch["seconds"] for epoch in result["curve"][1:])
    steps = result["curve"][-1]["step"] - result["curve"][0]["step"]
    return float(steps * result["recipe"]["batch"] / seconds)


def main() -> int:
    paces: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as runs:
        for _ in range(ROUNDS):
            for processes, own in paces.items():
                own.append(pace(processes, Path(runs)))
                print(f"{processes} processes: {own[-1]:,.0f} images/s", flush=True)
    ratios = [two / one for one, two in zip(paces[1], paces[2], strict=True)]
    ratio = statistics.median(ratios)
    line = {"kind": "bench", "experiment": "two_processes", "options": OPTIONS, "rounds": ROUNDS}
    line |= {"pictures_per_s": {str(n): statistics.median(own) for n, own in paces.items()}}
    line |= {"ratio": ratio, "spread": [min(ratios), max(ratios)]}
    append_record(line | asdict(stamp(cpu_name())), RESULTS)
    print(f"2 against 1: {ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f})")
    return 0 if ratio >= MIN_RATIO else 4


if __name__ == "__main__":
    sys.exit(main())
