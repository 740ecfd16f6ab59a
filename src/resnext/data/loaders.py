"""Batches of images for training and evaluation, and how they are brought to the device."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, get_worker_info

from resnext.contract import Contract, Resize
from resnext.data.ahead import ahead
from resnext.data.augment import Augmentation, PadCrop, ResizedCrop, sample_generator
from resnext.data.decode import BadImage
from resnext.data.images import ImageDataset
from resnext.data.preprocess import five_crops, normalise, resize_and_crop, to_tensor
from resnext.data.sampling import RowShard, Sample, SamplingPlan
from resnext.data.workers import (
    PREFETCH,
    Lifeline,
    check_shared_memory,
    handover_errors,
    hold_stop_signals,
    worker_errors,
)

Crops = Literal["centre", "five"]
#: The function that cuts what evaluation sees of an image.
CROP_FUNCTIONS: dict[Crops, Callable[[Image.Image, Resize], list[Image.Image]]] = {
    "centre": lambda image, resize: [resize_and_crop(image, resize)],
    "five": five_crops,
}


@dataclass(frozen=True)
class ImageBatch:
    """A batch of images and their labels.

    Attributes:
        images: uint8 or float32 (B, 3, H, W), channels last. If each image is seen in several crops, they
            follow each other: (B * crops, 3, H, W).
        labels: int64 (B,).
        indices: Places of the images in their data set, int64 (B,).
        bad: Errors of images that could not be read and are therefore missing in this batch.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    bad: tuple[BadImage, ...] = ()

    def pin_memory(self) -> ImageBatch:
        """The batch in page-locked memory. `DataLoader` calls this method by its name."""
        return replace(self, images=self.images.pin_memory(), labels=self.labels.pin_memory())

    def share_memory(self) -> ImageBatch:
        """The batch, moved to memory that other processes can read."""
        for values in (self.images, self.labels, self.indices):
            if values.numel():
                values.share_memory_()  # type: ignore[no-untyped-call]
        return self


class _AugmentedImages(Dataset[tuple[int, Tensor | BadImage]]):
    """Sample (epoch, index) -> (index, augmented image uint8 (3, H, W), or the error of a bad one)."""

    def __init__(self, images: ImageDataset, augmentation: Augmentation, seed: int) -> None:
        self.images = images
        self.augmentation = augmentation
        self.seed = seed

    def __getitem__(self, sample: Sample) -> tuple[int, Tensor | BadImage]:
        epoch, index = sample
        random = sample_generator(self.seed, epoch, index)
        try:
            return index, self.augmentation.sample(self.images, index, random)
        except BadImage as error:  # returned: an error raised in a worker would arrive as another type
            return index, error


class _CroppedImages(Dataset[tuple[int, Tensor | BadImage]]):
    """Index -> (index, crops uint8 (crops, 3, H, W), or the error of a bad image)."""

    def __init__(self, images: ImageDataset, resize: Resize, crops: Crops) -> None:
        self.images = images
        self.resize = resize
        self.crops = crops

    def __getitem__(self, index: int) -> tuple[int, Tensor | BadImage]:
        try:
            crops = CROP_FUNCTIONS[self.crops](self.images.open(index), self.resize)
            tensors = [to_tensor(crop) for crop in crops]
            return index, torch.stack(tensors) if len(tensors) > 1 else tensors[0][None]
        except BadImage as error:
            return index, error


class _Collate:
    """List of (index, image or error) -> `ImageBatch` of uint8."""

    def __init__(self, images: ImageDataset) -> None:
        self.labels = images.labels

    def __call__(self, samples: list[tuple[int, Tensor | BadImage]]) -> ImageBatch:
        good = [(i, image) for i, image in samples if isinstance(image, Tensor)]
        bad = tuple(error for _, error in samples if isinstance(error, BadImage))
        indices = np.array([i for i, _ in good], dtype=np.int64)
        crops = [image.view(-1, *image.shape[-3:]) for _, image in good]
        images = torch.cat(crops) if crops else torch.empty(0, 3, 0, 0)
        labels = torch.from_numpy(self.labels[indices])
        batch = ImageBatch(images, labels, torch.from_numpy(indices), bad)
        # Sending would share the memory too, but in a thread whose errors reach nobody.
        return batch if get_worker_info() is None else batch.share_memory()


class _BatchSampler:
    """The rows of this process in each batch of a plan from `first_step`, for `DataLoader`."""

    def __init__(self, plan: SamplingPlan, first_step: int, shard: RowShard) -> None:
        self.plan = plan
        self.first_step = first_step
        self.shard = shard

    def __iter__(self) -> Iterator[list[Sample]]:
        return map(self.shard.select, self.plan.samples(self.first_step))


