"""The head of a network by itself: multinomial logistic regression on features that do not change.

The loss is the mean cross entropy over the rows, plus half of a penalty times the squared weights of the
standardised features; biases are free. The same as `LogisticRegression(C=1 / (penalty * rows))` of
scikit-learn after its `StandardScaler`, but at constant memory: features may lie in a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

#: Penalties that are tried, the largest first: each fit starts from the one before.
PENALTIES = tuple(10.0 ** (1 - half / 2) for half in range(11))
#: Rows that are computed with at once, and how many bytes of them are kept in double precision.
CHUNK_ROWS, KEPT_BYTES = 4096, 2**31
#: Most iterations of L-BFGS, and the largest component of the gradient at which it has converged.
MAX_ITERATIONS, GRADIENT = 500, 1e-6
#: Standard deviation below which a feature is taken for constant.
LEAST_STD = 1e-9


@dataclass(frozen=True)
class Head:
    """A linear layer from features to logits: weight (classes, features) and bias (classes,), float32."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: NDArray[np.float32]) -> Tensor:
        """Logits (N, classes) of features (N, features)."""
        return F.linear(torch.from_numpy(np.array(features)), self.weight, self.bias)

    def measure(self, features: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[float, float]:
        """Mean cross entropy, and top-1 error in percent, on features (N, features) with labels (N,)."""
        loss, wrong = 0.0, 0
        for start in range(0, len(labels), CHUNK_ROWS):
            logits = self.logits(features[start : start + CHUNK_ROWS])
            truth = torch.from_numpy(labels[start : start + CHUNK_ROWS])
            loss += F.cross_entropy(logits, truth, reduction="sum").item()
            wrong += int((logits.argmax(1) != truth).sum())
        return loss / len(labels), 100 * wrong / len(labels)


def fit_heads(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    classes: int,
    class_weights: NDArray[np.float32] | None = None,
    penalties: Sequence[float] = PENALTIES,
) -> Iterator[tuple[float, Head]]:
    """Fit a head with each of `penalties`, by L-BFGS in double precision, and yield it with its penalty.

    Args:
        features: float32 (N, features); a file that is mapped into memory will do.
        labels: Class of each row, int64 (N,).
        classes: Number of classes.
        class_weights: (classes,) weights of the loss.
        penalties: Positive, from large to small.

    >>> random = np.random.default_rng(0)
    >>> labels = np.arange(60) % 3
    >>> features = (np.eye(3)[labels] + random.normal(0, 0.1, (60, 3))).astype(np.float32)
    >>> penalty, head = list(fit_heads(features, labels, classes=3))[-1]
    >>> penalty, head.measure(features, labels)[1]
    (0.0001, 0.0)
    """
    from scipy.optimize import minimize  # it takes a while to import

    objective = _Objective(features, labels, classes, class_weights)
    for penalty in penalties:
        found = minimize(
            objective,
            objective.prepare(penalty),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": MAX_ITERATIONS, "gtol": GRADIENT, "ftol": 64 * np.finfo(float).eps},
        )
        yield penalty, objective.settle(found.x)


class _Objective:
    """The loss and its gradient as functions of the weights of standardised features and the biases.

    Features of a network go together, so that L-BFGS would take hundreds of iterations. The weights are
    therefore given as `values`, on axes in which the curvature of the loss is about 1 in all directions: by
    the Cholesky factor of the covariance, times the mean slope of the softmax, plus the penalty.
    """

    def __init__(
        self,
        features: NDArray[np.float32],
        labels: NDArray[np.int64],
        classes: int,
        class_weights: NDArray[np.float32] | None,
    ) -> None:
        self.features, self.classes = features, classes
        rows, self.width = features.shape
        self._kept: list[Tensor] = []
        self._keeps = KEPT_BYTES // (8 * self.width)
        self.labels = torch.split(torch.from_numpy(np.array(labels)), CHUNK_ROWS)
        weights = np.ones(classes) if class_weights is None else class_weights
        shares = torch.from_numpy(np.asarray(weights, np.float64))[torch.cat(self.labels)] / rows
        self.shares = torch.split(shares, CHUNK_ROWS)
        self.mean, self.std = self._standardisation(rows)
        self.covariance = self._covariance()
        self.weight = torch.zeros(classes, self.width, dtype=torch.float64)
        self.bias = torch.zeros(classes, dtype=torch.float64)
        self.penalty: float
        self.factor: Tensor
        """Both are what `prepare` makes them."""

    def prepare(self, penalty: float) -> NDArray[np.float64]:
        """Take another penalty; returns the values of the weights so far, on its axes."""
        curvature = self._slope() * self.covariance
        curvature.diagonal().add_(penalty)
        self.penalty, self.factor = penalty, torch.linalg.cholesky(curvature)
        return torch.cat([(self.weight @ self.factor).ravel(), self.bias]).numpy()

    def settle(self, values: NDArray[np.float64]) -> Head:
        """Keep the weights that `values` mean; the head that takes features as they are."""
        self.weight, self.bias = (one.clone() for one in self._unpack(values))
        folded, offset = self._fold(self.weight, self.bias)
        return Head(folded.float(), offset.float())

    def __call__(self, values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weight, bias = self._unpack(values)
        penalty = self.penalty
        folded, offset = self._fold(weight, bias)
        loss, by_weight = penalty / 2 * weight.square().sum(), torch.zeros_like(weight)
        by_bias = torch.zeros_like(bias)
        for rows, labels, shares in zip(self._chunks(), self.labels, self.shares, strict=True):
            logs = (rows @ folded.T + offset).log_softmax(1)
            loss = loss - (shares * logs.gather(1, labels[:, None])[:, 0]).sum()
            slope = logs.exp()
            slope[torch.arange(len(labels)), labels] -= 1
            slope *= shares[:, None]
            by_weight += slope.T @ rows
            by_bias += slope.sum(0)
        by_weight = (by_weight - by_bias[:, None] * self.mean) / self.std + penalty * weight
        by_value = torch.linalg.solve_triangular(self.factor, by_weight.T, upper=False).T
        return loss.item(), torch.cat([by_value.ravel(), by_bias]).numpy()

    def _unpack(self, values: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """The weights of standardised features (classes, features) and the biases that `values` mean."""
        flat, bias = torch.split(torch.from_numpy(values), [self.classes * self.width, self.classes])
        on_axes = flat.view(self.classes, self.width)
        return torch.linalg.solve_triangular(self.factor, on_axes, upper=False, left=False), bias

    def _slope(self) -> Tensor:
        """Mean over rows and classes of p (1 - p), which the curvature of the loss is in proportion to."""
        folded, offset = self._fold(self.weight, self.bias)
        total = torch.zeros((), dtype=torch.float64)
        for rows in self._chunks():
            shares = (rows @ folded.T + offset).softmax(1)
            total += (shares * (1 - shares)).mean(1).sum()
        return total / len(self.features)

    def _covariance(self) -> Tensor:
        """Of the standardised features, (features, features)."""
        total = torch.zeros(self.width, self.width, dtype=torch.float64)
        for rows in self._chunks():
            standard = (rows - self.mean) / self.std
            total += standard.T @ standard
        return total / len(self.features)

    def _fold(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        folded = weight / self.std
        return folded, bias - folded @ self.mean

    def _standardisation(self, rows: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of each feature over all rows; 1 for one that is constant."""
        mean = torch.stack([chunk.sum(0) for chunk in self._chunks()]).sum(0) / rows
        squares = torch.stack([(chunk - mean).square().sum(0) for chunk in self._chunks()]).sum(0)
        std = (squares / rows).sqrt()
        return mean, torch.where(std < LEAST_STD, 1.0, std)

    def _chunks(self) -> Iterator[Tensor]:
        """The rows, chunk by chunk in double precision; the first ones are kept so."""
        for number, start in enumerate(range(0, len(self.features), CHUNK_ROWS)):
            if number < len(self._kept):
                yield self._kept[number]
                continue
            chunk = torch.from_numpy(self.features[start : start + CHUNK_ROWS].astype(np.float64))
            if start + CHUNK_ROWS <= self._keeps or start == 0:
                self._kept.append(chunk)
            yield chunk
