"""Calibration of a network on held-out images: temperature, prediction sets, "none of these"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnext.confidence import (
    Separation,
    TemperatureFit,
    can_reject,
    check_coverage,
    check_false_alarms,
    coverage_range,
    cross_fit,
    fit_sets,
    fit_threshold,
    in_sets,
    is_rejected,
    soften_probabilities,
)
from resnext.contract import Calibration, Contract, Rejection
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.data.workers import worker_errors
from resnext.models import Network, familiarity, make_bank
from resnext.names import counted
from resnext.statistics import Rate
from resnext.training.loop import Diverged

#: Images of a batch.
BATCH = 64
#: Least area under the ROC curve of a score of some use on outliers; 0.5 is chance.
LEAST_AUROC = 0.6
#: Fewest outliers that a score is chosen by: with less, the interval of a difference is too short.
LEAST_OUTLIERS = 30
#: Share of the features above which they are clipped (Sun, Guo and Li 2021).
CLIPPED_ABOVE = 0.9
#: Most images that others are compared with, and which of their nearest neighbours is taken: as many of a
#: thousand as Sun et al. (2022) take, but some, for one may lie there by chance.
MOST_KNOWN, NEIGHBOUR = 2000, 5


@dataclass(frozen=True)
class OutlierTrial:
    """A score of familiarity, tried on outliers.

    Attributes:
        rejection: The score, and its threshold.
        separation: How well it tells images of the classes from outliers.
        rejected: How many of the outliers its threshold rejects.
    """

    rejection: Rejection
    separation: Separation
    rejected: Rate


@dataclass(frozen=True)
class CalibrationFit:
    """A calibration, and what it is worth.

    Attributes:
        contract: The contract with it.
        images: Number of images that it was fitted on.
        temperature: What the temperature does.
        coverage: Between which shares the coverage of the sets lies for new images, 95 times in 100.
        set_size: Mean number of classes in the sets of these images.
        trials: Scores of familiarity on the outliers; empty if there were none.
        bank: Features of known images that the rejection compares with, (N, features); None if it does not.
    """

    contract: Contract
    images: int
    temperature: TemperatureFit
    coverage: tuple[float, float]
    set_size: float
    trials: tuple[OutlierTrial, ...]
    bank: Tensor | None


@dataclass(frozen=True)
class _Features:
    """Pooled features (N, features), logits (N, classes), both float32 on the CPU, and labels (N,)."""

    pooled: Tensor
    logits: Tensor
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class Calibrator:
    """Fits temperature, sets and rejection of a network.

    Args:
        network: The network, in evaluation mode, on the device where it computes.
        contract: Its classes and preprocessing. Of its calibration, the score that tells "none of these" is
            kept where there are no outliers to choose one by.
        coverage: Share of new images whose set is to hold the true class.
        false_alarms: Share of images of the classes that may be rejected.
        workers: Decoding processes.
    """

    network: Network
    contract: Contract
    coverage: float
    false_alarms: float
    workers: int = 0

    @torch.inference_mode()
    def fit(
        self,
        images: ImageDataset,
        outliers: ImageDataset | None = None,
        known: ImageDataset | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> CalibrationFit:
        """The calibration by `images`.

        Args:
            images: Images of the classes that the network was not trained on, with labels.
            outliers: Images of none of the classes, on which the score of the rejection is chosen.
            known: Images of the classes, of which at most `MOST_KNOWN` are compared with; may be those of
                training. Without them, and without outliers, nothing is compared.
            progress: Called with the numbers of images done and in all.

        Raises:
            BadImage: An image cannot be read.
            DataError: Every score takes the outliers for images of the classes, or there are too few.
            Diverged: The network's outputs are not finite.
            UsageError: A share is none, or there are too few images for it.
        """
        check_coverage(self.coverage, len(images))
        check_false_alarms(self.false_alarms, None if outliers is None else len(images))
        if outliers is not None and len(outliers) < LEAST_OUTLIERS:
            raise DataError(
                f"--outliers: {counted(len(outliers), 'image')}, too few to choose by; give at least "
                f"{LEAST_OUTLIERS}, or leave it out"
            )
        if known is not None:
            known = _spread(known) if outliers is not None else None
        sets_of_images = [one for one in (images, outliers, known) if one is not None]
        count = _Counter(sum(map(len, sets_of_images)), progress)
        own = self._answers(images, count)
        probabilities = own.logits.softmax(1).numpy()
        fit = cross_fit(probabilities, own.labels)
        honest = soften_probabilities(probabilities, fit.temperature)
        sets = fit_sets(honest, own.labels, self.coverage)
        bank = None if known is None else make_bank(self._answers(known, count).pooled)
        trials: tuple[OutlierTrial, ...] = ()
        best: Rejection | None = None
        if outliers is not None:
            strange = self._answers(outliers, count)
            trials = tuple(self._trials(own, strange, fit.temperature, bank))
            best = _best(trials, partial(self._share_of_class, own, strange, fit.temperature)).rejection
        elif can_reject(self.false_alarms, len(own.labels)):
            kept = self._kept
            bank = self.network.bank if kept.score == "neighbours" else None
            best = fit_threshold(kept, self._familiarity(own, kept, fit.temperature), self.false_alarms)
        return CalibrationFit(
            contract=replace(self.contract, calibration=Calibration(fit.temperature, best, sets)),
            images=len(own.labels),
            temperature=fit,
            coverage=coverage_range(len(own.labels), self.coverage),
            set_size=float(in_sets(honest, sets).sum(1).mean()),
            trials=trials,
            bank=bank if best is not None and best.score == "neighbours" else None,
        )

    @property
    def _kept(self) -> Rejection:
        """The score that was chosen before, on outliers; the probability if none was."""
        before = None if self.contract.calibration is None else self.contract.calibration.rejection
        return before or Rejection("probability", 0.0)

    def _answers(self, images: ImageDataset, count: _Counter) -> _Features:
        images = images.in_range(self.contract.grey)
        device = next(self.network.parameters()).device
        pooled, logits, indices = [], [], []
        loader = evaluation_batches(images, self.contract.resize, BATCH, self.workers)
        with worker_errors(), closing(loader) as batches:
            for batch in on_device(batches, self.contract, device):
                if batch.bad:
                    raise batch.bad[0]
                maps = self.network.forward_features(batch.images)
                features = self.network.forward_head(maps, pre_logits=True)
                pooled.append(features.float().cpu())
                logits.append(self.network.fc(features).float().cpu())
                indices.append(batch.indices.numpy())
                count.add(len(batch.indices))
        if not indices:
            raise DataError("there are no images to calibrate on")
        if not torch.cat(logits).isfinite().all():
            raise Diverged(f"{self.network.arch.name}: its outputs are not finite: its weights have diverged")
        return _Features(torch.cat(pooled), torch.cat(logits), images.labels[np.concatenate(indices)])

    def _trials(
        self, own: _Features, strange: _Features, temperature: float, bank: Tensor | None
    ) -> Iterator[OutlierTrial]:
        """Each score, the largest probability first."""
        self.network.bank = None if bank is None else bank.to(next(self.network.parameters()).device)
        for rejection in _candidates(own, bank):
            values, others = (self._familiarity(one, rejection, temperature) for one in (own, strange))
            fitted = fit_threshold(rejection, values, self.false_alarms)
            rejected = is_rejected(others, fitted)
            yield OutlierTrial(
                fitted, Separation.of(values, others), Rate(int(rejected.sum()), len(rejected))
            )

    def _share_of_class(
        self, own: _Features, strange: _Features, temperature: float, rejection: Rejection
    ) -> float:
        """How often an outlier looks less familiar than an image that the network gives the same class, from
        0 to 1; 0.5 for images of the classes, even if all are of one that it is seldom sure of."""
        values, others = (self._familiarity(one, rejection, temperature) for one in (own, strange))
        tops, other_tops = (one.logits.argmax(1).numpy() for one in (own, strange))
        shares = [
            Separation.of(values[tops == top], others[other_tops == top]).others
            for top in np.unique(other_tops)
            if (tops == top).any()
        ]
        return float(np.concatenate(shares).mean()) if shares else 1.0

    def _familiarity(
        self, answers: _Features, rejection: Rejection, temperature: float
    ) -> NDArray[np.float32]:
        device = next(self.network.parameters()).device
        made = []
        for start in range(0, len(answers.labels), BATCH):
            pooled, logits = (
                one[start : start + BATCH].to(device) for one in (answers.pooled, answers.logits)
            )
            if rejection.score == "probability":
                logits = logits / temperature
            made.append(familiarity(self.network, rejection, pooled, logits).float().cpu().numpy())
        return np.concatenate(made)


class _Counter:
    """How many images are done, over several sets."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.progress = 0, total, progress

    def add(self, count: int) -> None:
        self.done += count
        if self.progress is not None:
            self.progress(self.done, self.total)


