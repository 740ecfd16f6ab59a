"""Pictures to batches on the device, for training and for evaluation."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from resnext.contract import Contract, Resize
from resnext.data.augment import Augmentation, sample_generator
from resnext.data.decode import BadPicture
from resnext.data.pictures import Pictures
from resnext.data.preprocess import five_crops, normalise, resize_and_crop, to_tensor

Crops = Literal["centre", "five"]
#: What evaluation sees of a picture.
CROPS: dict[Crops, Callable[[Image.Image, Resize], list[Image.Image]]] = {
    "centre": lambda image, resize: [resize_and_crop(image, resize)],
    "five": five_crops,
}


@dataclass(frozen=True)
class Batch:
    """`pictures` uint8 or float (B, 3, H, W), channels last; `labels` int64 (B,). Where each picture is
    seen in several crops, they follow each other: `pictures` is (B * crops, 3, H, W).

    `indices` are the pictures' places in their source; `bad` the errors of those that could not be
    read and so are missing here.
    """

    pictures: Tensor
    labels: Tensor
    indices: Tensor
    bad: tuple[BadPicture, ...] = ()

    def pin_memory(self) -> Batch:
        """In memory that a GPU can read while the host goes on; `DataLoader` asks for this by name."""
        return replace(self, pictures=self.pictures.pin_memory(), labels=self.labels.pin_memory())


@dataclass(frozen=True)
class Part:
    """The rows of each batch that this process reads; all of them if `rows` is None. `before` says that the
    row before them, which may be the last, is read too and comes first: pictures mix with the one before."""

    rows: range | None = None
    before: bool = False

    def of(self, samples: list[tuple[int, int]]) -> list[tuple[int, int]]:
        rows = self.rows if self.rows is not None else range(len(samples))
        places = [rows.start - 1, *rows] if self.before else rows
        return [samples[i] for i in places]


@dataclass(frozen=True)
class Plan:
    """Which samples make up which training step: a pure function of the seed.

    Each epoch is a fresh permutation of `pictures` cut into equal batches; what does not fill the last
    one is left out of that epoch.
    """

    pictures: int
    batch: int
    epochs: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        return max(1, self.pictures // self.batch)

    @property
    def steps(self) -> int:
        return self.epochs * self.steps_per_epoch

    def order(self, epoch: int) -> np.ndarray:
        """The permutation of epoch `epoch`."""
        return np.random.Generator(np.random.PCG64((self.seed, epoch))).permutation(self.pictures)

    def samples(self, first_step: int = 0) -> Iterator[list[tuple[int, int]]]:
        """The (epoch, index) pairs of each step from `first_step` to the end of the run."""
        step = first_step
        while step < self.steps:
            epoch, start = divmod(step, self.steps_per_epoch)
            order = self.order(epoch)
            for at in range(start * self.batch, self.steps_per_epoch * self.batch, self.batch):
                yield [(epoch, int(i)) for i in order[at : at + self.batch]]
                step += 1


@dataclass(frozen=True)
class WindowedPlan(Plan):
    """A plan for streams: each epoch is in their order but for windows of `window` pictures, each of which
    is shuffled. Where the windows begin differs from epoch to epoch."""

    window: int

    def order(self, epoch: int) -> np.ndarray:
        random = np.random.Generator(np.random.PCG64((self.seed, epoch)))
        first = int(random.integers(1, self.window, endpoint=True))
        windows = np.split(np.arange(self.pictures), range(first, self.pictures, self.window))
        return np.concatenate([random.permutation(window) for window in windows])


@dataclass(frozen=True)
class BalancedPlan(Plan):
    """A plan whose epochs show all classes equally often, to within one picture.

    `labels` (pictures,) are the classes. Within a class all pictures come up equally often: each epoch
    takes up the class's sequence of permutations where the one before it stopped.
    """

    labels: np.ndarray

    def order(self, epoch: int) -> np.ndarray:
        members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        share, extra = divmod(self.pictures, len(members))

        def before(epoch: int, number: int) -> int:
            """Pictures of class `number` in all earlier epochs; places that are left over go round."""
            return epoch * share + -(-(epoch * extra - number) // len(members))

        drawn = [
            self._from_sequence(own, number, before(epoch, number), before(epoch + 1, number))
            for number, own in enumerate(members)
        ]
        random = np.random.Generator(np.random.PCG64((self.seed, epoch)))
        return random.permutation(np.concatenate(drawn))

    def _from_sequence(self, own: np.ndarray, number: int, start: int, stop: int) -> np.ndarray:
        """Entries from `start` to `stop` of the permutations of `own`, strung together."""
        turns = range(start // len(own), -(-stop // len(own)))
        seeds = [np.random.SeedSequence(self.seed, spawn_key=(number, turn)) for turn in turns]
        rounds = [np.random.Generator(np.random.PCG64(seed)).permutation(own) for seed in seeds]
        strung = np.concatenate([own[:0], *rounds])
        return strung[start - turns.start * len(own) :][: stop - start]


class _Augmented(Dataset[tuple[int, Tensor | BadPicture]]):
    """Sample (epoch, index) -> (index, uint8 picture, or why there is none)."""

    def __init__(self, pictures: Pictures, augmentation: Augmentation, seed: int) -> None:
        self.pictures = pictures
        self.augmentation = augmentation
        self.seed = seed

    def __getitem__(self, sample: tuple[int, int]) -> tuple[int, Tensor | BadPicture]:
        epoch, index = sample
        random = sample_generator(self.seed, epoch, index)
        try:
            return index, self.augmentation.sample(self.pictures, index, random)
        except BadPicture as error:  # a value: raised in a worker it would arrive as another type
            return index, error


class _Prepared(Dataset[tuple[int, Tensor | BadPicture]]):
    """Index -> (index, uint8 picture in one crop or more, or why there is none)."""

    def __init__(self, pictures: Pictures, resize: Resize, crops: Crops) -> None:
        self.pictures = pictures
        self.resize = resize
        self.crops = crops

    def __getitem__(self, index: int) -> tuple[int, Tensor | BadPicture]:
        try:
            crops = CROPS[self.crops](self.pictures.open(index), self.resize)
            return index, torch.stack([to_tensor(crop) for crop in crops])
        except BadPicture as error:
            return index, error


class _Collate:
    """List of (index, picture or error) -> `Batch` of uint8."""

    def __init__(self, pictures: Pictures) -> None:
        self.labels = pictures.labels

    def __call__(self, samples: list[tuple[int, Tensor | BadPicture]]) -> Batch:
        good = [(i, picture) for i, picture in samples if isinstance(picture, Tensor)]
        bad = tuple(error for _, error in samples if isinstance(error, BadPicture))
        indices = np.array([i for i, _ in good], dtype=np.int64)
        stacked = torch.cat([p.view(-1, *p.shape[-3:]) for _, p in good]) if good else torch.empty(0, 3, 0, 0)
        labels = torch.from_numpy(self.labels[indices])
        return Batch(stacked, labels, torch.from_numpy(indices), bad)


def training_batches(
    pictures: Pictures,
    augmentation: Augmentation,
    plan: Plan,
    first_step: int,
    workers: int,
    part: Part | None = None,
    pin: bool = False,
) -> Iterator[Batch]:
    """One uint8 batch, or this process's `part` of it, for each step from `first_step`; the same whatever the
    number of workers. With `pin` its memory is pinned.

    Raises `BadPicture`: training has looked at all pictures before, so one has been damaged since.
    """
    loader: DataLoader[tuple[int, Tensor | BadPicture]] = DataLoader(
        _Augmented(pictures, augmentation, plan.seed),
        batch_sampler=_FromStep(plan, first_step, part or Part()),
        collate_fn=_Collate(pictures),
        num_workers=workers,
        worker_init_fn=_leave_signals,
        pin_memory=pin,
    )
    for batch in loader:
        if batch.bad:
            raise batch.bad[0]
        yield batch


class _FromStep:
    """The plan as the batch sampler that `DataLoader` expects."""

    def __init__(self, plan: Plan, first_step: int, part: Part) -> None:
        self.plan = plan
        self.first_step = first_step
        self.part = part

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        return map(self.part.of, self.plan.samples(self.first_step))


def _leave_signals(worker: int) -> None:
    """Requests to stop are for the main process, which ends its workers when it is ready."""
    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)


def evaluation_batches(
    pictures: Pictures,
    resize: Resize,
    batch: int,
    workers: int,
    crops: Crops = "centre",
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Every picture once, in order, prepared exactly as the contract says, as uint8 batches.

    Of all batches the process `share[0]` of `share[1]` gets every `share[1]`-th: the batches themselves do
    not depend on how many share them, and so no picture's answer does.
    """
    starts = range(0, len(pictures), batch)[share[0] :: share[1]]
    return iter(
        DataLoader(
            _Prepared(pictures, resize, crops),
            batch_sampler=[list(range(at, min(at + batch, len(pictures)))) for at in starts],
            collate_fn=_Collate(pictures),
            num_workers=workers,
            worker_init_fn=_leave_signals,
        )
    )


def on_device(batches: Iterator[Batch], contract: Contract, device: torch.device) -> Iterator[Batch]:
    """The batches normalised to float32 on `device`, channels last."""
    behind = device.type == "cuda"  # others do not keep what is still to be copied
    for batch in batches:
        pictures = batch.pictures.to(device, non_blocking=behind)
        pictures = normalise(pictures, contract.mean, contract.std)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        labels = batch.labels.to(device, non_blocking=behind)
        yield Batch(pictures, labels, batch.indices, batch.bad)
