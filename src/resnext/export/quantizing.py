"""`quantize`: write in int8, calibrate again, judge beside float32, and keep what earns its place."""

from __future__ import annotations

import math
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from resnext.confidence import check_refit, refit
from resnext.contract import Calibration, Contract
from resnext.data.images import ImageDataset
from resnext.data.loaders import evaluation_batches, on_device
from resnext.engine import Classifier, Engine, ModelError, open_model
from resnext.engine.exports import ParityRecord, add_parity
from resnext.errors import UsageError
from resnext.export.exporting import check_folder
from resnext.export.graph import Source
from resnext.export.int8 import BITS, Quantizer, Samples, Target
from resnext.export.judges import Judges
from resnext.export.parity import ParityError
from resnext.export.sensitivity import rank_blocks
from resnext.machine import cpu_name
from resnext.statistics import Bootstrap, bootstrap_difference
from resnext.timing import Ratio, Timing, interleave

#: Images of training that activations are calibrated on.
MOST_SAMPLES = 300
#: Images of training that tell which blocks int8 changes most.
RANKED_ON = 16
#: How often the images judge: float32, int8, and int8 with its calibration.
LEAST_PASSES = 3
#: Images of a batch, batches that are timed, and how often.
BATCH, TIMED_BATCH, ROUNDS = 16, 8, 15
#: Calls that take less are repeated: what interrupts a single one takes longer than it.
LEAST_SECONDS = 0.02
#: Most points of accuracy that int8 may cost, where nobody says.
MAX_DROP = 0.3
#: How many times as fast as float32 it must be, where nobody says.
MIN_SPEED = 1.0


