"""Times side by side: training steps, answers and the data path, beside peers and the machine's limits."""

from resnext.bench.cases import Contender, Mode, contender, modes_of
from resnext.bench.runs import BenchError, NothingTimed, Turns, bench_data, bench_infer, bench_step
from resnext.bench.table import Row, Table

__all__ = [
    "BenchError",
    "Contender",
    "Mode",
    "NothingTimed",
    "Row",
    "Table",
    "Turns",
    "bench_data",
    "bench_infer",
    "bench_step",
    "contender",
    "modes_of",
]
