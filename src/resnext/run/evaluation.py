"""Evaluation of a classifier on one split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.confidence import SetSizes, is_rejected
from resnext.contract import Calibration, Contract
from resnext.data.decode import BadImage, DataError
from resnext.data.images import ImageDataset
from resnext.engine import BatchPrediction, Classifier
from resnext.metrics import Outcomes, Reliability, Scores, majority_rate, reliability, score
from resnext.names import encodable
from resnext.recipe.options import OnBad, Views, check_choice
from resnext.run.documents import DataDocument
from resnext.run.folder import RunError, RunFolder
from resnext.statistics import Rate
from resnext.training.distributed import ProcessGroup
from resnext.training.loop import Diverged


@dataclass(frozen=True)
class Evaluation:
    """Scores over the readable images of a split, and the predictions they are computed from.

    `probabilities` (N, classes) and `labels` (N,) belong to `keys` (N); `bad` are the images that were left
    out. `train_counts` are the training images of each class, empty if unknown. `notes` tell the user what
    was left out when the data were read. `familiarity` (N,) is what "none of these" of `calibration` goes by.
    """

    split: str
    scores: Scores
    keys: list[str]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    bad: tuple[BadImage, ...] = ()
    train_counts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    familiarity: NDArray[np.float32] | None = None
    calibration: Calibration | None = None

    @property
    def sets(self) -> SetSizes | None:
        """The sets of classes of these images; None if the model has none."""
        if self.calibration is None or self.calibration.sets is None:
            return None
        return SetSizes.of(self.probabilities, self.labels, self.calibration.sets)

    @property
    def rejected(self) -> Rate | None:
        """How many of these images are called "none of these"; None if the model never does."""
        if self.calibration is None or self.calibration.rejection is None or self.familiarity is None:
            return None
        rejected = is_rejected(self.familiarity, self.calibration.rejection)
        return Rate(int(rejected.sum()), len(rejected))

    @cached_property
    def reliability(self) -> Reliability:
        """How well confidence matches accuracy."""
        return reliability(Outcomes.of(self.probabilities, self.labels))

    @property
    def majority(self) -> Rate | None:
        """How often the most frequent class of training is the right answer; None if it is not known."""
        return majority_rate(self.labels, self.train_counts)

    @property
    def role(self) -> str:
        """What to keep in mind about the scores; empty for `test`."""
        return "" if self.split == "test" else " (chose the weights, so optimistic)"

    def to_json(self) -> dict[str, Any]:
        """Split, scores and the images that were left out. Errors are in percent, other rates from 0 to 1."""
        bad = [{"key": error.key, "reason": error.reason} for error in self.bad]
        calibration = {"ece": self.reliability.ece, "ece_interval": self.reliability.interval}
        majority = {"majority_error": None if self.majority is None else 100 * (1 - self.majority.share)}
        promises: dict[str, Any] = {"sets": None, "rejected": None}
        if (sets := self.sets) is not None and self.calibration is not None and self.calibration.sets:
            promised = {"promised": self.calibration.sets.coverage, "size": float(sets.sizes.mean())}
            promises["sets"] = {"coverage": sets.coverage.share} | promised
        if (rejected := self.rejected) is not None and self.calibration and self.calibration.rejection:
            asked = {"promised": self.calibration.rejection.false_alarms}
            promises["rejected"] = {"share": rejected.share} | asked
        return {"split": self.split, "bad": bad} | self.scores.to_json() | calibration | majority | promises


def read_train_counts(model: Path, classes: int) -> tuple[int, ...]:
    """Training images of each of so many classes, from the run folder `model`.

    Empty if it is another kind of model, or a run of an earlier version. Raises `RunError`.
    """
    if not ((model / "model").is_dir() and (model / "data.json").exists()):
        return ()
    return read_data_document(RunFolder(model), classes).train_counts


def read_data_document(folder: RunFolder, classes: int) -> DataDocument:
    """data.json of a run with so many classes. Raises `RunError`."""
    about = folder.read_document("data.json", DataDocument)
    if len(about.train_counts) not in (0, classes):
        raise RunError(
            f"{folder.path / 'data.json'}: data.train_counts: {len(about.train_counts)} values for the "
            f"{classes} classes of contract.json"
        )
    return about


def evaluate_images(
    classifier: Classifier,
    images: ImageDataset,
    split: str,
    on_bad: OnBad = "fail",
    workers: int = 0,
    views: Views = "one",
    progress: Callable[[int, int], None] | None = None,
    group: ProcessGroup | None = None,
) -> Evaluation:
    """Evaluate every image once, shared by the processes of `group`, which all return the same.

    Args:
        classifier: The network and its contract.
        images: Images with labels that index the contract's classes.
        split: Name of the split, for the result.
        on_bad: What to do about unreadable images.
        workers: Decoding processes.
        views: Views of each image to average over.
        progress: Called with the numbers of images done and in all.
        group: The processes that share the images.

    Raises:
        BadImage: An image cannot be read, and `on_bad` is "fail".
        Diverged: The network's outputs are not finite.
        UsageError: `on_bad` is not known.
        ModelError: `views` or `workers` cannot be used.
    """
    check_choice("--on-bad", on_bad, OnBad)
    group = group or ProcessGroup()
    own: list[BatchPrediction] = []
    done, has_diverged = 0, False
    batches = classifier.classify(images, workers=workers, views=views, shard=(group.rank, group.size))
    try:
        with closing(batches):  # so that an error raised in it ends the workers too
            for prediction in batches:
                own.append(prediction)
                done += len(prediction.indices) + len(prediction.bad)
                if prediction.bad and on_bad == "fail":
                    break
                if progress is not None:
                    progress(min(done * group.size, len(images)), len(images))
    except Diverged:  # all processes raise it below
        has_diverged = True
    if any(group.any_rank(has_diverged)):
        raise Diverged(
            f"{split}: the network's outputs are not finite: its weights have diverged. Train again with a "
            "third of --training.lr"
        )
    predictions = [one for some in group.all_gather(own) for one in some]
    bad = sorted((error for one in predictions for error in one.bad), key=lambda error: error.key)
    if bad and on_bad == "fail":
        raise bad[0]
    return _evaluation(predictions, images, split, classifier.contract, tuple(bad))


def _evaluation(
    predictions: Sequence[BatchPrediction],
    images: ImageDataset,
    split: str,
    contract: Contract,
    bad: tuple[BadImage, ...],
) -> Evaluation:
    """The evaluation from the predictions of all processes, in the order of the images."""
    indices = np.concatenate([np.empty(0, np.int64), *(one.indices for one in predictions)])
    if len(indices) == 0:
        raise DataError(
            f"{split}: none of its {len(images)} images can be read; repair them, or give other DATA"
        )
    order = np.argsort(indices)
    indices = indices[order]
    probabilities = np.concatenate([one.probabilities for one in predictions])[order]
    familiarity = np.concatenate([one.familiarity for one in predictions])[order]
    labels = images.labels[indices]
    return Evaluation(
        split,
        score(probabilities, labels, contract.classes),
        [encodable(images.keys[i]) for i in indices],
        labels,
        probabilities,
        bad,
        familiarity=familiarity,
        calibration=contract.calibration,
    )
