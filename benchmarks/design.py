"""Speed and accuracy of `resnext design`.

Promised: the costs of the whole design space in under 5 s, and networks whose latency, measured again, is
within 10 % of the target. Appends records to results/bench.jsonl, and exits with 4 if a promise does not
hold. Run it with nothing else on the machine: `python benchmarks/design.py [BASE] [MILLISECONDS ...]`.
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.design import Budget, DesignSpace, LatencyMeter, design_networks
from resnext.machine import cpu_name
from resnext.records import append_record, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
MAX_SECONDS, MAX_OFF = 5.0, 0.10


def solving() -> dict[str, Any]:
    """Every depth of the name grammar up to 200, C in 1..64 and d in 1..128."""
    base = Architecture.from_name("resnext50_32x4d")
    cost, seconds = count_cost(base), []
    for _ in range(5):
        start = time.perf_counter()
        space = DesignSpace(base, frozenset({"cardinality", "width", "depth"}))
        design_networks(space, Budget(params=cost.params, macs=cost.macs))
        seconds.append(time.perf_counter() - start)
    timing = {"what": "solve", "median_s": statistics.median(seconds), "spread": [min(seconds), max(seconds)]}
    return {"experiment": "design_solve", "members": space.costs[:, :, 0].size, "timings": [timing]}


def counting() -> dict[str, Any]:
    """The costs of 200 random members of that space, against counting their modules."""
    space = DesignSpace(
        Architecture.from_name("resnext50_32x4d"), frozenset({"cardinality", "width", "depth"})
    )
    random, equal = np.random.default_rng(1), 0
    for _ in range(200):
        indices = int(random.integers(len(space.depths))), int(random.integers(len(space.pairs)))
        equal += space.cost(*indices) == count_cost(space.member(*indices))
    return {"experiment": "design_counted", "members": 200, "equal": equal}


def choosing(base: str, target_ms: float) -> dict[str, Any]:
    """The deviation of the chosen networks from the target in a second measurement by the same meter."""
    space = DesignSpace(Architecture.from_name(base, 10), frozenset({"cardinality", "width"}))
    meter = LatencyMeter(space.base, space.size_px, rounds=30)
    found = design_networks(space, Budget(latency_ms=target_ms), limit=6, meter=meter)
    again = meter.measure(dict(enumerate(d.arch for d in found)))
    off = [abs(ms / target_ms - 1) for ms in again.values()]
    return {
        "experiment": "design_latency",
        "base": base,
        "target_ms": target_ms,
        "chosen": {d.arch.name: again[i] for i, d in enumerate(found)},
        "most_off": max(off),
        "machine_drift": meter.drift,
    }


def main(base: str = "resnext29_8x4d+template=16", *targets: str) -> int:
    counted = counting()
    lines = [solving(), *(choosing(base, float(target)) for target in targets or ("8", "16", "32"))]
    held = counted["equal"] == counted["members"]
    print(f"{counted['equal']} of {counted['members']} random members cost what was counted")
    held &= lines[0]["timings"][0]["median_s"] <= MAX_SECONDS
    print(f"{lines[0]['members']:,} networks solved in {lines[0]['timings'][0]['median_s']:.2f} s")
    for line in lines[1:]:
        held &= line["most_off"] <= MAX_OFF
        names = ", ".join(f"{name} {ms:.2f}" for name, ms in line["chosen"].items())
        print(
            f"{line['target_ms']:g} ms: {names}; at most {100 * line['most_off']:.1f} % off "
            f"(the machine's own pace: {100 * line['machine_drift']:.1f} %)"
        )
    for line in (counted, *lines):
        append_record({"kind": "bench"} | line | asdict(stamp(cpu_name())), RESULTS)
    return 0 if held else 4


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
