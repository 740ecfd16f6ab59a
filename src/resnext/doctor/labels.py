"""Labels that are probably wrong: confident learning (Northcutt, Jiang and Chuang, 2021) by `cleanlab`, on
predictions for images that the head had not seen.

The head of the model is fitted anew on its features: images of train are predicted by heads that were fitted
without them, those of val and test by one that was fitted on train.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.doctor.examined import ExaminedSet
from resnext.doctor.findings import DataFinding
from resnext.errors import PackageMissing
from resnext.names import printable
from resnext.training.head import PENALTIES, Head, fit_heads

#: An image is proposed to be dropped for its label if the model gives that less than this share of what
#: guessing gives each class. A model that is often wrong suspects many right labels: to drop them all costs
#: more than the wrong ones do.
SURE = 0.2


@dataclass(frozen=True)
class LabelIssues:
    """What confident learning says of some labels.

    Attributes:
        ranked: Places of the suspected ones, the likeliest to be wrong first, int64 (S,).
        quality: Probability that the model gives each label, from 0 to 1, float (N,).
        estimate: How many labels are wrong, estimated from the joint distribution of given and true labels.
    """

    ranked: NDArray[np.int64]
    quality: NDArray[np.float64]
    estimate: int


def load_cleanlab() -> Any:
    """The package `cleanlab`. Raises `PackageMissing`."""
    try:
        import cleanlab.count
        import cleanlab.filter
        import cleanlab.rank
    except ImportError:
        raise PackageMissing(
            "--model: labels are judged by the package cleanlab; pip install 'resnext[doctor]'"
        ) from None
    return cleanlab


def find_issues(labels: NDArray[np.int64], probabilities: NDArray[np.float32]) -> LabelIssues:
    """What `cleanlab` says of labels (N,), given probabilities (N, classes) of images that were held out.

    Classes without images are left out of what it is told.
    """
    cleanlab = load_cleanlab()
    present = np.unique(labels)
    own = np.searchsorted(present, labels)
    shares = probabilities[:, present].astype(np.float64)
    shares /= shares.sum(axis=1, keepdims=True)
    if len(present) < 2:
        return LabelIssues(np.empty(0, np.int64), np.ones(len(labels)), 0)
    ranked = cleanlab.filter.find_label_issues(
        own, shares, return_indices_ranked_by="self_confidence", n_jobs=1
    )
    quality = cleanlab.rank.get_label_quality_scores(own, shares)
    estimate = cleanlab.count.num_label_issues(own, shares)
    return LabelIssues(np.asarray(ranked, np.int64), quality, int(estimate))


def predict_held_out(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    is_train: NDArray[np.bool_],
    classes: int,
    folds: int,
) -> Generator[tuple[int, int], None, NDArray[np.float32]]:
    """Probabilities (N, classes) of all images by heads that were fitted without them; yields how many heads
    of all are fitted.

    Args:
        features: float32 (N, features).
        labels: Class of each image, int64 (N,).
        is_train: Whether it is one to train on (N,). The others are predicted by a head of all of these.
        classes: Number of classes.
        folds: Parts that train is divided into.
    """
    train, fold_of = np.flatnonzero(is_train), _folds(labels, is_train, folds)
    probabilities = np.empty((len(labels), classes), np.float32)
    penalties: tuple[float, ...] = PENALTIES
    for fold in range(folds):
        held_out = train[fold_of == fold]
        rest = train[fold_of != fold]
        own, others = features[rest], labels[rest]
        if fold == 0:  # the penalty that suits the first part is taken for all
            tried = [
                (head.measure(features[held_out], labels[held_out])[0], penalty, head)
                for penalty, head in fit_heads(own, others, classes)
            ]
            _, penalty, head = min(tried, key=lambda one: one[0])
            penalties = (penalty,)
        else:
            [(_, head)] = fit_heads(own, others, classes, penalties=penalties)
        probabilities[held_out] = _probabilities(head, features[held_out])
        yield fold + 1, folds + 1
    if not is_train.all():
        [(_, head)] = fit_heads(features[train], labels[train], classes, penalties=penalties)
        probabilities[~is_train] = _probabilities(head, features[~is_train])
    yield folds + 1, folds + 1
    return probabilities


def find_wrong_labels(
    examined: ExaminedSet,
    numbers: NDArray[np.int64],
    probabilities: NDArray[np.float32],
    issues: LabelIssues,
) -> Iterator[DataFinding]:
    """A finding for each suspected label; the image is kept where the model is not sure.

    Args:
        examined: The set.
        numbers: Number of each image that was judged (N,).
        probabilities: Of the classes of the set (N, classes).
        issues: What was found.
    """
    classes, labels = examined.classes, examined.labels
    least = SURE / len(classes)
    for place in issues.ranked.tolist():
        own, best = int(labels[numbers[place]]), int(probabilities[place].argmax())
        if own == best:  # few images of a class: suspected by its rarity alone
            best = int(np.argsort(probabilities[place])[-2])
        detail = (
            f"labelled {printable(classes[own])} ({100 * probabilities[place, own]:.1f} %), rather "
            f"{printable(classes[best])} ({100 * probabilities[place, best]:.1f} %)"
        )
        quality = float(issues.quality[place])
        yield DataFinding(
            "label", detail, int(numbers[place]), None, 1 - quality, classes[best], is_kept=quality >= least
        )


def _folds(labels: NDArray[np.int64], is_train: NDArray[np.bool_], folds: int) -> NDArray[np.int64]:
    """The part of each image of train: every class is spread over all parts, at random."""
    own = labels[is_train]
    shuffled = np.random.default_rng(0).permutation(len(own))
    fold_of = np.empty(len(own), np.int64)
    fold_of[shuffled[np.argsort(own[shuffled], kind="stable")]] = np.arange(len(own)) % folds
    return fold_of


def _probabilities(head: Head, features: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = head.logits(features).double().softmax(1).float().numpy()
    return found
