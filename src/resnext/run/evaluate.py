"""Judging a classifier on one split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import BadPicture, DataError, readable
from resnext.data.pictures import Pictures
from resnext.engine import Classifier, ModelError, Views
from resnext.metrics import Scores, score
from resnext.training.distribution import Group
from resnext.training.loop import Diverged

OnBad = Literal["fail", "skip"]
ON_BAD: tuple[OnBad, ...] = ("fail", "skip")


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
    group: Group | None = None,
) -> Evaluation:
    """Every picture once, shared by the processes of `group`, all of which return the same.

    Raises `BadPicture` unless `on_bad` is "skip"; `Diverged` for a useless network; `ModelError` for `views`
    or an `on_bad` that there are not.
    """
    if on_bad not in ON_BAD:
        raise ModelError(f"--on-bad {on_bad}: must be one of {', '.join(ON_BAD)}")
    group = group or Group()
    answered = []
    done = 0
    for answers in classifier.classify(
        pictures, workers=workers, views=views, share=(group.rank, group.size)
    ):
        answered.append(answers)
        done += len(answers.indices) + len(answers.bad)
        if answers.bad and on_bad == "fail":
            break
        if progress is not None:
            progress(min(done * group.size, len(pictures)), len(pictures))
    everything = [answers for own in group.gather(answered) for answers in own]
    bad = sorted((error for answers in everything for error in answers.bad), key=lambda error: error.key)
    if bad and on_bad == "fail":
        raise bad[0]
    where = np.concatenate([np.empty(0, np.int64), *(answers.indices for answers in everything)])
    if len(where) == 0:
        raise DataError(f"{split}: not one of its {len(pictures)} pictures can be read")
    order = np.argsort(where)
    where = where[order]
    rows = np.concatenate([answers.probabilities for answers in everything])[order]
    labels = pictures.labels[where]
    if not np.isfinite(rows).all():
        raise Diverged(f"{split}: the network's answers are not finite: its weights have diverged")
    scores = score(rows, labels, classifier.contract.classes)
    keys = [readable(pictures.keys[i]) for i in where]
    return Evaluation(split, scores, keys, labels, rows, tuple(bad))
