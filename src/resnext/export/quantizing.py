"""`quantize`: write in int8, calibrate again, judge beside float32, and keep what earns its place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resnext.confidence import refit
from resnext.contract import Calibration, Contract
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.engine import Classifier, Engine, ModelError, open_model
from resnext.engine.exports import ParityRecord, add_parity
from resnext.export.exporting import check_folder
from resnext.export.graph import Source
from resnext.export.int8 import Quantizer, Samples, Target
from resnext.export.judges import Judges
from resnext.export.parity import ParityError
from resnext.machine import cpu_name
from resnext.statistics import Bootstrap, bootstrap_difference
from resnext.timing import Ratio, interleave

#: Images of training that activations are calibrated on.
MOST_SAMPLES = 300
#: Images of a batch, batches that are timed, and how often.
BATCH, TIMED_BATCH, ROUNDS = 16, 8, 15
#: Most points of accuracy that int8 may cost, where nobody says.
MAX_DROP = 0.3
#: How many times as fast as float32 it must be, where nobody says.
MIN_SPEED = 1.0


@dataclass(frozen=True)
class Quantized:
    """A file in int8 that earned its place.

    Attributes:
        path: The file.
        contract: Its contract, with a calibration of its own.
        images: Number of images that judged it.
        correct: Images that float32 and int8 get right.
        difference: How many more of the images int8 gets right, in points: mostly less than 0.
        same_top1: Images of the same most probable class.
        ms: Median milliseconds for an image, of float32 and of int8, in batches of 8.
        speed: How many times as fast as float32 it is.
    """

    path: Path
    contract: Contract
    images: int
    correct: tuple[int, int]
    difference: Bootstrap
    same_top1: int
    ms: tuple[float, float]
    speed: Ratio

    def __str__(self) -> str:
        (low, high), points = self.speed.spread, self.difference
        before, after = (100 * count / self.images for count in self.correct)
        return (
            f"accuracy {before:.2f} % in float32, {after:.2f} % in int8 ({points.difference:+.2f} points, "
            f"{points.low:+.2f} to {points.high:+.2f}, of {self.images:,} images); "
            f"{self.ms[0]:.1f} ms an image, then {self.ms[1]:.1f}: {self.speed.median:.2f} times as fast "
            f"({low:.2f} to {high:.2f})"
        )


@dataclass(frozen=True)
class _Answers:
    """Probabilities (N, classes) and familiarity (N,) of images, and their places in the set (N,)."""

    probabilities: NDArray[np.float32]
    familiarity: NDArray[np.float32]
    indices: NDArray[np.int64]


def take_samples(images: ImageDataset, contract: Contract) -> Samples:
    """At most `MOST_SAMPLES` of `images`, spread evenly and prepared as the contract says, each float32
    (1, 3, H, W)."""
    places = np.linspace(0, len(images) - 1, min(MOST_SAMPLES, len(images))).astype(np.int64)
    chosen = images.in_range(contract.grey).select(places)
    with closing(evaluation_batches(chosen, contract.resize, 1, 0)) as batches:
        prepared = on_device(batches, contract, torch.device("cpu"))
        samples = [one.images.contiguous().numpy() for one in prepared if len(one.indices)]
    if not samples:
        raise ModelError("none of the images of training can be read, and int8 is calibrated on them")
    return samples


def quantize(
    source: Source,
    quantizer: Quantizer,
    folder: Path,
    samples: Samples,
    judges: Judges,
    target: Target = "any",
    max_drop: float = MAX_DROP,
    min_speed: float = MIN_SPEED,
    progress: Callable[[int, int], None] | None = None,
) -> Quantized:
    """Write `source` in int8, and keep it if it is faster here and hardly worse.

    Args:
        source: The network.
        quantizer: What writes it.
        folder: Where it is kept, beside parity.json.
        samples: Prepared images of training, from `take_samples`.
        judges: Images with labels, which it was not trained on.
        target: The processors that the file must be right on.
        max_drop: Most points of accuracy that it may cost.
        min_speed: How many times as fast as float32 it must be on this machine.
        progress: Called with the numbers of images judged and in all: float32 once, int8 twice.

    Raises:
        ParityError: It is slower, or costs more. Nothing is kept, and what was there stays.
        EngineMissing: A library is not installed.
        ModelError: The folder cannot hold it, or the images have no labels.
    """
    check_folder(folder)
    if not judges.has_labels:
        raise ModelError(
            "int8 is judged by accuracy, so it needs images with labels: those of a run, or DATA"
        )
    format, name = quantizer.format, f"{source.name}-int8{quantizer.format.suffix}"
    calibration = source.contract.calibration or Calibration(1.0)
    raw = replace(source.contract, calibration=replace(calibration, temperature=1.0, sets=None))
    labels, total = judges.images.labels, 3 * len(judges.images)
    report = progress or (lambda done, count: None)
    draft = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".partial", dir=folder))
    try:
        plain, first, final = (draft / f"{part}{format.suffix}" for part in ("float32", "first", "final"))
        format.write(source, plain)
        before = open_model(plain)
        floats = _answers(before, judges.images, lambda done: report(done, total))
        quantizer.write(replace(source, contract=raw), samples, target, first)
        ints = _answers(open_model(first), judges.images, lambda done: report(total // 3 + done, total))
        made = refit(calibration, ints.probabilities, ints.familiarity, labels[ints.indices])
        contract = replace(source.contract, calibration=made)
        quantizer.write(replace(source, contract=contract), samples, target, final)
        after = open_model(final)
        again = _answers(after, judges.images, lambda done: report(2 * total // 3 + done, total))
        speed, ms = _time(before.engine, after.engine, samples)
        result = _judge(folder / name, contract, floats, again, labels, speed, ms)
        _check(result, name, max_drop, min_speed)
        for part, place in zip(format.files(final), format.files(folder / name), strict=True):
            os.replace(part, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    record = ParityRecord(
        format=format.name,
        engine=after.engine.name,
        source=source.sha256,
        images_of=judges.name,
        images=result.images,
        same_top1=result.same_top1,
        largest_difference=float(np.abs(floats.probabilities - again.probabilities).max()),
        tolerance=1.0,
        ms=ms,
        device=cpu_name(),
        correct=result.correct,
        precision="int8",
    )
    add_parity(folder, name, record)
    return result


def _answers(model: Classifier, images: ImageDataset, progress: Callable[[int], None]) -> _Answers:
    parts, done = [], 0
    with closing(model.classify(images, BATCH)) as batches:
        for one in batches:
            parts.append(one)
            done += len(one.indices) + len(one.bad)
            progress(done)
    return _Answers(
        np.concatenate([one.probabilities for one in parts]),
        np.concatenate([one.familiarity for one in parts]),
        np.concatenate([one.indices for one in parts]),
    )


def _time(before: Engine, after: Engine, samples: Samples) -> tuple[Ratio, tuple[float, float]]:
    """How many times as fast `after` is, round by round, and milliseconds for an image of both."""
    pixels = torch.from_numpy(np.concatenate([samples[i % len(samples)] for i in range(TIMED_BATCH)]))
    calls = {"before": lambda: before.answer(pixels), "after": lambda: after.answer(pixels)}
    timings = interleave(calls, ROUNDS)
    one, other = timings["before"], timings["after"]
    ms = (1000 * one.median_s / TIMED_BATCH, 1000 * other.median_s / TIMED_BATCH)
    return one.ratio_to(other), ms


def _judge(
    path: Path,
    contract: Contract,
    floats: _Answers,
    ints: _Answers,
    labels: NDArray[np.int64],
    speed: Ratio,
    ms: tuple[float, float],
) -> Quantized:
    tops = floats.probabilities.argmax(1), ints.probabilities.argmax(1)
    right = [top == labels[one.indices] for top, one in zip(tops, (floats, ints), strict=True)]
    return Quantized(
        path=path,
        contract=contract,
        images=len(tops[0]),
        correct=(int(right[0].sum()), int(right[1].sum())),
        difference=bootstrap_difference(right[0][None], right[1][None]),
        same_top1=int((tops[0] == tops[1]).sum()),
        ms=ms,
        speed=speed,
    )


def _check(result: Quantized, name: str, max_drop: float, min_speed: float) -> None:
    """Raise `ParityError` unless it earns its place."""
    reasons = []
    if -result.difference.difference > max_drop:
        reasons.append(f"costs more than --max-drop {max_drop:g} points")
    if result.speed.median < min_speed:
        reasons.append(f"is on this machine not --min-speed {min_speed:g} times as fast as float32")
    if reasons:
        raise ParityError(f"{name}: {' and '.join(reasons)}, so it was not kept: {result}")
