"""Claims about the paper's own figures, and about made-up ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resnext.experiments import EXPERIMENTS
from resnext.experiments.claims import (
    Claim,
    decreases,
    doublings,
    equivalent,
    interaction,
    lower,
    non_inferior,
    slower,
)
from resnext.experiments.findings import Finding

#: Effects by the sentences and tables of the paper.
PUBLISHED = {
    ("cardinality", "32x4d has a lower error than 1x64d"): 1.7,
    ("cardinality", "101 layers 32x4d has a lower error than 101 layers 1x64d"): 0.8,
    ("training_error", "101 layers 32x4d has a lower training error than 101 layers 1x64d"): 4.0,
    ("cardinality_vs_depth_vs_width", "many paths have a lower error than a wider network"): 0.9,
    ("residual", "ResNet has a lower error than ResNet without"): 7.3,
    ("residual", "ResNeXt has a lower error than ResNeXt without"): 3.9,
    ("residual", "removing the shortcuts hurts ResNet more"): 3.4,
    ("more_classes", "ResNeXt has a lower error than ResNet"): 3.2,
    ("more_classes", "101 layers ResNeXt has a lower error than 101 layers ResNet"): 2.3,
    ("more_classes", "ResNeXt has a lower error among the tested classes than ResNet"): 2.7,
    (
        "more_classes",
        "101 layers ResNeXt has a lower error among the tested classes than 101 layers ResNet",
    ): 2.0,
    ("multi_resolution", "four resolutions have a lower error"): 0.85,
    ("more_classes", "few classes ResNeXt has a lower error than few classes ResNet"): 1.7,
    ("multi_resolution", "four resolutions take longer"): 1.892,
    ("separable", "saving computation costs accuracy"): 1.23,
    ("speed", "32x4d takes longer than 1x64d"): 1.357,
    ("equal_accuracy", "the error of ResNeXt-50 is at most 0.5 points higher"): 0.2,
}


@pytest.mark.parametrize(("name", "text"), PUBLISHED)
def test_the_published_figures_through_our_claims(name: str, text: str) -> None:
    study = EXPERIMENTS[name].studies["paper"]
    claim = next(claim for claim in study.claims if claim.text == text)
    paper = {arm.name: arm.published[claim.metric] for arm in study.arms if claim.metric in arm.published}
    assert claim.evaluate(paper, []).published == pytest.approx(PUBLISHED[name, text], abs=1e-3)


def test_a_network_that_is_not_the_paper_s_has_no_published_figure() -> None:
    """Table 4's ResNet-200 was a pre-activation network."""
    by_scale = EXPERIMENTS["cardinality_vs_depth_vs_width"].studies
    published = {scale: {arm.name: arm.published for arm in by_scale[scale].arms} for scale in by_scale}
    assert published["paper"]["deeper"] == {}
    assert published["paper"]["wider"] == {"top1_error": 21.3}
    assert published["laptop"]["deeper"] == {"top1_error": 21.7}  # beside ours, as of other networks


def test_smaller_scales_show_the_figures_of_their_counterparts() -> None:
    for name, index, figure in (("equal_accuracy", 0, 0.2), ("training_error", 0, 4.0), ("cifar", 0, None)):
        study = EXPERIMENTS[name].studies["laptop"]
        claim = study.claims[index]
        paper = {arm.name: arm.published[claim.metric] for arm in study.arms if claim.metric in arm.published}
        published = claim.evaluate(paper, []).published
        assert published == (figure if figure is None else pytest.approx(figure)), name


def find(claim: Claim, *seeds: dict[str, float]) -> Finding:
    return claim.evaluate({}, seeds)


def test_verdicts() -> None:
    claim = lower("b", than="a")
    assert find(claim).verdict == "not run"
    assert find(claim, {"a": 5, "b": 4}).verdict == "not resolved"  # one run shows nothing
    clear = [{"a": 5.0, "b": 4.0}, {"a": 6.0, "b": 5.1}, {"a": 5.5, "b": 4.4}]
    assert find(claim, *clear).verdict == "holds"
    assert find(lower("a", than="b"), *clear).verdict == "reversed"
    noisy = find(claim, {"a": 5.0, "b": 4.0}, {"a": 5.0, "b": 5.5}, {"a": 5.0, "b": 4.2})
    assert noisy.verdict == "not resolved"
    assert noisy.runs_needed is not None
    assert noisy.runs_needed > 3


