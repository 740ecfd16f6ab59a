"""Experiments on the claims of the paper and of its review: what is trained or timed, and the verdicts.

Everything here builds on the package, and nothing in the package knows of it. `find_experiments` chooses
experiments, `run` trains and times what is missing, `judge` turns the result records into findings, and
`write_results` writes the page about all of them.

>>> from resnext import experiments
>>> cardinality, = experiments.find_experiments(["cardinality"])
>>> experiments.plan([cardinality], "miniature", workspace=experiments.Workspace()).total
4
>>> [findings.is_run for findings in experiments.judge(cardinality, "gpu", experiments.Ledger([]))]
[False]
"""

from resnext.experiments.catalogue import EXPERIMENTS, find_experiments
from resnext.experiments.claims_page import write_results
from resnext.experiments.findings import Finding, Findings
from resnext.experiments.ledger import Ledger
from resnext.experiments.review import REVIEW
from resnext.experiments.runner import TaskEnded, TaskStarted, WorkPlan, plan, run
from resnext.experiments.study import SCALES, Arm, Experiment, ExperimentError, Scale, Study
from resnext.experiments.tasks import Task, TaskProgress, Workspace
from resnext.experiments.verdicts import judge

__all__ = [
    "EXPERIMENTS",
    "REVIEW",
    "SCALES",
    "Arm",
    "Experiment",
    "ExperimentError",
    "Finding",
    "Findings",
    "Ledger",
    "Scale",
    "Study",
    "Task",
    "TaskEnded",
    "TaskProgress",
    "TaskStarted",
    "WorkPlan",
    "Workspace",
    "find_experiments",
    "judge",
    "plan",
    "run",
    "write_results",
]
