"""What `resnext design` promises of time: the costs of the whole space in under 5 s, and networks chosen for
a latency that, measured again side by side, are within 10 % of it.

Appends to results/bench.jsonl and fails if a promise does not hold. Run it with nothing else on the machine:
`python benchmarks/design.py [BASE] [MILLISECONDS ...]`.
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
from resnext.design import Budget, Clock, Space, design_networks
from resnext.machine import cpu_name
from resnext.results import append, stamp

RESULTS = Path(__file__).parents[1] / "results" / "bench.jsonl"
MOST_SECONDS, MOST_OFF = 5.0, 0.10


def solving() -> dict[str, Any]:
    """Every depth of the name grammar up to 200, C in 1..64 and d in 1..128."""
    base = Architecture.from_name("resnext50_32x4d")
    cost, seconds = count_cost(base), []
    for _ in range(5):
        start = time.perf_counter()
        space = Space(base, frozenset({"cardinality", "width", "depth"}))
        design_networks(space, Budget(params=cost.params, macs=cost.macs))
        seconds.append(time.perf_counter() - start)
    timing = {"what": "solve", "median_s": statistics.median(seconds), "spread": [min(seconds), max(seconds)]}
    return {"experiment": "design_solve", "members": space.costs[:, :, 0].size, "timings": [timing]}


def counting() -> dict[str, Any]:
    """200 random members of that space, solved and counted."""
    space = Space(Architecture.from_name("resnext50_32x4d"), frozenset({"cardinality", "width", "depth"}))
    random, equal = np.random.default_rng(1), 0
    for _ in range(200):
        place = int(random.integers(len(space.depths))), int(random.integers(len(space.pairs)))
        equal += space.cost(*place) == count_cost(space.member(*place))
    return {"experiment": "design_counted", "members": 200, "equal": equal}


def choosing(base: str, target_ms: float) -> dict[str, Any]:
    """How far off the target the chosen networks are in a second measurement, by the same clock."""
    space = Space(Architecture.from_name(base, 10), frozenset({"cardinality", "width"}))
    clock = Clock(space.base, space.size_px, rounds=30)
    found = design_networks(space, Budget(latency_ms=target_ms), most=6, clock=clock)
    again = clock.measure(dict(enumerate(d.arch for d in found)))
    off = [abs(ms / target_ms - 1) for ms in again.values()]
    return {
        "experiment": "design_latency",
        "base": base,
        "target_ms": target_ms,
        "chosen": {d.arch.name: again[i] for i, d in enumerate(found)},
        "most_off": max(off),
        "machine_drift": clock.drift,
    }


def main(base: str = "resnext29_8x4d+template=16", *targets: str) -> int:
    counted = counting()
    lines = [solving(), *(choosing(base, float(target)) for target in targets or ("8", "16", "32"))]
    held = counted["equal"] == counted["members"]
    print(f"{counted['equal']} of {counted['members']} random members cost what was counted")
    held &= lines[0]["timings"][0]["median_s"] <= MOST_SECONDS
    print(f"{lines[0]['members']:,} networks solved in {lines[0]['timings'][0]['median_s']:.2f} s")
    for line in lines[1:]:
        held &= line["most_off"] <= MOST_OFF
        names = ", ".join(f"{name} {ms:.2f}" for name, ms in line["chosen"].items())
        print(
            f"{line['target_ms']:g} ms: {names}; at most {100 * line['most_off']:.1f} % off "
            f"(the machine's own pace: {100 * line['machine_drift']:.1f} %)"
        )
    for line in (counted, *lines):
        append({"kind": "bench"} | line | asdict(stamp(cpu_name())), RESULTS)
    return 0 if held else 4


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