@given(st.lists(st.tuples(st.floats(1, 99), st.floats(1, 99)), min_size=2, max_size=6))
def test_a_claim_and_its_opposite_never_both_hold(pairs: list[tuple[float, float]]) -> None:
    seeds = [{"a": a, "b": b} for a, b in pairs]
    opposite = {"holds": "reversed", "reversed": "holds", "not resolved": "not resolved"}
    one, other = (find(lower(*arms), *seeds) for arms in (("a", "b"), ("b", "a")))
    assert other.verdict == opposite[one.verdict]
    ratio, inverse = (find(slower("x", *arms), *seeds) for arms in (("a", "b"), ("b", "a")))
    assert inverse.verdict == opposite[ratio.verdict]
    assert ratio.ours is not None
    assert inverse.ours is not None
    assert ratio.ours.mean * inverse.ours.mean == pytest.approx(1)


def test_equivalence_takes_the_whole_interval() -> None:
    claim = equivalent("a and b", "a", "b", margin=1.0)
    near = [{"a": 5.0, "b": 5.1}, {"a": 6.0, "b": 5.9}, {"a": 5.5, "b": 5.6}]
    assert find(claim, *near).verdict == "holds"
    assert find(claim, *({"a": s["a"], "b": s["b"] + 3} for s in near)).verdict == "reversed"
    assert find(claim, {"a": 5.0, "b": 5.9}, {"a": 5.0, "b": 4.1}).verdict == "not resolved"


def test_the_recommended_runs_show_that_equal_arms_are_equivalent_in_four_of_five_cases() -> None:
    claim, random = equivalent("a and b", "a", "b", margin=1.0), np.random.default_rng(0)
    seen = find(claim, {"a": 5.0, "b": 6.2}, {"a": 5.0, "b": 3.8})
    assert seen.ours is not None
    assert seen.runs_needed is not None
    drawn = random.normal(0, seen.ours.deviation, (2000, seen.runs_needed))
    held = [claim.evaluate({}, [{"a": 0.0, "b": value} for value in row]).verdict for row in drawn]
    assert 0.77 < held.count("holds") / len(held) < 0.88


def test_non_inferiority_allows_its_margin() -> None:
    tie = [{"a": 5.0, "b": 5.1}, {"a": 6.0, "b": 5.9}, {"a": 5.5, "b": 5.6}]
    assert find(lower("a", than="b"), *tie).verdict == "not resolved"
    assert find(non_inferior("a is no worse", "a", "b", 0.5), *tie).verdict == "holds"
    worse = [{"a": seed["a"] + 2, "b": seed["b"]} for seed in tie]
    assert find(non_inferior("a is no worse", "a", "b", 0.5), *worse).verdict == "reversed"


def test_there_is_no_verdict_before_the_planned_runs_are_done() -> None:
    clear = [{"a": 5.0, "b": 4.0}, {"a": 6.0, "b": 5.1}, {"a": 5.5, "b": 4.4}]
    claim = lower("b", than="a")
    assert claim.evaluate({}, clear, planned=3).verdict == "holds"
    assert claim.evaluate({}, clear, planned=4).verdict == "not finished"
    assert claim.evaluate({}, clear, planned=5, lost=1).verdict == "not finished"
    assert claim.evaluate({}, clear, planned=4, lost=1).verdict == "diverged"
    assert claim.evaluate({}, [], planned=2, lost=2).verdict == "diverged"
    assert claim.evaluate({}, [], planned=2, lost=1).verdict == "not run"


def test_decreases_is_the_slope_of_the_line_through_all_arms() -> None:
    along = doublings(["1x64d", "2x40d", "101 layers 4x24d", "32x4d"])
    assert list(along.values()) == [0, 1, 2, 5]
    errors = dict(zip(along, (23.9, 23.0, 22.6, 22.2), strict=True))
    slope = np.polyfit(list(along.values()), list(errors.values()), 1)[0]
    assert decreases("x", along).effect(errors) == pytest.approx(-slope)


def test_an_interaction_does_not_see_what_both_share() -> None:
    claim = interaction("x", ("a", "a without"), ("b", "b without"))
    of = {"a": 20.0, "a without": 27.0, "b": 18.0, "b without": 22.0}
    assert claim.effect(of) == 3.0
    assert claim.effect({name: value + 5 for name, value in of.items()}) == 3.0