def training_batches(
    images: ImageDataset,
    augmentation: Augmentation,
    plan: SamplingPlan,
    first_step: int,
    workers: int,
    shard: RowShard | None = None,
    pin: bool = False,
) -> Generator[ImageBatch, None, None]:
    """One uint8 batch for each step of `plan` from `first_step`. Close it, and its workers end.

    Args:
        images: Images to train on.
        augmentation: What is done to each image.
        plan: Which images make up which step.
        first_step: Step of the first batch.
        workers: Number of decoding processes; 0 decodes in this one. The batches do not depend on it.
        shard: Rows of each batch that this process reads; None reads all.
        pin: Whether the batches are in page-locked memory.

    Raises:
        BadImage: If an image cannot be read. It has become damaged since the scan before training.
    """
    shard = shard or RowShard()
    sampler = _BatchSampler(plan, first_step, shard)
    sides = [step.size_px for step in augmentation.steps if isinstance(step, PadCrop | ResizedCrop)]
    rows = plan.batch if shard.rows is None else len(shard.rows)
    batch_bytes = rows * 3 * max(sides, default=0) ** 2
    dataset = _AugmentedImages(images, augmentation, plan.seed)
    with closing(_load(dataset, sampler, images, workers, batch_bytes, pin)) as batches:
        for batch in batches:
            if batch.bad:
                raise batch.bad[0]
            yield batch


def evaluation_batches(
    images: ImageDataset,
    resize: Resize,
    batch: int,
    workers: int,
    crops: Crops = "centre",
    shard: tuple[int, int] = (0, 1),
) -> Generator[ImageBatch, None, None]:
    """Every image once, in order, as uint8 batches. Close it, and its workers end.

    Args:
        images: Images to evaluate.
        resize: How an image becomes a square, as the contract of the network says.
        batch: Images in a batch.
        workers: Number of decoding processes; 0 decodes in a thread of this one.
        crops: `centre` cuts one square out of an image, `five` cuts the corners and the centre.
        shard: (rank, world size): this process gets every `world size`-th batch, from batch `rank` on. The
            batches themselves do not depend on the number of processes, so the prediction for an image does
            not either.
    """
    rank, world_size = shard
    starts = range(0, len(images), batch)[rank::world_size]
    sampler = [list(range(start, min(start + batch, len(images)))) for start in starts]
    batch_bytes = min(batch, len(images)) * 3 * resize.crop_px**2 * (5 if crops == "five" else 1)
    batches = _load(_CroppedImages(images, resize, crops), sampler, images, workers, batch_bytes)
    return batches if workers else _ahead(batches)


def _ahead(batches: Generator[ImageBatch, None, None]) -> Generator[ImageBatch, None, None]:
    """`batches`, decoded by a thread of this process while those before are computed with."""
    with closing(batches), closing(ahead(batches, PREFETCH)) as made:
        yield from made


class _Loader(DataLoader[Any]):
    """A loader that does not warn, as each of torch's would, about more workers than cores: the command line
    says so once."""

    def check_worker_number_rationality(self) -> None:
        pass


def _load(
    dataset: Dataset[tuple[int, Tensor | BadImage]],
    sampler: Any,
    images: ImageDataset,
    workers: int,
    batch_bytes: int,
    pin: bool = False,
) -> Generator[ImageBatch, None, None]:
    """The batches of a `DataLoader` whose workers end with this generator, on every way out of it.

    Raises:
        WorkerError: There is no room for what the workers share, or one of them died.
    """
    check_shared_memory(workers, batch_bytes)
    with Lifeline() as lifeline, worker_errors():
        loader = _Loader(
            dataset,
            batch_sampler=sampler,
            collate_fn=_Collate(images),
            num_workers=workers,
            prefetch_factor=PREFETCH if workers else None,
            worker_init_fn=lifeline.set_up_worker,
            pin_memory=pin,
        )
        with hold_stop_signals():
            batches = iter(loader)
        lifeline.workers = getattr(batches, "_workers", ())  # they have no public name
        try:
            with handover_errors():
                yield from batches
        finally:
            lifeline.end(batches)


def on_device(
    batches: Iterator[ImageBatch], contract: Contract, device: torch.device
) -> Iterator[ImageBatch]:
    """The batches on `device`, images normalised as `contract` says: float32, channels last."""
    non_blocking = device.type == "cuda"  # other devices do not keep the source until it has been copied
    for batch in batches:
        images = batch.images.to(device, non_blocking=non_blocking)
        images = normalise(images, contract.mean, contract.std)
        images = images.contiguous(memory_format=torch.channels_last)
        labels = batch.labels.to(device, non_blocking=non_blocking)
        yield ImageBatch(images, labels, batch.indices, batch.bad)
