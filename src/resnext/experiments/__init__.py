"""Every claim of the paper and its review as an experiment: what is trained, what came out, the verdict."""

import difflib
from collections.abc import Sequence

from resnext.experiments import (
    cardinality,
    cardinality_vs_depth_vs_width,
    cifar,
    equal_accuracy,
    forms,
    merging,
    more_classes,
    multi_resolution,
    residual,
    separable,
    speed,
    training_error,
)
from resnext.experiments.jobs import Job, Moved, Place
from resnext.experiments.judging import judge
from resnext.experiments.ledger import Ledger
from resnext.experiments.review import REVIEW
from resnext.experiments.running import (
    Begun,
    Ended,
    Work,
    plan,
    run,
)
from resnext.experiments.study import SCALES, Experiment, ExperimentError, Scale, Study

#: In the order of the paper.
EXPERIMENTS: dict[str, Experiment] = {
    room.EXPERIMENT.name: room.EXPERIMENT
    for room in (
        cardinality,
        training_error,
        cardinality_vs_depth_vs_width,
        residual,
        more_classes,
        cifar,
        forms,
        merging,
        multi_resolution,
        separable,
        speed,
        equal_accuracy,
    )
}


def find_experiments(names: Sequence[str] = ()) -> list[Experiment]:
    """The experiments called `names`, or all. Raises `ExperimentError` with the nearest names."""
    for name in names:
        if name not in EXPERIMENTS:
            near = difflib.get_close_matches(name, EXPERIMENTS, n=3) or list(EXPERIMENTS)
            raise ExperimentError(f"no experiment is called {name!r}. Nearest: {', '.join(near)}")
    return [one for name, one in EXPERIMENTS.items() if name in names or not names]


__all__ = [
    "EXPERIMENTS",
    "REVIEW",
    "SCALES",
    "Begun",
    "Ended",
    "Experiment",
    "ExperimentError",
    "Job",
    "Ledger",
    "Moved",
    "Place",
    "Scale",
    "Study",
    "Work",
    "find_experiments",
    "judge",
    "plan",
    "run",
]
