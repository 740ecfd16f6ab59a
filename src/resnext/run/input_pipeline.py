"""The training input of one process: its shard of each batch, augmented, mixed, on the device."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import torch
from torch import Tensor

from resnext.contract import Contract
from resnext.data.device_dataset import BatchAugmentation, DeviceDataset
from resnext.data.images import CachedImages, ImageDataset
from resnext.data.loaders import ImageBatch, on_device, training_batches
from resnext.data.mixup import Mixing
from resnext.data.sampling import RowShard, SamplingPlan
from resnext.machine import Machine, device_cache_bytes, image_cache_bytes
from resnext.recipe import Recipe
from resnext.run.autoconfig import CACHE_UP_TO_PX
from resnext.run.builders import build_augmentation, build_mixing
from resnext.run.timed_loader import TimedLoader, WaitTimes
from resnext.training.distributed import ProcessGroup


class InputPipeline:
    """Training batches from `first_step` on.

    Small images live on the device, decoded once by `decode`; others are read by worker processes, which end
    when it is closed.

    Args:
        recipe: A recipe without open fields.
        contract: Pre-processing of the network.
        train: The training images.
        plan: Which images make up which step.
        first_step: The step to start or resume at.
        machine: Where the network computes.
        group: The processes that share each batch.
        workers: Decoding processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        contract: Contract,
        train: ImageDataset,
        plan: SamplingPlan,
        first_step: int,
        machine: Machine,
        group: ProcessGroup,
        workers: int,
    ) -> None:
        self.recipe, self.contract, self.train, self.plan = recipe, contract, train, plan
        self.first_step, self.machine, self.group, self.workers = first_step, machine, group, workers
        self.mixing = build_mixing(recipe, len(contract.classes))
        self._on_device = self._device_dataset()
        self._source = self._batches()
        to_device = partial(on_device, contract=contract, device=machine.device)
        self._loader: TimedLoader[ImageBatch] = TimedLoader(self._source, to_device)

    @property
    def waits(self) -> WaitTimes:
        """The time that training has waited for images."""
        return self._loader.waits

    def decode(self) -> Iterator[int]:
        """Decode images that live on the device, yielding how many are done; nothing to do for others."""
        if self._on_device is not None:
            yield from self._loader.time_preparation(self._on_device.load())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Images (b, 3, H, W) and targets, labels (b,) or probabilities (b, classes), of each step."""
        for step, batch in enumerate(self._loader, start=self.first_step):
            yield _mixed(batch, self.mixing, step, has_neighbour=self.group.size > 1)

    def close(self) -> None:
        """End the worker processes."""
        self._source.close()

    def _device_dataset(self) -> DeviceDataset | None:
        """The training images on the device, if they are small and few enough."""
        augmentation = BatchAugmentation.from_augmentation(build_augmentation(self.recipe, self.contract))
        if augmentation is None or self.train.window is not None:
            return None
        if not is_small(self.contract):
            return None
        allowed = device_cache_bytes(self.machine, self.group.local_size) // 2
        if augmentation.memory_bytes(len(self.train)) > allowed:
            return None
        return DeviceDataset(self.train, augmentation, self.machine.device)

    def _batches(self) -> Generator[ImageBatch, None, None]:
        """This process's shard of each batch, as uint8."""
        shard = RowShard()
        if self.group.size > 1:
            shard = RowShard(self.group.shard(self.plan.batch), with_previous=self.mixing is not None)
        if self._on_device is not None:
            return self._on_device.batches(self.plan, self.first_step, shard)
        train = self.train
        if self.recipe.data.decoder != "fast" and train.window is None:
            train = cache_if_small(train, self.contract, self.group, self.workers)
        pin = self.machine.device.type == "cuda"
        augmentation = build_augmentation(self.recipe, self.contract)
        return training_batches(train, augmentation, self.plan, self.first_step, self.workers, shard, pin)


def _mixed(batch: ImageBatch, mixing: Mixing | None, step: int, has_neighbour: bool) -> tuple[Tensor, Tensor]:
    """Images and targets of a step. With `has_neighbour`, the first row of a batch to mix is only the
    neighbour of the second one, and is dropped."""
    if mixing is None:
        return batch.images, batch.labels
    images, targets = mixing(batch.images, batch.labels, step)
    return (images[1:], targets[1:]) if has_neighbour else (images, targets)


def is_small(contract: Contract) -> bool:
    """Whether the network's images are so small that they are decoded once and kept."""
    return contract.input.height_px <= CACHE_UP_TO_PX


def cache_if_small(
    images: ImageDataset, contract: Contract, group: ProcessGroup, workers: int
) -> ImageDataset:
    """`images`, kept in memory once they are decoded if the network's images are small.

    The training and the validation images of a run have half of the memory each.

    Args:
        images: Images of one split.
        contract: Pre-processing of the network.
        group: The processes of the run.
        workers: Decoding processes of each of them; every one has its own cache.
    """
    if not is_small(contract):
        return images
    processes = group.local_size * max(1, workers)
    return CachedImages(images, image_cache_bytes(processes) // 2)


def example_batch(recipe: Recipe, contract: Contract, count: int, device: torch.device) -> Tensor:
    """Zeros (count, C, H, W) in the shape and layout of a training batch."""
    side = recipe.data.train_px or contract.input.height_px
    images = torch.zeros(count, contract.input.channels, side, side, device=device)
    return images.contiguous(memory_format=torch.channels_last)
