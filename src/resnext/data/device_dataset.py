"""Small images that are decoded once and kept on the device that trains on them; batches are cut there.

Random draws and pixels are those of the steps in `augment`, which see one image at a time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnext.data.augment import Augmentation, Erasing, Flip, PadCrop, sample_generator
from resnext.data.images import ImageDataset
from resnext.data.loaders import ImageBatch
from resnext.data.preprocess import resize_and_crop
from resnext.data.sampling import RowShard, Sample, SamplingPlan

#: Images decoded between two reports of progress.
PROGRESS_EVERY = 500


@dataclass(frozen=True)
class BatchAugmentation:
    """A shifted crop, a flip and an erased box: an augmentation that can be applied to a whole batch."""

    crop: PadCrop
    flip: Flip | None = None
    erasing: Erasing | None = None

    @classmethod
    def from_augmentation(cls, augmentation: Augmentation) -> BatchAugmentation | None:
        """The same as `augmentation`; None if that has other steps."""
        match augmentation.steps:
            case (PadCrop() as crop,):
                return cls(crop)
            case (PadCrop() as crop, Flip() as flip):
                return cls(crop, flip)
            case (PadCrop() as crop, Flip() as flip, Erasing() as erasing):
                return cls(crop, flip, erasing)
        return None

    @property
    def stored_px(self) -> int:
        """Side of a stored image with its margin, in pixels."""
        return self.crop.resize.crop_px + 2 * self.crop.pad_px

    def memory_bytes(self, images: int) -> int:
        """Memory that this number of stored images takes, in bytes."""
        return 3 * images * self.stored_px**2


class DeviceDataset:
    """Training images on a device. Call `load` before `batches`.

    Args:
        images: The images.
        augmentation: What is done to each batch.
        device: Where the images are kept.
    """

    def __init__(self, images: ImageDataset, augmentation: BatchAugmentation, device: torch.device) -> None:
        self.images, self.augmentation, self.device = images, augmentation, device
        self.pixels = torch.empty(0)  # uint8 (N, stored_px, stored_px, 3) once loaded
        # A copy, because the labels of an index are read-only.
        self.labels = torch.from_numpy(np.array(images.labels)).to(device)
        self.offsets = torch.arange(augmentation.crop.size_px, device=device)
        colour = (0, 0, 0) if augmentation.erasing is None else augmentation.erasing.fill
        self.erased_colour = torch.tensor(colour, dtype=torch.uint8, device=device)

    def load(self) -> Iterator[int]:
        """Decode all images to the device; yields the number of images done so far.

        Raises:
            BadImage: If an image cannot be read.
        """
        crop, side = self.augmentation.crop, self.augmentation.stored_px
        inner = slice(crop.pad_px, crop.pad_px + crop.resize.crop_px)
        count = len(self.images)
        self.pixels = torch.empty((count, side, side, 3), dtype=torch.uint8, device=self.device)
        buffer = np.empty((PROGRESS_EVERY, side, side, 3), np.uint8)
        buffer[:] = crop.fill
        for start in range(0, count, PROGRESS_EVERY):
            yield start
            stop = min(start + PROGRESS_EVERY, count)
            for index in range(start, stop):
                image = resize_and_crop(self.images.open(index), crop.resize)
                buffer[index - start, inner, inner] = np.asarray(image)
            self.pixels[start:stop] = torch.from_numpy(buffer[: stop - start])
        yield count

    def batches(
        self, plan: SamplingPlan, first_step: int, shard: RowShard | None = None
    ) -> Generator[ImageBatch, None, None]:
        """The batches of `training_batches`, as uint8 on the device.

        Args:
            plan: Which images make up which step.
            first_step: Step of the first batch.
            shard: Rows of each batch that this process takes; None takes all.
        """
        shard = shard or RowShard()
        for samples in plan.samples(first_step):
            yield self.batch(plan.seed, shard.select(samples))

    def batch(self, seed: int, samples: list[Sample]) -> ImageBatch:
        """The batch of `samples`, augmented with draws from `seed`."""
        indices = torch.tensor([index for _, index in samples])
        rows_of_batch = self._to_device(indices)
        draws = self._to_device(torch.from_numpy(self._draw(seed, samples)))
        left, top, flipped, x, y, width, height = draws.unsqueeze(2).unbind(1)  # (B, 1) each
        offsets, last = self.offsets, self.augmentation.crop.size_px - 1
        rows, columns = top + offsets, left + torch.where(flipped > 0, last - offsets, offsets)
        images = self.pixels[rows_of_batch[:, None, None], rows[:, :, None], columns[:, None, :]]
        if self.augmentation.erasing is not None:
            in_rows, in_columns = _between(offsets, y, height), _between(offsets, x, width)
            erased = in_rows[:, :, None, None] & in_columns[:, None, :, None]
            images = torch.where(erased, self.erased_colour, images)
        return ImageBatch(images.permute(0, 3, 1, 2), self.labels[rows_of_batch], indices)

    def _to_device(self, values: Tensor) -> Tensor:
        """`values` on the device, without waiting for what a GPU is computing."""
        pinned = values.pin_memory() if self.device.type == "cuda" else values
        return pinned.to(self.device, non_blocking=True)

    def _draw(self, seed: int, samples: list[Sample]) -> NDArray[np.int64]:
        """The random draws of each sample, in pixels (B, 7).

        Columns: left and top of the crop in the stored image; 1 if the crop is flipped; left, top, width and
        height of the box that is erased in it.
        """
        crop, flip, erasing = self.augmentation.crop, self.augmentation.flip, self.augmentation.erasing
        draws = np.empty((len(samples), 7), np.int64)
        for row, (epoch, index) in zip(draws, samples, strict=True):
            random = sample_generator(seed, epoch, index)
            left, top = crop.draw(random)
            flipped = flip is not None and flip.draw(random)
            box = erasing.draw(crop.size_px, crop.size_px, random) if erasing is not None else None
            row[:] = left + crop.pad_px, top + crop.pad_px, flipped, *(box or (0, 0, 0, 0))
        return draws


def _between(offsets: Tensor, start: Tensor, length: Tensor) -> Tensor:
    """Whether each of `offsets` (S,) is in [start, start + length), both (B, 1): bool (B, S)."""
    return (offsets >= start) & (offsets < start + length)
