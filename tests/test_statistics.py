"""Intervals and tests, against scipy and against what they promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from resnext.statistics import (
    MAX_WIDTH,
    MIN_RUNS_TO_RESAMPLE,
    Rate,
    bootstrap_difference,
    crossed_bootstrap,
    holm,
    interval,
    p_value,
    paired_test,
    pooled_deviation,
    runs_to_resolve,
    wilson,
)


def test_the_interval_is_student_s() -> None:
    values = [22.4, 21.9, 23.0, 22.2]
    theirs = stats.ttest_1samp(values, 0.0).confidence_interval(0.9)
    ours = interval(values, 0.9)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert (ours.mean, ours.deviation, ours.n) == pytest.approx((np.mean(values), np.std(values, ddof=1), 4))


def test_the_p_value_is_student_s() -> None:
    values = [22.4, 21.9, 23.0, 22.2]
    ours = interval(values)
    theirs = stats.ttest_1samp(values, 22.0).pvalue
    assert p_value(ours.mean - 22.0, ours.deviation, ours.n) == pytest.approx(theirs)
    touching = interval(values, 1 - theirs)
    assert touching.low == pytest.approx(22.0)
    assert p_value(1.0, math.nan, 1) is p_value(1.0, 1.0, 1) is p_value(1.0, math.nan, 3) is None
    assert p_value(3.0, math.sqrt(2), 2) == pytest.approx(2 * stats.t.sf(3.0, 1))
    assert [p_value(distance, 0.0, 3) for distance in (1.0, -1.0, 0.0)] == [0.0, 0.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_s_correction_is_its_procedure(p_values: list[float]) -> None:
    """Step by step: the smallest against the level over all, the next against the level over the rest."""
    for level in (0.05, 0.3):
        rejected: set[int] = set()
        for i in sorted(range(len(p_values)), key=lambda i: p_values[i]):
            if p_values[i] * (len(p_values) - len(rejected)) > level:
                break
            rejected.add(i)
        adjusted = holm(p_values)
        assert {i for i, p in enumerate(adjusted) if p <= level} == rejected
    assert all(p <= a <= 1 for a, p in zip(adjusted, p_values, strict=True))


def test_groups_share_a_deviation() -> None:
    """As in an analysis of variance; a group of one says nothing of it."""
    groups = [[1.0, 2.0, 4.0], [7.0, 7.5], [3.0]]
    squares = sum(np.var(own) * len(own) for own in groups)
    assert pooled_deviation(groups) == (pytest.approx(math.sqrt(squares / 3)), 3)
    assert pooled_deviation([*groups, []]) == pooled_deviation(groups)
    nothing, freedom = pooled_deviation([[1.0]])
    assert (math.isnan(nothing), freedom) == (True, 0)


def test_the_crossed_bootstrap_covers_other_runs_and_other_images() -> None:
    """By the standard deviation of a mean of five runs on 300 images, each with an effect of its own."""
    rng = np.random.default_rng(1)
    widths, runs, images = [], 5, 300
    for seed in range(30):
        values = (
            rng.normal(0, 0.2, (runs, 1)) + rng.normal(0, 2.0, (1, images)) + rng.normal(0, 1, (runs, images))
        )
        low, high = crossed_bootstrap(values, draws=400, seed=seed)
        assert low < values.mean() < high
        widths.append((high - low) / 2 / 1.96)
    truth = math.sqrt(0.2**2 / runs + 2.0**2 / images + 1 / (runs * images))
    assert np.mean(widths) == pytest.approx(truth, rel=0.2)
    (low, high), narrow = crossed_bootstrap(values), crossed_bootstrap(values, confidence=0.5)
    assert low < narrow[0] < narrow[1] < high


def test_two_runs_are_widened_to_what_other_runs_vary_by() -> None:
    """Runs that lie 1 above and 1 below their mean, whatever the image: a resample of them is 1 off in half
    of the draws, and its part is widened by the root of n / (n - 1)."""
    values = np.array([[4.0], [6.0]]).repeat(50, axis=1)
    root = pytest.approx(math.sqrt(2))
    for confidence, reaches in ((0.95, True), (0.6, True), (0.4, False)):
        low, high = crossed_bootstrap(values, confidence)
        assert (5 - low, high - 5) == ((root, root) if reaches else (0, 0))
    one = np.random.default_rng(0).normal(0, 1, (1, 400))
    low, high = crossed_bootstrap(one)
    theirs = stats.bootstrap((one[0],), np.mean, method="percentile", rng=0).confidence_interval
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.02)


def test_the_same_call_gives_the_same_interval() -> None:
    """2000 draws from seed 0, unless others are asked for."""
    values = np.random.default_rng(0).normal(0, 1, (3, 40))
    assert crossed_bootstrap(values) == crossed_bootstrap(values, 0.95, 2000, 0)
    assert crossed_bootstrap(values) != crossed_bootstrap(values, seed=1)
    first, second = values > 0, values > 0.5
    assert bootstrap_difference(first, second) == bootstrap_difference(first, second, 2000, 0)
    assert bootstrap_difference(first, second) != bootstrap_difference(first, second, seed=1)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """Of three normal values, 95 % of the time: the normal interval would at 86 %."""
    draws = np.random.default_rng(0).normal(7.0, 2.0, (2000, 3))
    held = [one.low < 7.0 < one.high for one in map(interval, draws)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.015)


def test_one_value_shows_nothing() -> None:
    one = interval([3.0])
    assert (one.mean, one.n, one.confidence) == (3.0, 1, 0.95)
    assert math.isnan(one.deviation)
    assert (one.low, one.high) == (-math.inf, math.inf)
    assert runs_to_resolve(1.0, one.deviation) is None


def test_so_many_runs_resolve_as_often_as_promised() -> None:
    """Drawn at the distance, that many runs leave out the point four times in five; half as many do not."""
    rng = np.random.default_rng(3)
    for distance, deviation, confidence in ((1.0, 1.0, 0.95), (0.5, 1.0, 0.95), (1.0, 1.2, 0.99)):
        n = runs_to_resolve(distance, deviation, confidence)
        assert n is not None

        shares = []
        for runs in (n, n // 2):
            draws = rng.normal(distance, deviation, (2000, runs))
            shares.append(np.mean([interval(values.tolist(), confidence).low > 0 for values in draws]))
        assert shares[0] == pytest.approx(0.8, abs=0.05)
        assert shares[1] < 0.6


def test_so_many_runs_are_the_fewest() -> None:
    """The distance must exceed the reach of the interval and the mean's own spread; tried one by one."""

    def needed(n: int, power: float) -> float:
        return (stats.t.ppf(0.975, n - 1) + stats.t.ppf(power, n - 1)) / math.sqrt(n)

    for distance in (20.0, 5.0, 1.3, 0.7, 0.4):
        for power in (0.8, 0.6):
            fewest = next(n for n in range(2, 1000) if needed(n, power) < distance)
            assert runs_to_resolve(3 * distance, 3.0, power=power) == fewest
    assert runs_to_resolve(1.0, 0.0) == 2
    assert runs_to_resolve(0.0, 0.0) is runs_to_resolve(-1.0, 1.0) is None
    most = needed(10_000, 0.8)
    assert runs_to_resolve(most * (1 + 1e-7), 1.0) == 10_000
    assert runs_to_resolve(most * (1 - 1e-7), 1.0) is None


