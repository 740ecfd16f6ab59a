"""The examination of a data set, from the pass over its images to what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import DataError
from resnext.data.images import ImageDataset
from resnext.data.scan import max_threads, on_threads
from resnext.doctor.duplicates import (
    ClosePair,
    exact_pairs,
    find_duplicates,
    find_many_alike,
    near_pairs,
)
from resnext.doctor.examined import ExaminedSet
from resnext.doctor.facts import FACTS, Broken, Facts, measure
from resnext.doctor.facts_file import FactsFile, identify
from resnext.doctor.features import compute_features, project
from resnext.doctor.files import find_in_files
from resnext.doctor.findings import DataFinding, find_emptied
from resnext.doctor.labels import LabelIssues, find_issues, find_wrong_labels, predict_held_out
from resnext.doctor.sets import find_in_set
from resnext.doctor.shift import ShiftTest, compare_splits, find_shifts, quantities
from resnext.engine import Classifier
from resnext.machine import count_cores
from resnext.progress import EventStream

#: Facts are written when so many wait, or so many seconds have passed.
WRITE_IMAGES, WRITE_S = 4096, 20.0


@dataclass(frozen=True)
class ExaminationProgress:
    """How far one part of the examination is, and what it counts."""

    doing: str
    done: int
    total: int
    what: str = "images"


@dataclass(frozen=True)
class Measured:
    """What the pass over the images found.

    Attributes:
        facts: Of each image (N,); zeros where it could not be read.
        readable: Whether it could be (N,).
        broken: Why the others could not, by number.
        looked_at: How many images were decoded; the others were known.
    """

    facts: Facts
    readable: NDArray[np.bool_]
    broken: dict[int, Broken]
    looked_at: int


@dataclass(frozen=True)
class LabelView:
    """What a model says of the labels.

    Attributes:
        numbers: Numbers of the images that were judged (N,).
        issues: What confident learning found among them.
        folds: Parts of train that were predicted by heads fitted on the others.
    """

    numbers: NDArray[np.int64]
    issues: LabelIssues
    folds: int


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a data set.

    Attributes:
        examined: The set.
        measured: What was measured of its images.
        findings: All findings.
        shifts: Tests of val and test against train.
        labels: What a model says of the labels, if one was given.
        projected: Features of the images on the axes of largest variance (N, axes), if one was given.
    """

    examined: ExaminedSet
    measured: Measured
    findings: tuple[DataFinding, ...]
    shifts: tuple[ShiftTest, ...]
    labels: LabelView | None = None
    projected: NDArray[np.float32] | None = None


Progress = Generator[ExaminationProgress, None, Diagnosis]


def measure_images(
    examined: ExaminedSet, file: FactsFile, part: tuple[int, int] | None = None
) -> Generator[ExaminationProgress, None, Measured]:
    """Measure the images that `file` does not know, and add them to it.

    Args:
        examined: The set.
        file: What is known.
        part: Numbers of the first image, and behind the last one, to look at; all if None.
    """
    begin, end = part or (0, len(examined))
    facts, readable = np.zeros(len(examined), FACTS), np.zeros(len(examined), np.bool_)
    broken: dict[int, Broken] = {}
    looked_at = 0
    for first, split, images in examined.parts():
        own = range(max(0, begin - first), max(0, min(len(images), end - first)))
        home = examined.home(split)
        idents = np.fromiter((identify(images, home, index) for index in own), np.uint64, len(own))
        is_known, known = file.find(idents)
        places = first + own.start + np.flatnonzero(is_known)
        facts[places], readable[places] = known, True
        unknown = own.start + np.flatnonzero(~is_known)
        with closing(_measure_some(images, unknown, idents[~is_known], file)) as chunks:
            for done, indices, found, why in chunks:
                facts[first + indices], readable[first + indices] = found, True
                broken |= {first + index: reason for index, reason in why.items()}
                yield ExaminationProgress("looking at images", looked_at + done, looked_at + len(unknown))
        looked_at += len(unknown)
    return Measured(facts, readable, broken, looked_at)


