"""Training augmentation: a pure function of a picture and a random generator.

`sample_generator` makes the generator from (seed, epoch, index), so that any process can draw any
sample, in any order, and a resumed run sees what the undisturbed one would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image

from resnext.contract import Resize
from resnext.data.preprocess import FILTERS, resize_and_crop


def sample_generator(seed: int, epoch: int, index: int) -> Generator:
    """The random generator of sample `index` in `epoch`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, index))))


@dataclass(frozen=True)
class PadCrop:
    """Evaluation's picture, shifted by up to `pad_px` each way on a margin of colour `fill`.

    With the mean colour as `fill` this is zero padding after normalisation, as in the authors' code.
    """

    resize: Resize
    pad_px: int
    fill: tuple[int, int, int]

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        image = resize_and_crop(image, self.resize)
        left, top = (int(v) for v in random.integers(-self.pad_px, self.pad_px, 2, endpoint=True))
        shifted = Image.new("RGB", image.size, self.fill)
        shifted.paste(image, (left, top))
        return shifted


@dataclass(frozen=True)
class ResizedCrop:
    """A random part of the picture, stretched to `size_px` (Szegedy et al. 2015).

    The part keeps a share of the area that is uniform in [`min_area`, 1] and has a ratio of sides
    log-uniform in [1 / `max_aspect`, `max_aspect`]; after ten parts that do not fit, the largest
    centred one of an allowed ratio. torchvision's `RandomResizedCrop` draws from the same distribution.
    """

    size_px: int
    min_area: float
    max_aspect: float
    interpolation: str

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        left, top, width, height = self.box(*image.size, random)
        return image.resize(
            (self.size_px, self.size_px),
            FILTERS[self.interpolation],
            box=(left, top, left + width, top + height),
        )

    def box(self, width: int, height: int, random: Generator) -> tuple[int, int, int, int]:
        """(left, top, width, height) in whole pixels."""
        limit = math.log(self.max_aspect)
        for _ in range(10):
            area = width * height * random.uniform(self.min_area, 1)
            aspect = math.exp(random.uniform(-limit, limit))
            w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if 0 < w <= width and 0 < h <= height:
                left = int(random.integers(0, width - w, endpoint=True))
                top = int(random.integers(0, height - h, endpoint=True))
                return left, top, w, h
        w = min(width, max(1, round(height * self.max_aspect)))
        h = min(height, max(1, round(width * self.max_aspect)))
        return (width - w) // 2, (height - h) // 2, w, h


@dataclass(frozen=True)
class Flip:
    """Left and right exchanged with `probability`."""

    probability: float

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        if random.random() < self.probability:
            return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        return image


@dataclass(frozen=True)
class Augmentation:
    """Steps applied one after the other, all drawing from the sample's generator."""

    steps: tuple[PadCrop | ResizedCrop | Flip, ...]

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        for step in self.steps:
            image = step(image, random)
        return image
