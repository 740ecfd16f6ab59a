"""Scores against their definitions in numpy."""

from __future__ import annotations

import numpy as np
import pytest

from resnext.metrics import score

RNG = np.random.default_rng(0)


def test_scores_are_their_definitions() -> None:
    classes = tuple("abcdefgh")
    probabilities = RNG.dirichlet(np.ones(8), 300).astype(np.float32)
    labels = RNG.integers(0, 7, 300)  # nothing is an h
    scores = score(probabilities, labels, classes)
    answers = probabilities.argmax(1)
    rank = (probabilities > probabilities[np.arange(300), labels][:, None]).sum(1)
    assert scores.count == 300
    assert scores.top1_error == pytest.approx(100 * np.mean(rank >= 1))
    assert scores.top5_error == pytest.approx(100 * np.mean(rank >= 5))
    assert scores.loss == pytest.approx(-np.log(probabilities[np.arange(300), labels]).mean(), rel=1e-5)
    for i, row in enumerate(scores.classes):
        right = np.sum((answers == i) & (labels == i))
        precision, count = right / max(1, np.sum(answers == i)), np.sum(labels == i)
        recall = right / max(1, count)
        assert (row.name, row.count) == (classes[i], count)
        assert (row.precision, row.recall) == (pytest.approx(precision), pytest.approx(recall))
        assert row.f1 == pytest.approx(2 * precision * recall / max(1e-9, precision + recall))


def test_five_classes_or_fewer_have_no_top_5() -> None:
    scores = score(np.eye(5, dtype=np.float32), np.arange(5), tuple("abcde"))
    assert scores.top5_error is None
    assert scores.top1_error == 0
    assert np.isfinite(scores.loss)
