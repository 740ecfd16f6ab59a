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
from resnext.metrics import Confusion, Outcomes, reliability, score

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
