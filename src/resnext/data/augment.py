"""Training augmentation: a pure function of a picture and a random generator.

`sample_generator` makes the generator from (seed, epoch, index), so that any process can draw any
sample, in any order, and a resumed run sees what the undisturbed one would have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageEnhance
from torch import Tensor

from resnext.contract import Resize
from resnext.data.pictures import Pictures
from resnext.data.policies import Colour, RandAugment, TrivialAugment
from resnext.data.preprocess import FILTERS, resize_and_crop, to_tensor


def sample_generator(seed: int, epoch: int, index: int) -> Generator:
    """The random generator of sample `index` in `epoch`."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, index))))


@dataclass(frozen=True)
class PadCrop:
    """A random square of `size_px` out of evaluation's picture with a margin of colour `fill`.

    With the mean colour as `fill` this is zero padding after normalisation, as in the authors' code.
    torchvision's `RandomCrop(size_px, padding=pad_px)` draws from the same distribution.
    """

    resize: Resize
    size_px: int
    pad_px: int
    fill: tuple[int, int, int]

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        image = resize_and_crop(image, self.resize)
        left, top = self.draw(random)
        square = Image.new("RGB", (self.size_px, self.size_px), self.fill)
        square.paste(image, (-left, -top))
        return square

    def draw(self, random: Generator) -> tuple[int, int]:
        """(left, top) of the square; in the margin they are negative."""
        farthest = self.resize.crop_px + self.pad_px - self.size_px
        left, top = random.integers(-self.pad_px, farthest, 2, endpoint=True).tolist()
        return left, top


@dataclass(frozen=True)
class ResizedCrop:
    """A random part of the picture, stretched to `size_px` (Szegedy et al. 2015).

    The part keeps a share of the area that is uniform in [`min_area`, 1] and has a ratio of sides
    log-uniform in [1 / `max_aspect`, `max_aspect`]; after ten parts that do not fit, the largest
    centred one of an allowed ratio. torchvision's `RandomResizedCrop` draws from the same distribution, and
    gives the same pixels for the same part.
    """

    size_px: int
    min_area: float
    max_aspect: float
    interpolation: str

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        left, top, width, height = self.box(*image.size, random)
        part = image.crop((left, top, left + width, top + height))  # `resize` with a box would look beyond it
        return part.resize((self.size_px, self.size_px), FILTERS[self.interpolation])

    def box(self, width: int, height: int, random: Generator) -> tuple[int, int, int, int]:
        """(left, top, width, height) in whole pixels."""
        aspects = (1 / self.max_aspect, self.max_aspect)
        found = _draw_box(width, height, (self.min_area, 1), aspects, (width, height), random)
        if found is not None:
            return found
        w = min(width, max(1, round(height * self.max_aspect)))
        h = min(height, max(1, round(width * self.max_aspect)))
        return (width - w) // 2, (height - h) // 2, w, h


def _draw_box(
    width: int,
    height: int,
    areas: tuple[float, float],
    aspects: tuple[float, float],
    largest: tuple[int, int],
    random: Generator,
) -> tuple[int, int, int, int] | None:
    """(left, top, width, height): area uniform, ratio of sides log-uniform; None if ten do not fit."""
    for _ in range(10):
        area = width * height * random.uniform(*areas)
        aspect = math.exp(random.uniform(math.log(aspects[0]), math.log(aspects[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= largest[0] and 0 < h <= largest[1]:
            left = int(random.integers(0, width - w, endpoint=True))
            top = int(random.integers(0, height - h, endpoint=True))
            return left, top, w, h
    return None


@dataclass(frozen=True)
class Flip:
    """Left and right exchanged with `probability`."""

    probability: float

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.draw(random) else image

    def draw(self, random: Generator) -> bool:
        """Whether this one is flipped."""
        return random.random() < self.probability


@dataclass(frozen=True)
class ColourJitter:
    """Brightness, contrast and saturation, in random order, each times a factor that is uniform in
    [1 - `strength`, 1 + `strength`]; 0.4 in the authors' code."""

    strength: float

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for number in random.permutation(3):
            factor = random.uniform(1 - self.strength, 1 + self.strength)
            image = enhancers[number](image).enhance(factor)
        return image


@dataclass(frozen=True)
class Lighting:
    """One colour added to all pixels, drawn along the principal axes of ImageNet's colours
    (Krizhevsky et al. 2012); weights have the standard deviation `std`, 0.1 in the authors' code."""

    std: float

    #: Of the colours of ImageNet, on the scale 0 to 1: `fb.resnet.torch`, datasets/imagenet.lua.
    EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
    EIGENVECTORS = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        shift = 255 * self.EIGENVECTORS @ (random.normal(0, self.std, 3) * self.EIGENVALUES)
        levels = np.arange(256)[:, None] + shift
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        return image.point(table.T.ravel().tolist())


@dataclass(frozen=True)
class Erasing:
    """With `probability`, a random box of 2 to 33 % of the picture becomes `fill` (Zhong et al. 2017).

    Boxes as those of torchvision's `RandomErasing`; with the mean colour as `fill` this is its value 0
    after normalisation.
    """

    probability: float
    fill: Colour

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        box = self.draw(*image.size, random)
        if box is not None:
            left, top, w, h = box
            image = image.copy()
            image.paste(self.fill, (left, top, left + w, top + h))
        return image

    def draw(self, width: int, height: int, random: Generator) -> tuple[int, int, int, int] | None:
        """(left, top, width, height) of the box in a picture of this size, where there is one."""
        if random.random() >= self.probability:
            return None
        return _draw_box(width, height, (0.02, 0.33), (0.3, 3.3), (width - 1, height - 1), random)


Step = PadCrop | ResizedCrop | Flip | RandAugment | TrivialAugment | ColourJitter | Lighting | Erasing


@dataclass(frozen=True)
class Augmentation:
    """Steps applied one after the other, all drawing from the sample's generator."""

    steps: tuple[Step, ...]

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        for step in self.steps:
            image = step(image, random)
        return image

    def sample(self, pictures: Pictures, index: int, random: Generator) -> Tensor:
        """Picture `index`, augmented, as uint8 (3, H, W). Raises `BadPicture`."""
        return to_tensor(self(pictures.open(index), random))
