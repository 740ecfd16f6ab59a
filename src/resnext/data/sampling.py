"""Sampling plans: which images make up which training step, as pure functions of a seed.

A sample is a pair (epoch, index), so that one image is augmented differently in each epoch.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: (epoch, index of the image).
Sample = tuple[int, int]


@dataclass(frozen=True)
class SamplingPlan:
    """Batches of random permutations: each epoch is a new permutation of all images, cut into equal batches.

    Images that do not fill the last batch are left out of that epoch. If there are fewer images than a batch
    holds, each epoch is one smaller batch.

    Attributes:
        images: Number of images.
        batch: Images in a batch.
        epochs: Number of epochs.
        seed: Seed of the permutations.

    >>> plan = SamplingPlan(images=10, batch=4, epochs=3, seed=0)
    >>> plan.steps_per_epoch, plan.steps
    (2, 6)
    >>> [len(samples) for samples in plan.samples(first_step=3)]
    [4, 4, 4]
    """

    images: int
    batch: int
    epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Training steps in an epoch."""
        return max(1, self.images // self.batch)

    @property
    def steps(self) -> int:
        """Training steps in all epochs."""
        return self.epochs * self.steps_per_epoch

    def order(self, epoch: int) -> NDArray[np.int64]:
        """Indices of the images in the order of epoch `epoch`, int64 (images,)."""
        return np.random.Generator(np.random.PCG64((self.seed, epoch))).permutation(self.images)

    def samples(self, first_step: int = 0) -> Iterator[list[Sample]]:
        """The samples of each step, from `first_step` to the last step of the last epoch."""
        step = first_step
        while step < self.steps:
            epoch, step_in_epoch = divmod(step, self.steps_per_epoch)
            order = self.order(epoch)
            for start in range(step_in_epoch * self.batch, self.steps_per_epoch * self.batch, self.batch):
                yield [(epoch, int(i)) for i in order[start : start + self.batch]]
                step += 1


@dataclass(frozen=True)
class WindowedSamplingPlan(SamplingPlan):
    """A plan for streams: each epoch keeps their order, but shuffles the images within windows.

    The windows begin at other places in each epoch.

    Attributes:
        window: Images in a window.
    """

    window: int

    def order(self, epoch: int) -> NDArray[np.int64]:
        random = np.random.Generator(np.random.PCG64((self.seed, epoch)))
        first = int(random.integers(1, self.window, endpoint=True))
        windows = np.split(np.arange(self.images), range(first, self.images, self.window))
        return np.concatenate([random.permutation(window) for window in windows])


@dataclass(frozen=True)
class BalancedSamplingPlan(SamplingPlan):
    """A plan that shows all classes equally often in each epoch, to within one image.

    Within a class, all images are shown equally often: the class has an endless sequence of permutations of
    its images, and each epoch continues it where the epoch before stopped.

    Attributes:
        labels: Class of each image, int64 (images,).
    """

    labels: NDArray[np.int64]

    def order(self, epoch: int) -> NDArray[np.int64]:
        members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        per_class, remainder = divmod(self.images, len(members))

        def shown_before(epoch: int, number: int) -> int:
            """Images of class `number` in all epochs before; the classes take the remainder in turn."""
            return epoch * per_class + -(-(epoch * remainder - number) // len(members))

        by_class = [
            self._continue_sequence(
                indices, number, shown_before(epoch, number), shown_before(epoch + 1, number)
            )
            for number, indices in enumerate(members)
        ]
        random = np.random.Generator(np.random.PCG64((self.seed, epoch)))
        return random.permutation(np.concatenate(by_class))

    def _continue_sequence(
        self, indices: NDArray[np.int64], number: int, start: int, stop: int
    ) -> NDArray[np.int64]:
        """Entries `start` to `stop` of the endless sequence of permutations of class `number`."""
        rounds = range(start // len(indices), -(-stop // len(indices)))
        seeds = [np.random.SeedSequence(self.seed, spawn_key=(number, round_)) for round_ in rounds]
        permutations = [np.random.Generator(np.random.PCG64(seed)).permutation(indices) for seed in seeds]
        sequence = np.concatenate([indices[:0], *permutations])
        return sequence[start - rounds.start * len(indices) :][: stop - start]


@dataclass(frozen=True)
class OrderedSamplingPlan(SamplingPlan):
    """A plan that shows every image in every epoch, in order; the last batch of an epoch may be smaller.

    >>> plan = OrderedSamplingPlan(images=5, batch=3, epochs=2, seed=0)
    >>> list(plan.samples(first_step=1))
    [[(0, 3), (0, 4)], [(1, 0), (1, 1), (1, 2)], [(1, 3), (1, 4)]]
    """

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.images // self.batch)

    def order(self, epoch: int) -> NDArray[np.int64]:
        return np.arange(self.images)


@dataclass(frozen=True)
class RowShard:
    """The rows of each batch that one of several processes reads.

    Attributes:
        rows: The rows; None means all.
        with_previous: Whether the row before `rows` (for the first row, the last of the batch) is read too
            and comes first. MixUp and CutMix mix each image with the one before it.

    >>> batch = [(0, 7), (0, 3), (0, 9), (0, 1)]
    >>> RowShard(range(2, 4)).select(batch)
    [(0, 9), (0, 1)]
    >>> RowShard(range(2), with_previous=True).select(batch)
    [(0, 1), (0, 7), (0, 3)]
    """

    rows: range | None = None
    with_previous: bool = False

    def select(self, samples: list[Sample]) -> list[Sample]:
        """The samples of a batch that are in this shard."""
        rows = self.rows if self.rows is not None else range(len(samples))
        places = [rows.start - 1, *rows] if self.with_previous else rows
        return [samples[i] for i in places]
