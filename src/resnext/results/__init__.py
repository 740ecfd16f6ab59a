"""Every outcome as one line of JSON, and what such lines show: intervals, tests, verdicts."""

from resnext.results.findings import (
    ERROR,
    METRICS,
    SHOWN_ERROR,
    STEP_RATIO,
    STEP_S,
    TRAINING_ERROR,
    Arm,
    Finding,
    Findings,
    Statement,
    Verdict,
)
from resnext.results.lines import ResultLine, ResultsError, Stamp, append, read_lines, stamp
from resnext.results.statistics import (
    ENOUGH_RUNS,
    Bootstrap,
    Interval,
    PairedTest,
    bootstrap_difference,
    interval,
    paired_test,
    runs_to_resolve,
)

__all__ = [
    "ENOUGH_RUNS",
    "ERROR",
    "METRICS",
    "SHOWN_ERROR",
    "STEP_RATIO",
    "STEP_S",
    "TRAINING_ERROR",
    "Arm",
    "Bootstrap",
    "Finding",
    "Findings",
    "Interval",
    "PairedTest",
    "ResultLine",
    "ResultsError",
    "Stamp",
    "Statement",
    "Verdict",
    "append",
    "bootstrap_difference",
    "interval",
    "paired_test",
    "read_lines",
    "runs_to_resolve",
    "stamp",
]
