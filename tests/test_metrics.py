"""Scores against their definitions in numpy."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from resnext import metrics as our_metrics
from resnext.metrics import Confusion, Outcomes, RiskCoverage, majority_rate, reliability, score
from resnext.statistics import Rate, wilson

RNG = np.random.default_rng(0)


def test_scores_are_their_definitions() -> None:
    classes = tuple("abcdefgh")
    probabilities = RNG.dirichlet(np.ones(8), 300).astype(np.float32)
    labels = RNG.integers(0, 7, 300)  # no image is an h
    scores = score(probabilities, labels, classes)
    predicted = probabilities.argmax(1)
    rank = (probabilities > probabilities[np.arange(300), labels][:, None]).sum(1)
    assert scores.count == 300
    assert scores.top1_error == pytest.approx(100 * np.mean(rank >= 1))
    assert scores.top5_error == pytest.approx(100 * np.mean(rank >= 5))
    assert scores.loss == pytest.approx(-np.log(probabilities[np.arange(300), labels]).mean(), rel=1e-5)
    for i, row in enumerate(scores.classes):
        right = np.sum((predicted == i) & (labels == i))
        precision, count = right / max(1, np.sum(predicted == i)), np.sum(labels == i)
        recall = right / max(1, count)
        assert (row.name, row.count) == (classes[i], count)
        assert (row.precision, row.recall) == (pytest.approx(precision), pytest.approx(recall))
        assert row.f1 == pytest.approx(2 * precision * recall / max(1e-9, precision + recall))


def test_five_classes_or_fewer_have_no_top_5() -> None:
    scores = score(np.eye(5, dtype=np.float32), np.arange(5), tuple("abcde"))
    assert scores.top5_error is None
    assert scores.top1_error == 0
    assert np.isfinite(scores.loss)


@given(st.integers(0, 999), st.integers(2, 9), st.integers(1, 40))
def test_scores_are_those_of_scikit_learn(seed: int, count: int, images: int) -> None:
    """Few images, so that most draws leave classes without images or without predictions."""
    random = np.random.default_rng(seed)
    rows = random.dirichlet(np.ones(count), images).astype(np.float32)
    labels, every = random.integers(0, count, images), np.arange(count)
    predicted = rows.argmax(1)
    scores = score(rows, labels, tuple(map(str, every)))
    assert scores.top1_error == pytest.approx(100 * (1 - metrics.accuracy_score(labels, predicted)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about predicted classes without images
        balanced = metrics.balanced_accuracy_score(labels, predicted)
    assert scores.balanced_error == pytest.approx(100 * (1 - balanced), abs=1e-9)
    assert (scores.top5_error is None) == (count <= 5)
    if scores.top5_error is not None:
        order = np.argsort(-rows, axis=1)[:, :5]
        assert scores.top5_error == pytest.approx(100 * np.mean((order != labels[:, None]).all(1)))
    report = metrics.classification_report(
        labels, predicted, labels=every, target_names=list(map(str, every)), output_dict=True, zero_division=0
    )
    for row in scores.classes:
        theirs = report[row.name]
        assert (row.precision, row.recall, row.f1) == pytest.approx(
            (theirs["precision"], theirs["recall"], theirs["f1-score"])
        )
        assert row.count == np.sum(labels == int(row.name))
    assert json.loads(json.dumps(scores.to_json()))["count"] == images


def test_a_certain_wrong_prediction_has_a_large_finite_loss() -> None:
    loss = score(np.eye(3, dtype=np.float32), np.array([1, 2, 0]), tuple("abc")).loss
    assert 30 < loss < 40  # -log of float64's precision: still a number, so means stay meaningful


def test_the_calibration_error_is_scikit_learn_s() -> None:
    from sklearn.calibration import calibration_curve

    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet([0.5] * 4, 3000).astype(np.float32)
    labels = np.array([rng.choice(4, p=row / row.sum()) for row in probabilities.astype(np.float64)])
    ours = reliability(Outcomes.of(probabilities, labels), bins=10)
    right, confidence = probabilities.argmax(1) == labels, probabilities.max(1)
    accuracy, mean = calibration_curve(right, confidence, n_bins=10)
    assert np.allclose([one.accuracy for one in ours.bins], accuracy)
    assert np.allclose([one.confidence for one in ours.bins], mean)
    assert sum(one.count for one in ours.bins) == 3000
    assert ours.ece < 0.03  # the labels were drawn as the probabilities say
    always_wrong = Outcomes.of(probabilities, (probabilities.argmax(1) + 1) % 4)
    assert reliability(always_wrong).ece == pytest.approx(confidence.mean(), abs=1e-6)


@given(st.integers(0, 999), st.integers(6, 12), st.integers(2, 40))
def test_loss_and_top_5_are_scikit_learn_s_to_the_bit(seed: int, count: int, images: int) -> None:
    """Also where probabilities are equal, and however many rows are looked at together."""
    random = np.random.default_rng(seed)
    rows = np.round(random.dirichlet(np.ones(count), images) * random.choice([8, 2**20])) + 1e-9
    rows = rows.astype(np.float32)
    labels, every = random.integers(0, count, images), np.arange(count)
    exact = rows.astype(np.float64) / rows.astype(np.float64).sum(1, keepdims=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(our_metrics, "BLOCK_VALUES", count * int(random.integers(1, images + 1)))
        scores = score(rows, labels, tuple(map(str, every)))
    assert scores.loss == metrics.log_loss(labels, exact, labels=every)
    top5 = metrics.top_k_accuracy_score(labels, exact, k=5, labels=every)
    assert scores.top5_error == 100 * (1 - top5)


@given(st.integers(0, 999), st.integers(2, 9), st.integers(1, 40))
def test_the_confusion_is_scikit_learn_s(seed: int, count: int, images: int) -> None:
    random = np.random.default_rng(seed)
    rows, labels = random.dirichlet(np.ones(count), images), random.integers(0, count, images)
    confusion = Confusion.of(Outcomes.of(rows.astype(np.float32), labels), count)
    expected = metrics.confusion_matrix(labels, rows.argmax(1), labels=range(count))
    assert np.array_equal(confusion.matrix(), expected)
    mistakes = list(confusion.mistakes())
    assert {(i, j): n for i, j, n in mistakes} == {
        (i, j): expected[i, j] for i, j in np.argwhere(expected).tolist() if i != j
    }
    assert [n for *_, n in mistakes] == sorted((n for *_, n in mistakes), reverse=True)


def test_every_rate_has_its_interval_in_the_json() -> None:
    rows, labels = RNG.dirichlet(np.ones(10), 200).astype(np.float32), RNG.integers(0, 9, 200)
    value = json.loads(json.dumps(score(rows, labels, tuple("abcdefghij")).to_json()))
    right = rows.argmax(1) == labels
    low, high = wilson(int(right.sum()), 200)
    assert value["top1_error_interval"] == pytest.approx([100 * (1 - high), 100 * (1 - low)])
    within = (np.argsort(-rows, axis=1)[:, :5] == labels[:, None]).any(1).sum()
    low, high = wilson(int(within), 200)
    assert value["top5_error_interval"] == pytest.approx([100 * (1 - high), 100 * (1 - low)])
    for i, row in enumerate(value["classes"]):
        hits, predicted = int((right & (labels == i)).sum()), int((rows.argmax(1) == i).sum())
        assert row["predicted"] == predicted
        assert row["recall_interval"] == pytest.approx(wilson(hits, int((labels == i).sum())))
        assert row["precision_interval"] == pytest.approx(wilson(hits, predicted))


def test_top_5_of_fewer_than_ten_classes_is_no_rate() -> None:
    for count, is_rate in ((5, False), (9, False), (10, True)):
        scores = score(np.eye(count, dtype=np.float32), np.arange(count), tuple("abcdefghij"[:count]))
        assert (scores.top5 is not None) == is_rate
        assert ("top5_error_interval" in scores.to_json()) == (count > 5)  # as `top5_error` itself


def drawn(images: int, steepness: float, seed: int) -> tuple[Outcomes, float]:
    """Outcomes of a network whose logits are too large by a factor, and their true calibration error."""
    random = np.random.default_rng(seed)
    confidence = random.beta(5, 2, images).clip(0.51, 0.999)
    truth = 1 / (1 + np.exp(-np.log(confidence / (1 - confidence)) / steepness))
    rows = np.stack([confidence, 1 - confidence], 1).astype(np.float32)
    edges = np.minimum((confidence * 15).astype(int), 14)
    gaps = np.bincount(edges, truth - confidence, minlength=15)
    labels = (random.random(images) >= truth).astype(np.int64)
    return Outcomes.of(rows, labels), float(np.abs(gaps).sum() / images)


@pytest.mark.parametrize(("images", "steepness"), [(400, 1.0), (3000, 1.0), (3000, 1.5)])
def test_the_interval_of_the_calibration_error_holds_the_true_error(images: int, steepness: float) -> None:
    """At 95 % nominally; the plain quantiles of the bootstrap hold an error of 0 never. A calibrated network
    is told from chance once in twenty sets of images."""
    true = drawn(500_000, steepness, 99)[1]
    each = [reliability(drawn(images, steepness, seed)[0]) for seed in range(40)]
    assert np.mean([one.interval[0] <= true <= one.interval[1] for one in each]) >= 0.88
    resolved = np.mean([one.is_resolved for one in each])
    assert resolved <= 0.12 if steepness == 1 else resolved >= 0.9
    assert each[0].interval == reliability(drawn(images, steepness, 0)[0]).interval  # has its own seed


def test_the_interval_of_the_calibration_error_is_that_of_resampled_images() -> None:
    outcomes = drawn(2000, 2.0, 0)[0]
    ours, random, errors = reliability(outcomes), np.random.default_rng(0), []
    for _ in range(1000):
        own = random.integers(0, 2000, 2000)
        errors.append(reliability(Outcomes(*(values[own] for values in vars(outcomes).values()))).ece)
    high, low = 2 * ours.ece - np.quantile(errors, (0.025, 0.975))
    assert ours.interval == pytest.approx((low, high), abs=0.003)
    assert ours.is_resolved


def test_too_few_images_do_not_tell_a_calibration_error() -> None:
    one = reliability(Outcomes.of(np.array([[0.9, 0.1]] * 3, np.float32), np.array([0, 0, 1])))
    assert not one.is_resolved
    assert one.interval[0] == 0
    assert one.interval[1] >= one.ece
    certain = reliability(Outcomes.of(np.array([[0.4, 0.3, 0.3]] * 6, np.float32), np.zeros(6, np.int64)))
    low, high = certain.interval  # of six that are all right
    assert high - low > 0.1


@given(st.integers(0, 999), st.integers(1, 60), st.sampled_from([4, 2**20]))
def test_accuracy_against_share_answered_is_its_definition(seed: int, images: int, levels: int) -> None:
    """By brute force over all thresholds, also where many images are equally sure."""
    random = np.random.default_rng(seed)
    confidence = (1 + np.round(random.random(images) * levels) / levels) / 2
    rows = np.stack([confidence, 1 - confidence], 1).astype(np.float32)
    outcomes = Outcomes.of(rows, random.integers(0, 2, images))
    curve = RiskCoverage.of(outcomes)
    thresholds = sorted({*outcomes.confidence.tolist()}, reverse=True)
    answered = [outcomes.confidence >= threshold for threshold in thresholds]
    assert curve.threshold.tolist() == thresholds
    assert curve.coverage == pytest.approx([some.mean() for some in answered])
    assert curve.accuracy == pytest.approx([outcomes.correct[some].mean() for some in answered])
    assert curve.at(1.0) == (Rate(int(outcomes.correct.sum()), images), thresholds[-1])
    for share in (0.5, 0.8):
        fits = [some for some in answered if some.mean() <= share + 1e-9]
        point = curve.at(share)
        assert (point is None) == (fits == [])
        if point is not None:
            assert point[0] == Rate(int(outcomes.correct[fits[-1]].sum()), int(fits[-1].sum()))
            assert point[1] == outcomes.confidence[fits[-1]].min()


def test_the_most_frequent_class_of_training_is_the_baseline() -> None:
    labels = np.array([0, 0, 0, 1, 2, 2])
    for counts, right in (((1, 9, 3), 1), ((9, 1, 3), 3), ((1, 7, 7), 2)):
        rate = majority_rate(labels, counts)
        assert rate is not None
        assert (rate.successes, rate.n) == (right, 6)
    assert majority_rate(labels, ()) is None
