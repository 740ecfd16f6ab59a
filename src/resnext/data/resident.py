"""Small pictures, decoded once, that live where they are computed on; batches are cut out of them there.

The draws and the pixels are those of the steps in `augment`, which see one picture at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from resnext.data.augment import Augmentation, Erasing, Flip, PadCrop, sample_generator
from resnext.data.batches import Batch, Part, Plan
from resnext.data.pictures import Pictures
from resnext.data.preprocess import resize_and_crop

#: Pictures decoded between two reports of progress.
TELL_EVERY = 500


@dataclass(frozen=True)
class Cuts:
    """Shifts, flips and erased boxes: an augmentation that can be carried out on a whole batch."""

    crop: PadCrop
    flip: Flip | None = None
    erasing: Erasing | None = None

    @classmethod
    def of(cls, augmentation: Augmentation) -> Cuts | None:
        """The same as `augmentation`; None where that does something else."""
        match augmentation.steps:
            case (PadCrop() as crop,):
                return cls(crop)
            case (PadCrop() as crop, Flip() as flip):
                return cls(crop, flip)
            case (PadCrop() as crop, Flip() as flip, Erasing() as erasing):
                return cls(crop, flip, erasing)
        return None

    def bytes(self, pictures: int) -> int:
        """What so many pictures take."""
        return 3 * pictures * (self.crop.resize.crop_px + 2 * self.crop.pad_px) ** 2


class Resident:
    """`pictures` on `device`, each with its margin: uint8 (N, side, side, 3), once they have been read."""

    def __init__(self, pictures: Pictures, cuts: Cuts, device: torch.device) -> None:
        self.pictures, self.cuts, self.device = pictures, cuts, device
        self.stored = torch.empty(0)
        # A copy: the labels of an index are read-only.
        self.labels = torch.from_numpy(np.array(pictures.labels)).to(device)
        self.place = torch.arange(cuts.crop.size_px, device=device)
        erased = (0, 0, 0) if cuts.erasing is None else cuts.erasing.fill
        self.erased = torch.tensor(erased, dtype=torch.uint8, device=device)

    def read(self) -> Iterator[int]:
        """Decode all pictures, and tell how many have been. Raises `BadPicture`."""
        crop, side = self.cuts.crop, self.cuts.crop.resize.crop_px
        whole, inner = side + 2 * crop.pad_px, slice(crop.pad_px, crop.pad_px + side)
        count = len(self.pictures)
        self.stored = torch.empty((count, whole, whole, 3), dtype=torch.uint8, device=self.device)
        some = np.empty((TELL_EVERY, whole, whole, 3), np.uint8)
        some[:] = crop.fill
        for start in range(0, count, TELL_EVERY):
            yield start
            stop = min(start + TELL_EVERY, count)
            for index in range(start, stop):
                picture = resize_and_crop(self.pictures.open(index), crop.resize)
                some[index - start, inner, inner] = np.asarray(picture)
            self.stored[start:stop] = torch.from_numpy(some[: stop - start])
        yield count

    def batches(self, plan: Plan, first_step: int, part: Part | None = None) -> Iterator[Batch]:
        """As `training_batches`, in uint8 on the device."""
        part = part or Part()
        for samples in plan.samples(first_step):
            yield self.batch(plan.seed, part.of(samples))

    def batch(self, seed: int, samples: list[tuple[int, int]]) -> Batch:
        """One batch of the (epoch, index) pairs `samples`."""
        indices = torch.tensor([index for _, index in samples])
        here = self._bring(indices)
        draws = self._bring(torch.from_numpy(self._draw(seed, samples)))
        left, top, flipped, x, y, width, height = draws.unsqueeze(2).unbind(1)  # (B, 1) each
        place, size = self.place, self.cuts.crop.size_px
        rows, columns = top + place, left + torch.where(flipped > 0, size - 1 - place, place)
        pictures = self.stored[here[:, None, None], rows[:, :, None], columns[:, None, :]]
        if self.cuts.erasing is not None:
            inside_y, inside_x = (place >= y) & (place < y + height), (place >= x) & (place < x + width)
            inside = inside_y[:, :, None, None] & inside_x[:, None, :, None]
            pictures = torch.where(inside, self.erased, pictures)
        return Batch(pictures.permute(0, 3, 1, 2), self.labels[here], indices)

    def _bring(self, values: Tensor) -> Tensor:
        """To the device, without waiting for what a GPU is computing."""
        pinned = values.pin_memory() if self.device.type == "cuda" else values
        return pinned.to(self.device, non_blocking=True)

    def _draw(self, seed: int, samples: list[tuple[int, int]]) -> NDArray[np.int64]:
        """(B, 7): left and top of the square in the stored picture, whether it is flipped, and left, top,
        width and height of the box that is erased in it."""
        crop, flip, erasing = self.cuts.crop, self.cuts.flip, self.cuts.erasing
        drawn = np.empty((len(samples), 7), np.int64)
        for row, (epoch, index) in zip(drawn, samples, strict=True):
            random = sample_generator(seed, epoch, index)
            left, top = crop.draw(random)
            flipped = flip is not None and flip.draw(random)
            box = erasing.draw(crop.size_px, crop.size_px, random) if erasing is not None else None
            row[:] = left + crop.pad_px, top + crop.pad_px, flipped, *(box or (0, 0, 0, 0))
        return drawn