_Chunk = tuple[NDArray[np.int64], Facts, dict[int, Broken]]


def _measure_some(
    images: ImageDataset, unknown: NDArray[np.int64], idents: NDArray[np.uint64], file: FactsFile
) -> Generator[tuple[int, *_Chunk], None, None]:
    """Measure the images at `unknown`, which is in order, and add them to `file`; yields how many are done,
    and of some images the indices, the facts, and why others cannot be read."""
    waiting: list[Facts] = []
    written_at = time.monotonic()

    def work(places: Iterable[int]) -> _Chunk:
        return measure(images, (int(unknown[place]) for place in places))

    try:
        with closing(on_threads(work, len(unknown), max_threads(images, count_cores()))) as chunks:
            for done, (indices, facts, why) in chunks:
                facts["ident"] = idents[np.searchsorted(unknown, indices)]
                waiting.append(facts)
                if sum(map(len, waiting)) >= WRITE_IMAGES or time.monotonic() - written_at >= WRITE_S:
                    file.add(np.concatenate(waiting))
                    waiting, written_at = [], time.monotonic()
                yield done, indices, facts, why
    finally:
        if waiting:
            file.add(np.concatenate(waiting))


def examine(
    examined: ExaminedSet,
    file: FactsFile,
    classifier: Classifier | None = None,
    folds: int = 5,
    workers: int = 0,
) -> Progress:
    """Everything that is found wrong with a set; yields how far it is.

    Args:
        examined: The set.
        file: What is known of its images.
        classifier: A model, whose features tell wrong labels and shifts.
        folds: Parts of train whose labels are judged by heads that were fitted on the others.
        workers: Processes that decode images for the model.

    Raises:
        DataError: Not one image can be read.
        PackageMissing: A model is given, and `cleanlab` is not installed.
    """
    measured = yield from measure_images(examined, file)
    facts, readable = measured.facts, measured.readable
    if not readable.any():
        reason = next(iter(measured.broken.values())).reason
        raise DataError(
            f"{examined.data}: none of {len(examined):,} images can be read; the first one {reason}"
        )
    file.finish(facts[readable])
    findings = [*find_in_set(examined), *find_in_files(facts, readable, measured.broken)]
    pairs: list[ClosePair] = [*exact_pairs(examined, facts, readable)]
    near = EventStream(near_pairs(examined, facts, readable, count_cores()))
    for done, total in near:
        yield ExaminationProgress("looking at pairs", done, total, "pairs")
    findings += find_duplicates(examined, [*pairs, *near.result.pairs])
    findings += find_many_alike(near.result)
    projected, labels = None, None
    if classifier is not None:
        features = EventStream(compute_features(examined, classifier, workers))
        for done, total in features:
            yield ExaminationProgress("computing features", done, total)
        values, is_known = features.result
        projected = project(values, is_known)
        numbers = np.flatnonzero(is_known)
        is_train = _is_train(examined)[numbers]
        if is_train.any():  # if not, `find_emptied` tells it
            held_out = EventStream(
                predict_held_out(
                    values[numbers], examined.labels[numbers], is_train, len(examined.classes), folds
                )
            )
            for done, total in held_out:
                yield ExaminationProgress("fitting heads", done, total, "heads")
            issues = find_issues(examined.labels[numbers], held_out.result)
            labels = LabelView(numbers, issues, folds)
            findings += find_wrong_labels(examined, numbers, held_out.result, issues)
    compared = quantities(facts, projected)
    shifts = compare_splits(examined, readable, compared)
    findings += find_shifts(shifts)
    findings += find_emptied(findings, examined)
    return Diagnosis(examined, measured, tuple(findings), tuple(shifts), labels, projected)


def _is_train(examined: ExaminedSet) -> NDArray[np.bool_]:
    names = list(examined.splits)
    if "train" not in names:
        return np.ones(len(examined), np.bool_)
    is_train: NDArray[np.bool_] = examined.split_of == names.index("train")
    return is_train