@dataclass(frozen=True)
class Bfloat16:
    """What the same network is worth in bfloat16, on a processor that has it.

    Attributes:
        correct: Images that it gets right.
        ms: Median milliseconds for an image, in batches of 8.
        speed: How many times as fast as it int8 is.
    """

    correct: int
    ms: float
    speed: Ratio


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
        largest_difference: The largest difference of a probability.
        ms: Median milliseconds for an image, of float32 and of int8, in batches of 8.
        speed: How many times as fast as float32 it is.
        floats: Blocks that were put back in float32, for they cost too much, such as layer2.0.
        bfloat16: The same in bfloat16, where this processor has it and the library uses it.
    """

    path: Path
    contract: Contract
    images: int
    correct: tuple[int, int]
    difference: Bootstrap
    same_top1: int
    largest_difference: float
    ms: tuple[float, float]
    speed: Ratio
    floats: tuple[str, ...] = ()
    bfloat16: Bfloat16 | None = None

    def __str__(self) -> str:
        (low, high), points = self.speed.spread, self.difference
        before, after = (100 * count / self.images for count in self.correct)
        return (
            f"accuracy {before:.2f} % in float32, {after:.2f} % in int8 ({points.difference:+.2f} points, "
            f"{points.low:+.2f} to {points.high:+.2f}, of {self.images:,} images); "
            f"{self.ms[0]:.3g} ms an image, then {self.ms[1]:.3g}: {self.speed.median:.2f} times as fast "
            f"({low:.2f} to {high:.2f})"
            + (f"; put back in float32: {', '.join(self.floats)}" if self.floats else "")
            + (f"; {self._beside(self.bfloat16)}" if self.bfloat16 is not None else "")
        )

    def _beside(self, other: Bfloat16) -> str:
        return (
            f"in bfloat16 {100 * other.correct / self.images:.2f} % and {other.ms:.3g} ms an image, "
            f"{other.speed.median:.2f} times as long as int8"
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

    If it is worse, the blocks that cost most are put back in float32.

    Args:
        source: The network.
        quantizer: What writes it.
        folder: Where it is kept, beside parity.json.
        samples: Prepared images of training, from `take_samples`.
        judges: Images with labels, which it was not trained on.
        target: The processors that the file must be right on.
        max_drop: Most points of accuracy that it may cost.
        min_speed: How many times as fast as float32 it must be on this machine.
        progress: Called with the numbers of images judged and in all: float32 once, int8 twice, and once
            more whenever blocks are put back, or for bfloat16.

    Raises:
        ParityError: It is slower, or costs more. Nothing is kept, and what was there stays.
        EngineMissing: A library is not installed.
        ModelError: The folder cannot hold it, or the images have no labels.
        UsageError: `max_drop` or `min_speed` is none, or the images are too few to keep what the calibration
            promises.
    """
    for option, value in (("max-drop", max_drop), ("min-speed", min_speed)):
        if not 0 <= value < math.inf:
            raise UsageError(f"--{option} {value}: must be a number from 0 on")
    check_refit(source.contract.calibration, len(judges.images))
    check_folder(folder)
    if not judges.has_labels:
        raise ModelError(
            "int8 is judged by accuracy, so it needs images with labels: those of a run, or DATA"
        )
    format, name = quantizer.format, f"{source.name}-int8{quantizer.format.suffix}"
    draft = Path(tempfile.mkdtemp(prefix=f"{name}.", suffix=".partial", dir=folder))
    try:
        trial = _Trial(source, quantizer, samples, judges, target, draft, progress)
        floats: Mapping[str, list[str]] = {}
        if _exceeds(trial.drop(floats), max_drop):
            floats = trial.put_back(max_drop)
        made = trial.finish(floats)
        _check(made, name, max_drop, min_speed)
        for part, place in zip(format.files(made.path), format.files(folder / name), strict=True):
            os.replace(part, place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    add_parity(folder, name, trial.record(made))
    return replace(made, path=folder / name)


class _Trial:
    """Files in int8 of one network, judged beside float32.

    Args:
        source: The network.
        quantizer: What writes it.
        samples: What activations are calibrated on.
        judges: Images with labels.
        target: The processors that the files must be right on.
        draft: Folder to write into.
        progress: Called with the numbers of images judged and in all, as far as it is known.
    """

    def __init__(
        self,
        source: Source,
        quantizer: Quantizer,
        samples: Samples,
        judges: Judges,
        target: Target,
        draft: Path,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self._source, self._quantizer, self._samples, self._judges = source, quantizer, samples, judges
        self._target, self._draft, self._progress, self._done = target, draft, progress, 0
        plain = replace(source, packing={})  # what pays in int8 may cost in float32
        self._before = self._open("float32", lambda path: quantizer.format.write(plain, path))
        self._floats = self._ints = self._answers(self._before)

    def drop(self, floats: Mapping[str, list[str]]) -> float:
        """Points of accuracy that int8 costs if the blocks `floats`, with these nodes, stay in float32."""
        calibration = self._source.contract.calibration or Calibration(1.0)
        raw = replace(calibration, temperature=1.0, sets=None)
        self._ints = self._answers(self._write("raw", raw, floats))
        before, after = (self._right(one).mean() for one in (self._floats, self._ints))
        return float(100 * (before - after))

    def put_back(self, max_drop: float) -> Mapping[str, list[str]]:
        """The fewest blocks, of those that int8 changes most, without which it costs at most `max_drop`
        points, and their nodes: 1, 2, 4 and so on, up to half of all."""
        pixels = torch.from_numpy(np.concatenate(self._samples[:RANKED_ON]))
        ranked = rank_blocks(self._source, pixels, BITS[self._target], self._path("raw"))
        floats: Mapping[str, list[str]] = {}
        for count in (2**power for power in range((len(ranked) // 2).bit_length())):
            floats = dict(islice(ranked.items(), count))
            if not _exceeds(self.drop(floats), max_drop):
                break
        return floats

    def finish(self, floats: Mapping[str, list[str]]) -> Quantized:
        """The file that `drop` was last asked about, calibrated and judged."""
        calibration, raw = self._source.contract.calibration or Calibration(1.0), self._ints
        labels = self._judges.images.labels[raw.indices]
        fitted = refit(calibration, raw.probabilities, raw.familiarity, labels)
        after = self._write("final", fitted, floats)
        ints = self._answers(after)
        right = self._right(self._floats), self._right(ints)
        tops = self._floats.probabilities.argmax(1), ints.probabilities.argmax(1)
        other = self._quantizer.in_bfloat16(self._path("float32"))
        models = (self._before, after) if other is None else (self._before, after, other)
        before_s, after_s, *other_s = _time([model.engine for model in models], self._samples)
        bfloat16 = None
        if other is not None:
            correct = int(self._right(self._answers(other)).sum())
            bfloat16 = Bfloat16(correct, _ms(other_s[0]), other_s[0].ratio_to(after_s))
        return Quantized(
            path=self._path("final"),
            contract=after.contract,
            images=len(ints.indices),
            correct=(int(right[0].sum()), int(right[1].sum())),
            difference=bootstrap_difference(right[0][None], right[1][None]),
            same_top1=int((tops[0] == tops[1]).sum()),
            largest_difference=float(np.abs(self._floats.probabilities - ints.probabilities).max()),
            ms=(_ms(before_s), _ms(after_s)),
            speed=before_s.ratio_to(after_s),
            floats=tuple(floats),
            bfloat16=bfloat16,
        )

    def record(self, made: Quantized) -> ParityRecord:
        return ParityRecord(
            format=self._quantizer.format.name,
            engine=self._before.engine.name,
            source=self._source.sha256,
            images_of=self._judges.name,
            images=made.images,
            same_top1=made.same_top1,
            largest_difference=made.largest_difference,
            tolerance=1.0,  # it is judged by accuracy
            ms=made.ms,
            device=cpu_name(),
            correct=made.correct,
            precision="int8",
            packing=dict(self._source.packing),
        )

    def _write(self, part: str, calibration: Calibration, floats: Mapping[str, list[str]]) -> Classifier:
        nodes = list(chain.from_iterable(floats.values()))
        source = replace(self._source, contract=replace(self._source.contract, calibration=calibration))
        return self._open(
            part, lambda path: self._quantizer.write(source, self._samples, self._target, path, nodes)
        )

    def _open(self, part: str, write: Callable[[Path], None]) -> Classifier:
        write(self._path(part))
        return open_model(self._path(part))

    def _path(self, part: str) -> Path:
        return self._draft / f"{part}{self._quantizer.format.suffix}"

    def _answers(self, model: Classifier) -> _Answers:
        parts = []
        with closing(model.classify(self._judges.images, BATCH)) as batches:
            for one in batches:
                parts.append(one)
                self._done += len(one.indices) + len(one.bad)
                if self._progress is not None:
                    self._progress(self._done, max(LEAST_PASSES * len(self._judges.images), self._done))
        return _Answers(
            np.concatenate([one.probabilities for one in parts]),
            np.concatenate([one.familiarity for one in parts]),
            np.concatenate([one.indices for one in parts]),
        )

    def _right(self, answers: _Answers) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = (
            answers.probabilities.argmax(1) == self._judges.images.labels[answers.indices]
        )
        return right


def _time(engines: Sequence[Engine], samples: Samples) -> list[Timing]:
    """How long a batch of `TIMED_BATCH` images takes each engine, in turns."""
    pixels = torch.from_numpy(np.concatenate([samples[i % len(samples)] for i in range(TIMED_BATCH)]))
    calls = {str(place): partial(one.answer, pixels) for place, one in enumerate(engines)}
    timings = interleave(calls, ROUNDS, least_s=LEAST_SECONDS)
    return [timings[name] for name in calls]


def _exceeds(points: float, most: float) -> bool:
    """Whether so many points are more than `most`, but for what differences of floats leave."""
    return points > most + 1e-9


def _ms(timing: Timing) -> float:
    """Median milliseconds for an image."""
    return 1000 * timing.median_s / TIMED_BATCH


def _check(result: Quantized, name: str, max_drop: float, min_speed: float) -> None:
    """Raise `ParityError` unless it earns its place."""
    reasons = []
    if _exceeds(-result.difference.difference, max_drop):
        reasons.append(f"costs more than --max-drop {max_drop:g} points")
    if result.speed.median < min_speed:
        reasons.append(
            f"is {result.speed.median:.2f} times as fast as float32 on this machine, and --min-speed is "
            f"{min_speed:g}"
        )
    if reasons:
        raise ParityError(f"{name}: was not kept, since it {' and '.join(reasons)}: {result}")
