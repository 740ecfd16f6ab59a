"""Steps/s of the default network on photographs, of this version against an earlier one, idle and busy.

`python benchmarks/busy_machine.py EARLIER PHOTOS`: EARLIER is a checkout of the earlier version, PHOTOS a
folder of some classes, about 60 photographs each. Rounds alternate; busy means beside six programs that
compute. Each run trains two epochs, of which the second counts. Promised: idle at least 0.98 times the
earlier version, busy at least 2 times. Appends a record to results/bench.jsonl. Run it with nothing else on
the machine; about 12 minutes on two cores.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from resnext.machine import cpu_name
from resnext.records import append_record, stamp

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "results" / "bench.jsonl"
#: Programs beside the training, rounds, and the ratios that are promised, by what the machine does.
BUSY, ROUNDS = {"idle": 0, "busy": 6}, {"idle": 5, "busy": 3}
PROMISED = {"idle": 0.98, "busy": 2.0}


def steps_per_second(version: Path, photos: Path) -> float:
    """Of the second epoch."""
    with tempfile.TemporaryDirectory() as runs:
        words = ["-m", "resnext", "train", str(photos), "--epochs", "2", "--runs", runs, "--name", "x"]
        environment = os.environ | {"PYTHONPATH": str(version / "src")}
        subprocess.run([sys.executable, *words], env=environment, check=True, capture_output=True)
        lines = map(json.loads, (Path(runs) / "x" / "metrics.jsonl").read_text().splitlines())
        first, second = (line for line in lines if "epoch" in line)
    return float((second["step"] - first["step"]) / second["seconds"])


@contextlib.contextmanager
def busy(programs: int) -> Iterator[None]:
    """A machine on which this number of programs computes."""
    started = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(programs)]
    try:
        yield
    finally:
        for program in started:
            program.kill()
            program.wait()


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("earlier", type=Path)
    parser.add_argument("photos", type=Path)
    given = parser.parse_args()
    head = ["git", "-C", given.earlier, "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(head, capture_output=True, text=True, check=True).stdout.strip()
    is_kept = True
    for state, programs in BUSY.items():
        paces: dict[str, list[float]] = {"earlier": [], "this": []}
        for _ in range(ROUNDS[state]):
            for name, version in (("earlier", given.earlier), ("this", ROOT)):
                with busy(programs):
                    paces[name].append(steps_per_second(version, given.photos))
                print(f"{state}, {name}: {paces[name][-1]:.3f} steps/s", flush=True)
        ratios = [this / earlier for earlier, this in zip(paces["earlier"], paces["this"], strict=True)]
        ratio = statistics.median(ratios)
        is_kept &= ratio >= PROMISED[state]
        line = {"kind": "bench", "experiment": "busy_machine", "state": state, "programs": programs}
        line |= {"earlier": commit, "rounds": ROUNDS[state], "ratio": ratio}
        line |= {"spread": [min(ratios), max(ratios)]}
        line |= {"steps_per_s": {name: statistics.median(own) for name, own in paces.items()}}
        append_record(line | asdict(stamp(cpu_name())), RESULTS)
        print(f"{state}: {ratio:.3f} times ({min(ratios):.3f} to {max(ratios):.3f})", flush=True)
    return 0 if is_kept else 4


if __name__ == "__main__":
    sys.exit(main())