def _candidates(own: _Features, bank: Tensor | None) -> Iterator[Rejection]:
    """The scores that can be tried; thresholds come later."""
    yield Rejection("probability", 0.0)
    yield Rejection("energy", 0.0)
    clip = float(np.quantile(own.pooled.numpy(), CLIPPED_ABOVE))
    if clip > 0:
        yield Rejection("clipped", 0.0, clip=clip)
    if bank is not None:
        yield Rejection("neighbours", 0.0, neighbour=min(NEIGHBOUR, len(bank)))


def _spread(images: ImageDataset) -> ImageDataset:
    """At most `MOST_KNOWN` images, of all classes as many as they have there."""
    order = np.argsort(images.labels, kind="stable")
    places = np.linspace(0, len(order) - 1, min(MOST_KNOWN, len(order))).astype(np.int64)
    return images.select(np.sort(order[places]))


def _best(trials: tuple[OutlierTrial, ...], share_of_class: Callable[[Rejection], float]) -> OutlierTrial:
    """The score to take: the largest probability, unless another is better by more than chance explains.

    Raises `DataError` if none is of use, on all images or on those of one class (`share_of_class`).
    """
    plain, *others = trials
    better = [one for one in others if one.separation.is_better_than(plain.separation)]
    best = max([plain, *better], key=lambda one: one.separation.auroc)
    area = min(best.separation.auroc, share_of_class(best.rejection))
    if area < LEAST_AUROC:
        raise DataError(
            f"--outliers: no score tells them from images of the classes (AUROC {area:.2f} at best, 0.50 is "
            "chance); are they images of the classes? Give images of none of them, or leave it out"
        )
    return best
