"""The parity gate: the same image files through the original and through what was exported."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from resnext.data.images import ImageDataset
from resnext.engine import Classifier, Engine, Output
from resnext.errors import ResnextError
from resnext.names import encodable
from resnext.training.loop import Diverged

#: Images of a batch, and differing images that an error lists.
BATCH, LISTED = 16, 20
#: Largest difference of a probability in float32 that is only rounding.
TOLERANCE = 1e-4
#: Where a model prepares images itself, its resize rounds otherwise, by a level of 255: the share of the
#: images that may get another class then, and the largest mean over the images of the largest difference.
OTHER_CLASS, MEAN_DIFFERENCE = 0.001, 0.01


class ParityError(ResnextError):
    """What was exported does not answer as the original does."""

    exit_code = 4


@dataclass(frozen=True)
class Difference:
    """An image that the two answer differently.

    Attributes:
        key: Name of the image.
        original: The most probable class by the original.
        exported: That by the exported model.
        difference: Largest difference of a probability.
    """

    key: str
    original: str
    exported: str
    difference: float

    def __str__(self) -> str:
        if self.original != self.exported:
            return f"{self.key}: {self.original} became {self.exported}"
        return f"{self.key}: {self.original}, a probability differs by {self.difference:.2g}"


@dataclass(frozen=True)
class Parity:
    """How two models agree on the same images.

    Attributes:
        images: Number of images that could be read.
        same_top1: Images of the same most probable class.
        largest_difference: The largest difference of a probability.
        correct: Images that the original and the exported model get right; None if there are no labels.
        ms: Median milliseconds for an image, without reading it, of the original and of the exported model,
            timed in turns.
        differing: Images beyond the tolerance, the most different first.
        tolerance: Largest difference of a probability that passes.
        mean_difference: Mean over the images of the largest difference of a probability.
        prepares: Whether the exported model prepares images itself: then it is the share of other classes and
            the mean difference that must be small.
    """

    images: int
    same_top1: int
    largest_difference: float
    correct: tuple[int, int] | None
    ms: tuple[float, float]
    differing: tuple[Difference, ...]
    tolerance: float = TOLERANCE
    mean_difference: float = 0.0
    prepares: bool = False

    @property
    def is_passed(self) -> bool:
        if not self.prepares:
            return not self.differing
        others = self.images - self.same_top1
        return others <= max(1, OTHER_CLASS * self.images) and self.mean_difference <= MEAN_DIFFERENCE

    @property
    def allowed(self) -> str:
        """What passes, for people."""
        if not self.prepares:
            return f"the same top-1 and at most {self.tolerance:g} are allowed"
        return (
            f"another top-1 for {100 * OTHER_CLASS:g} % of the images, and {MEAN_DIFFERENCE:g} in the mean, "
            "are allowed"
        )

    def __str__(self) -> str:
        parts = [
            f"top-1 the same for {self.same_top1:,} of {self.images:,} images",
            f"probabilities at most {self.largest_difference:.1e} apart",
            *([f"{self.mean_difference:.1e} in the mean"] if self.prepares else []),
        ]
        if self.correct is not None:
            before, after = (f"{100 * count / self.images:.2f} %" for count in self.correct)
            parts.append(f"accuracy {before} before, {after} after")
        return "; ".join([*parts, f"{self.ms[0]:.1f} ms an image before, {self.ms[1]:.1f} after"])


class Stopwatch(Engine):
    """An engine that times another one.

    `ms` are milliseconds for one image, one value for each batch.
    """

    name: ClassVar[str] = "stopwatch"

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine.model, engine.contract, engine.outputs, engine.device, engine.takes)
        self.engine = engine
        self.ms: list[float] = []

    def compute_all(self, pixels: Tensor, outputs: Sequence[Output]) -> list[Tensor]:
        return self.engine.compute_all(pixels, outputs)

    def answer(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        start = time.perf_counter()
        answers = self.engine.answer(pixels)
        self.ms.append(1000 * (time.perf_counter() - start) / len(pixels))
        return answers


def compare(
    original: Classifier,
    exported: Classifier,
    images: ImageDataset,
    has_labels: bool,
    tolerance: float = TOLERANCE,
    progress: Callable[[int, int], None] | None = None,
) -> Parity:
    """Compare the answers of two models, each of which prepares the images by its own contract.

    Args:
        original: The model that was exported.
        exported: What came of it.
        images: The images; those that cannot be read are left out.
        has_labels: Whether their labels index the classes of the original.
        tolerance: Largest difference of a probability that passes.
        progress: Called with the numbers of images done and in all.

    Raises:
        ParityError: The two have different classes, the exported model gives values that are not finite, or
            no image can be read.
    """
    order = _order(original, exported)
    timed = Stopwatch(original.engine), Stopwatch(exported.engine)
    pairs = [Classifier(one).classify(images, batch=BATCH) for one in timed]
    tally = _Tally(original.contract.classes, images, has_labels, tolerance)
    try:
        with closing(pairs[0]) as before, closing(pairs[1]) as after:
            for one, other in zip(before, after, strict=True):
                tally.add(one.indices, one.probabilities, other.probabilities[:, order])
                tally.unread += len(one.bad)
                if progress is not None:
                    progress(tally.images + tally.unread, len(images))
    except Diverged:
        raise ParityError(
            f"{exported.engine.model}: gives values that are not finite, as those of a large network do in "
            "float16; export it in float32"
        ) from None
    if tally.images == 0:
        raise ParityError(f"none of the {len(images)} images can be read; say others with --images")
    prepares = exported.engine.takes == "images"
    return tally.parity(tuple(float(np.median(one.ms)) for one in timed), prepares)


class _Tally:
    """What has been compared so far."""

    def __init__(
        self, classes: tuple[str, ...], images: ImageDataset, has_labels: bool, tolerance: float
    ) -> None:
        self.classes, self.source, self.has_labels, self.tolerance = classes, images, has_labels, tolerance
        self.images = self.same = self.unread = 0
        self.correct = [0, 0]
        self.largest = self.sum = 0.0
        self.differing: list[Difference] = []

    def add(
        self, indices: NDArray[np.int64], before: NDArray[np.float32], after: NDArray[np.float32]
    ) -> None:
        """Add a batch: places of its images, and their probabilities (B, classes) by both models."""
        tops = before.argmax(1), after.argmax(1)
        differences = np.abs(before - after).max(1)
        self.images += len(indices)
        self.same += int((tops[0] == tops[1]).sum())
        self.largest = max(self.largest, float(differences.max(initial=0.0)))
        self.sum += float(differences.sum())
        for place, top in enumerate(tops if self.has_labels else ()):
            self.correct[place] += int((top == self.source.labels[indices]).sum())
        for row in np.flatnonzero((tops[0] != tops[1]) | (differences > self.tolerance)):
            one, other = (self.classes[int(top[row])] for top in tops)
            key = encodable(self.source.keys[int(indices[row])])
            self.differing.append(Difference(key, one, other, float(differences[row])))

    def parity(self, ms: tuple[float, ...], prepares: bool) -> Parity:
        return Parity(
            images=self.images,
            same_top1=self.same,
            largest_difference=self.largest,
            correct=(self.correct[0], self.correct[1]) if self.has_labels else None,
            ms=(ms[0], ms[1]),
            differing=tuple(sorted(self.differing, key=lambda one: -one.difference)),
            tolerance=self.tolerance,
            mean_difference=self.sum / self.images,
            prepares=prepares,
        )


def _order(original: Classifier, exported: Classifier) -> list[int]:
    """Places of the original's classes among those of the exported model. Raises `ParityError`."""
    names = original.contract.classes
    places = {name: place for place, name in enumerate(exported.contract.classes)}
    if places.keys() != set(names):
        raise ParityError(f"{exported.engine.model}: names other classes than {original.engine.model}")
    return [places[name] for name in names]


def check(parity: Parity, name: str) -> None:
    """Raise `ParityError` with the images that differ, if there are any."""
    if parity.is_passed:
        return
    more = len(parity.differing) - LISTED
    raise ParityError(
        f"{name}: does not answer as the original, so it was not kept: {parity} ({parity.allowed}). "
        f"{len(parity.differing):,} images differ:",
        *(f"  {one}" for one in parity.differing[:LISTED]),
        *([f"  and {more:,} more"] if more > 0 else []),
    )