@given(st.floats(0.05, 5), st.floats(0.05, 5))
def test_more_distance_takes_fewer_runs(distance: float, deviation: float) -> None:
    near, far = runs_to_resolve(distance, deviation), runs_to_resolve(2 * distance, deviation)
    assert near is None or (far is not None and far <= near)
    assert runs_to_resolve(0.0, deviation) is None


def test_the_bootstrap_of_one_pair_is_scipy_s() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(800) < 0.6
    second = np.where(rng.random(800) < 0.3, rng.random(800) < 0.8, first)
    ours = bootstrap_difference(first[None], second[None])
    differences = second.astype(float) - first
    theirs = stats.bootstrap((differences,), np.mean, method="percentile", rng=rng).confidence_interval
    assert ours.difference == pytest.approx(100 * differences.mean())
    assert (ours.low, ours.high) == pytest.approx((100 * theirs.low, 100 * theirs.high), abs=0.3)


def test_many_runs_that_disagree_widen_the_bootstrap_and_few_do_not() -> None:
    """The same images, once with runs that come out alike and once with runs that do not."""
    rng = np.random.default_rng(2)
    for runs, widens in ((MIN_RUNS_TO_RESAMPLE, True), (3, False)):
        first = np.tile(rng.random(500) < 0.5, (runs, 1))
        alike = np.stack([first[0] | (rng.random(500) < 0.1) for _ in range(runs)])
        shares = np.linspace(0, 0.2, runs)
        apart = np.stack([first[0] | (rng.random(500) < share) for share in shares])
        narrow, wide = bootstrap_difference(first, alike), bootstrap_difference(first, apart)
        assert (wide.high - wide.low > 1.4 * (narrow.high - narrow.low)) == widens


def test_the_paired_test_is_a_fair_coin_s() -> None:
    first = np.array([True] * 10 + [False] * 10)
    second = np.array([True] * 8 + [False] * 2 + [True] * 7 + [False] * 3)
    test = paired_test(first, second)
    assert (test.better, test.worse) == (7, 2)
    assert test.p == pytest.approx(2 * sum((36, 9, 1)) / 2**9)
    assert paired_test(first, first).p == paired_test(first, ~first).p == 1.0


@pytest.mark.parametrize(
    ("successes", "n"), [(0, 1), (1, 1), (0, 20), (9, 10), (81, 263), (540, 540), (3, 7)]
)
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_the_interval_of_a_rate_is_wilson_s(successes: int, n: int, confidence: float) -> None:
    theirs = stats.binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert wilson(successes, n, confidence) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


def test_rates_as_published() -> None:
    """Newcombe 1998, Statistics in Medicine 17, 857-872, table I, method 3."""
    published = {(81, 263): (0.2553, 0.3662), (15, 148): (0.0624, 0.1605), (0, 20): (0, 0.1611)}
    published[1, 29] = 0.0061, 0.1718
    for (successes, n), ends in published.items():
        assert wilson(successes, n) == pytest.approx(ends, abs=5e-5)
    assert wilson(0, 0) == (0, 1)
    assert all(wilson(0, n)[0] == 0 and wilson(n, n)[1] == 1 for n in range(1, 200))


@given(st.integers(0, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_a_rate_is_told_where_its_interval_is_narrow(counts: tuple[int, int]) -> None:
    rate = Rate(*counts)
    low, high = rate.interval
    assert (low, high) == wilson(*counts)
    assert rate.n == 0 or low <= rate.share <= high
    assert rate.is_resolved == (high - low <= MAX_WIDTH)
    assert rate.is_resolved or rate.n < 12  # from 12 images on, every rate is told


def test_rates_for_people() -> None:
    assert (Rate(9, 10).share, Rate(0, 0).share) == (0.9, 0)
    assert Rate(9, 10).interval_text == "59.6 to 98.2 %"
    assert Rate(1, 2).interval_text == "too few images to tell: 9.5 to 90.5 %"
    half = Rate(1, 2)
    vars(half)["interval"] = (0.25, 0.25 + MAX_WIDTH)  # no counts give just this width
    assert half.is_resolved
