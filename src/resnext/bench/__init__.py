"""Timing side by side: training steps, inference and the data path, beside peers and the machine's limits.

>>> from resnext.bench import BenchSettings, bench_infer, candidate, parse_modes
>>> names = "resnet11+template=8", "resnext11_2x4d+template=8"
>>> settings = BenchSettings(batch=2, size_px=16, rounds=1, device="cpu")
>>> table = bench_infer([candidate(name) for name in names], parse_modes([]), settings)
>>> table.rows[1].against
'resnet11+template=8, eager float32 channels-last'
"""

from resnext.bench.candidates import Candidate, Mode, candidate, parse_modes
from resnext.bench.runner import (
    BenchError,
    BenchSettings,
    NothingTimed,
    Workload,
    bench_data,
    bench_infer,
    bench_step,
)
from resnext.bench.tables import BenchRow, BenchTable

__all__ = [
    "BenchError",
    "BenchRow",
    "BenchSettings",
    "BenchTable",
    "Candidate",
    "Mode",
    "NothingTimed",
    "Workload",
    "bench_data",
    "bench_infer",
    "bench_step",
    "candidate",
    "parse_modes",
]
