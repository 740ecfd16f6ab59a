"""Wrong labels are those of cleanlab on predictions of heads that had not seen the image."""

from __future__ import annotations

import numpy as np
import pytest

from resnext.doctor import ExaminedSet
from resnext.doctor.findings import manifest_rows
from resnext.doctor.labels import LabelIssues, find_issues, find_wrong_labels, predict_held_out
from resnext.progress import EventStream

cleanlab_filter = pytest.importorskip("cleanlab.filter")
cleanlab_count = pytest.importorskip("cleanlab.count")


def clusters(count: int, classes: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = np.arange(count) % classes
    centres = 3.2 * np.eye(classes, 12)
    return (centres[truth] + random.normal(0, 0.6, (count, 12))).astype(np.float32), truth


def test_planted_errors_are_found_as_cleanlab_finds_them() -> None:
    features, truth = clusters(600, 4)
    random = np.random.default_rng(1)
    planted = random.choice(600, 30, replace=False)
    labels = truth.copy()
    labels[planted] = (truth[planted] + random.integers(1, 4, 30)) % 4
    is_train = np.arange(600) % 5 != 0
    stream = EventStream(predict_held_out(features, labels, is_train, 4, folds=4))
    assert list(stream) == [(1, 5), (2, 5), (3, 5), (4, 5), (5, 5)]
    probabilities = stream.result
    assert probabilities.sum(1) == pytest.approx(np.ones(600), abs=1e-5)
    issues = find_issues(labels, probabilities)
    shares = probabilities.astype(np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    theirs = cleanlab_filter.find_label_issues(
        labels, shares, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    assert issues.ranked.tolist() == theirs.tolist()
    assert issues.estimate == cleanlab_count.num_label_issues(labels, shares)
    found = set(issues.ranked.tolist())
    assert len(found & set(planted.tolist())) >= 0.8 * len(planted)
    assert len(found - set(planted.tolist())) <= 0.1 * len(found)


def test_no_image_is_judged_by_a_head_that_saw_it() -> None:
    """With features that name each image, a head that saw it would know its label, however wrong."""
    random = np.random.default_rng(0)
    features = np.eye(80, dtype=np.float32)
    labels = random.integers(0, 2, 80)
    stream = EventStream(predict_held_out(features, labels, np.ones(80, np.bool_), 2, folds=4))
    list(stream)
    chosen = stream.result.argmax(1)
    assert (chosen == labels).mean() < 0.7


def test_classes_without_images_are_left_out() -> None:
    probabilities = np.full((6, 3), 1 / 3, np.float32)
    labels = np.array([0, 0, 2, 2, 0, 2])
    assert len(find_issues(labels, probabilities).quality) == 6
    assert len(find_issues(np.zeros(6, np.int64), probabilities).ranked) == 0


def test_only_labels_that_are_surely_wrong_are_proposed_to_be_dropped() -> None:
    """Those that the model gives less than a fifth of what guessing gives: a weak model suspects many right
    labels."""
    examined = ExaminedSet.read("digits")
    labels, classes = examined.labels, len(examined.classes)
    given = np.array([0.019, 0.021, 0.3, 0.001])
    probabilities = np.zeros((4, classes), np.float32)
    others = (labels[:4] + 1) % classes
    probabilities[np.arange(4), labels[:4]], probabilities[np.arange(4), others] = given, 1 - given
    issues = LabelIssues(np.array([3, 0, 1, 2]), given, 4)
    found = list(find_wrong_labels(examined, np.arange(4), probabilities, issues))
    assert [one.to for one in found] == [examined.classes[others[place]] for place in issues.ranked]
    rows = list(manifest_rows(found, examined))
    assert [row.split for row in rows] == ["train"] * 4
    assert [row.action for row in rows] == ["drop", "keep", "keep", "drop"]
