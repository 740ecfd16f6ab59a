"""A head that is fitted by itself is the one that scikit-learn fits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from resnext.training import head as module
from resnext.training.head import PENALTIES, fit_heads

ROWS, WIDTH, CLASSES = 300, 12, 4


def some_features() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Of very different scales, one of them constant, of classes that overlap and are not of one size."""
    random = np.random.default_rng(0)
    labels = random.choice(CLASSES, ROWS, p=[0.5, 0.3, 0.15, 0.05])
    features = random.normal(0, 1, (CLASSES, WIDTH))[labels] + random.normal(0, 2, (ROWS, WIDTH))
    features = features * np.geomspace(1e-3, 1e3, WIDTH) + 5
    features[:, 3] = 0.25
    return features.astype(np.float32), labels.astype(np.int64)


@pytest.mark.parametrize("balanced", [False, True])
def test_heads_are_those_of_scikit_learn(balanced: bool) -> None:
    features, labels = some_features()
    counts = np.bincount(labels)
    weights = (ROWS / (CLASSES * counts)).astype(np.float32) if balanced else None
    for penalty, head in fit_heads(features, labels, CLASSES, weights):
        other = LogisticRegression(
            C=1 / (penalty * ROWS), class_weight="balanced" if balanced else None, tol=1e-8, max_iter=10_000
        )
        pipeline = make_pipeline(StandardScaler(), other).fit(features.astype(np.float64), labels)
        own = head.logits(features).double().softmax(1).numpy()
        np.testing.assert_allclose(own, pipeline.predict_proba(features.astype(np.float64)), atol=1e-3)
        scale = pipeline[0].scale_
        np.testing.assert_allclose(head.weight.numpy() * scale, other.coef_, atol=2e-3)


def test_smaller_penalties_fit_more_closely_and_rows_that_lie_in_a_file_fit_the_same(
    tmp_path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    features, labels = some_features()
    heads = list(fit_heads(features, labels, CLASSES))
    assert [penalty for penalty, _ in heads] == list(PENALTIES) == sorted(PENALTIES, reverse=True)
    losses = [head.measure(features, labels)[0] for _, head in heads]
    assert losses == sorted(losses, reverse=True)
    monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    monkeypatch.setattr(module, "KEPT_BYTES", 8 * WIDTH * 100)
    features.tofile(f"{tmp_path}/rows")
    mapped = np.memmap(f"{tmp_path}/rows", np.float32, "r", shape=features.shape)
    for (_, one), (_, other) in zip(heads, fit_heads(mapped, labels, CLASSES), strict=True):
        torch.testing.assert_close(one.logits(features), other.logits(features), atol=1e-3, rtol=1e-3)


def test_the_penalties_are_half_a_power_of_ten_apart() -> None:
    assert pytest.approx(np.logspace(1, -4, 11)) == PENALTIES


def test_the_axes_are_those_of_the_curvature() -> None:
    """Mean of p (1 - p) times the covariance of the standardised features, plus the penalty."""
    features, labels = some_features()
    objective = module._Objective(features, labels, CLASSES, None)
    deviation = features.astype(np.float64).std(axis=0)
    standard = (features - features.astype(np.float64).mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    covariance = standard.T @ standard / ROWS
    shares = np.full((ROWS, CLASSES), 1 / CLASSES)
    for penalty in (0.1, 0.003):
        objective.prepare(penalty)
        curvature = (shares * (1 - shares)).mean() * covariance + penalty * np.eye(WIDTH)
        np.testing.assert_allclose(objective.factor.numpy(), np.linalg.cholesky(curvature), atol=1e-5)
        head = objective.settle(np.random.default_rng(1).normal(0, 1, CLASSES * (WIDTH + 1)))
        shares = head.logits(features).double().softmax(1).numpy()


def test_the_first_rows_are_kept_as_far_as_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    """In double precision; at least one chunk."""
    features, labels = some_features()
    monkeypatch.setattr(module, "CHUNK_ROWS", 64)
    for rows, kept in ((128, 2), (127, 1), (1, 1), (ROWS + 64, 5)):
        monkeypatch.setattr(module, "KEPT_BYTES", 8 * WIDTH * rows)
        assert len(module._Objective(features, labels, CLASSES, None)._kept) == kept


def test_a_feature_is_constant_below_the_least_deviation(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.tile([[0.25, 1.0], [-0.25, 1.0]], (8, 1)).astype(np.float32)
    for least, deviation in ((0.25, 0.25), (0.26, 1.0)):
        monkeypatch.setattr(module, "LEAST_STD", least)
        objective = module._Objective(features, np.arange(16) % 2, 2, None)
        assert objective.std.tolist() == [deviation, 1.0]


def test_what_is_measured_is_the_cross_entropy_and_the_error() -> None:
    features, labels = some_features()
    _, head = next(fit_heads(features, labels, CLASSES))
    shares = head.logits(features).softmax(1).numpy()
    loss, error = head.measure(features, labels)
    assert loss == pytest.approx(-np.log(shares[np.arange(ROWS), labels]).mean(), rel=1e-5)
    assert error == pytest.approx(100 * (shares.argmax(1) != labels).mean())
