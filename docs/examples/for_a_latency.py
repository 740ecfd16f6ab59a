"""Find the network that takes half the time of another one on this machine, and train it.

    python for_a_latency.py

Times are those of one image on the CPU. On a machine whose pace changes while networks are timed, as when
other programs start and stop, the search says so and ends: run it again when nothing else runs.
"""

import tempfile

import resnext
from resnext.design import Budget, DesignSpace, LatencyMeter, design_networks


def main() -> None:
    base = resnext.Architecture.from_name("resnext20_8x6d+template=24", classes=10)
    meter = LatencyMeter(base, size_px=8)
    base_ms = meter.measure({0: base})[0]
    space = DesignSpace(base, frozenset({"width"}), size_px=8, cardinalities=(1, 2, 4, 8))
    [found] = design_networks(
        space, Budget(latency_ms=base_ms / 2, latency_tolerance=0.1), limit=1, meter=meter
    )
    assert found.latency_ms is not None  # of designs for a time it is known
    print(f"{base.name}: {base_ms:.2f} ms; found {found.arch.name}: {found.latency_ms:.2f} ms")
    with tempfile.TemporaryDirectory() as runs:
        run = resnext.train("digits", model=found.arch.name, epochs=3, runs=runs)
        print(f"{run.result['metrics']['test']['top1_error']:.1f} % of the test images wrong")


if __name__ == "__main__":
    main()
