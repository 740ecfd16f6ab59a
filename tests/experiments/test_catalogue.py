"""The experiments are complete, of equal cost where they say so, and documented alike."""

from __future__ import annotations

import importlib
from itertools import chain

import pytest

from resnext.arch import Architecture
from resnext.cost import count_cost
from resnext.experiments import EXPERIMENTS, REVIEW, SCALES, ExperimentError, Scale, find_experiments
from resnext.experiments.datasets import DATASETS


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_has_every_scale_and_says_how(name: str) -> None:
    experiment = EXPERIMENTS[name]
    assert tuple(experiment.studies) == SCALES
    module = importlib.import_module(f"resnext.experiments.{name}")
    assert f"Command  resnext experiments run {name} --scale" in module.__doc__
    assert "Cost     " in module.__doc__
    for study in experiment.studies.values():
        assert study.claims
        assert {arm.data for arm in study.arms} <= set(DATASETS)
        for arm in study.arms:
            assert Architecture.from_name(arm.model).name == arm.model  # lines are found by it
            assert arm.recipe.seed == 0
    assert all(3 <= experiment.studies[scale].seeds <= 10 for scale in SCALES if scale != "miniature")


def macs(name: str, scale: Scale, *arms: str) -> list[int]:
    study = EXPERIMENTS[name].studies[scale]
    size = study.arms[0].recipe.data.size_px
    found = {arm.name: arm.model for arm in study.arms}
    return [count_cost(Architecture.from_name(found[arm], 10), size).macs for arm in arms or found]


@pytest.mark.parametrize("scale", ["gpu", "laptop"])
def test_equal_cost_is_equal(scale: Scale) -> None:
    equal = {"cardinality": (), "merging": ("added", "concatenated, same cost")}
    equal |= {"multi_resolution": (), "separable": ("ResNeXt", "separable, same cost")}
    for name, arms in equal.items():
        costs = macs(name, scale, *arms)
        assert max(costs) / min(costs) < 1.08, (name, costs)
    assert macs("cifar", "gpu", "1x224d", "8x64d")[0] > 0.99 * macs("cifar", "gpu", "8x64d")[0]
    added, concatenated = macs("merging", scale, "added", "concatenated, same cost")
    assert concatenated > 0.99 * added  # the difference is not in favour of what should win


@pytest.mark.parametrize("scale", ["gpu", "laptop"])
def test_twice_the_cost_is_twice(scale: Scale) -> None:
    half, *twice = macs("cardinality_vs_depth_vs_width", scale)
    assert all(1.85 < cost / half < 2.1 for cost in twice), [cost / half for cost in twice]
    assert max(twice) / min(twice) < 1.06
    dense, separable = macs("separable", scale, "dense", "separable")
    assert separable < 0.7 * dense


def test_every_experiment_answers_a_statement_of_the_review() -> None:
    assert {one.experiment for one in REVIEW if one.experiment} == set(EXPERIMENTS)
    assert all(one.known for one in REVIEW)
    for model in chain(*(one.models for one in REVIEW)):
        assert Architecture.from_name(model).name == model


def test_a_wrong_name_gets_the_nearest() -> None:
    with pytest.raises(ExperimentError, match="Nearest: cardinality"):
        find_experiments(["cardinalty"])
    assert [one.name for one in find_experiments(["speed", "cifar"])] == ["cifar", "speed"]
