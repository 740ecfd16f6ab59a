"""Judging a classifier on one split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import BadPicture, DataError
from resnext.data.pictures import Pictures, readable
from resnext.engine import Classifier, Views
from resnext.metrics import Scores, score
from resnext.training.loop import Diverged

OnBad = Literal["fail", "skip"]


@dataclass(frozen=True)
class Evaluation:
    """Scores over the pictures of `split` that could be read, with what they rest on.

    `probabilities` (N, classes) and `labels` (N,) belong to `keys`; `bad` are the pictures left out.
    """

    split: str
    scores: Scores
    keys: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    bad: tuple[BadPicture, ...] = ()

    def to_json(self) -> dict[str, Any]:
        bad = [{"key": error.key, "reason": error.reason} for error in self.bad]
        return {"split": self.split, "bad": bad} | self.scores.to_json()


def evaluate_pictures(
    classifier: Classifier,
    pictures: Pictures,
    split: str,
    on_bad: OnBad = "fail",
    workers: int = 0,
    views: Views = "one",
    progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Every picture once. Raises `BadPicture` unless `on_bad` is "skip"; `Diverged` for a useless network."""
    indices, probabilities = [], []
    bad: list[BadPicture] = []
    done = 0
    for answers in classifier.classify(pictures, workers=workers, views=views):
        if answers.bad and on_bad == "fail":
            raise answers.bad[0]
        bad += answers.bad
        indices.append(answers.indices)
        probabilities.append(answers.probabilities)
        done += len(answers.indices) + len(answers.bad)
        if progress is not None:
            progress(done, len(pictures))
    where = np.concatenate(indices) if indices else np.empty(0, np.int64)
    if len(where) == 0:
        raise DataError(f"{split}: not one of its {len(pictures)} pictures can be read")
    rows, labels = np.concatenate(probabilities), pictures.labels[where]
    if not np.isfinite(rows).all():
        raise Diverged(f"{split}: the network's answers are not finite: its weights have diverged")
    scores = score(rows, labels, classifier.contract.classes)
    keys = [readable(pictures.keys[i]) for i in where]
    return Evaluation(split, scores, keys, labels, rows, tuple(bad))
