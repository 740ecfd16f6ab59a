"""All experiments by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from resnext.experiments import (
    cardinality,
    cardinality_vs_depth_vs_width,
    cifar,
    depth_and_data,
    equal_accuracy,
    forms,
    merging,
    more_classes,
    multi_resolution,
    residual,
    separable,
    speed,
    training_error,
    training_length,
)
from resnext.experiments.study import Experiment, ExperimentError

#: In the order of the paper.
EXPERIMENTS: dict[str, Experiment] = {
    module.EXPERIMENT.name: module.EXPERIMENT
    for module in (
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
        training_length,
        depth_and_data,
    )
}


def find_experiments(names: Sequence[str] = ()) -> list[Experiment]:
    """The experiments called `names`, or all, in the order of the paper.

    Args:
        names: Keys of `EXPERIMENTS`; none stands for all.

    Raises:
        ExperimentError: No experiment has one of the names; the message has the nearest names.

    >>> [experiment.name for experiment in find_experiments(["speed", "cifar"])]
    ['cifar', 'speed']
    """
    for name in names:
        if name not in EXPERIMENTS:
            near = difflib.get_close_matches(name, EXPERIMENTS, n=3) or list(EXPERIMENTS)
            raise ExperimentError(f"no experiment is called {name!r}. Nearest: {', '.join(near)}")
    return [one for name, one in EXPERIMENTS.items() if name in names or not names]
