"""Faster training crops of JPEG files (extra `fast`): libjpeg-turbo decodes and torch resizes.

Random draws are those of the exact decoder, and so are the pixels, to within one level (bicubic: three).
Images much larger than the crop are decoded at the lowest resolution that is enough. Images that are no
ordinary JPEG files go through the exact decoder.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from PIL import Image
from torch import Tensor

from resnext.data.augment import Augmentation, Flip, ResizedCrop
from resnext.data.decode import is_too_large
from resnext.data.images import ImageDataset
from resnext.data.jpeg import Jpeg, Pixels
from resnext.data.preprocess import to_tensor

#: Filters that torch has for 8-bit values.
FILTERS = ("bilinear", "bicubic")


class FastAugmentation(Augmentation):
    """An augmentation whose first two steps are a `ResizedCrop` and a `Flip`."""

    def sample(self, images: ImageDataset, index: int, random: Generator) -> Tensor:
        encoded = images.read_bytes(index)
        if encoded is None:
            return super().sample(images, index, random)
        jpeg = Jpeg.open(encoded)
        if jpeg is None or is_too_large(jpeg.width, jpeg.height):
            return to_tensor(self(images.decode_stored(encoded, index), random))
        crop, flip, *rest = self.steps
        assert isinstance(crop, ResizedCrop)
        assert isinstance(flip, Flip)
        box = crop.box(jpeg.width, jpeg.height, random)
        pixels = jpeg.decode(box, crop.size_px)
        if pixels is None:  # damaged: Pillow names the reason
            return to_tensor(self(images.decode_stored(encoded, index), random))
        square = resize(pixels, crop.size_px, crop.interpolation)
        if flip.draw(random):
            square = square.flip(-1)
        if not rest:
            return square
        image = Image.fromarray(square.permute(1, 2, 0).numpy())
        for step in rest:
            image = step(image, random)
        return to_tensor(image)


def resize(pixels: Pixels, size_px: int, interpolation: str) -> Tensor:
    """`pixels` resized to a square with antialiasing, as Pillow does to within one level (bicubic: three).

    Args:
        pixels: uint8 (H, W, 3).
        size_px: Side of the square.
        interpolation: One of `FILTERS`.

    Returns:
        uint8 (3, `size_px`, `size_px`), channels last.

    >>> resize(np.zeros((30, 40, 3), np.uint8), 16, "bilinear").shape
    torch.Size([3, 16, 16])
    """
    batch = torch.from_numpy(np.array(pixels, order="C")).unsqueeze(0)  # contiguous: torch sees channels last
    batch = batch.permute(0, 3, 1, 2)
    return F.interpolate(batch, (size_px, size_px), mode=interpolation, antialias=True)[0]
