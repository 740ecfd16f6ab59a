"""Training augmentation: a pure function of an image and a random generator.

`sample_generator` makes the generator from (seed, epoch, index). So any process can draw any sample in any
order, and a resumed run sees the same images as an uninterrupted one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from PIL import Image, ImageEnhance
from torch import Tensor

from resnext.contract import Resize
from resnext.data.autoaugment import Colour, RandAugment, TrivialAugment
from resnext.data.images import ImageDataset
from resnext.data.preprocess import FILTERS, resize_and_crop, to_tensor


def sample_generator(seed: int, epoch: int, index: int) -> Generator:
    """The random generator of image `index` in `epoch`.

    >>> sample_generator(0, 1, 2).random() == sample_generator(0, 1, 2).random()
    True
    """
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, epoch, index))))


@dataclass(frozen=True)
class PadCrop:
    """A random square of the resized image with a margin around it.

    With the mean colour as `fill` this is zero padding after normalisation, as in the authors' code.
    torchvision's `RandomCrop(size_px, padding=pad_px)` draws from the same distribution.

    Attributes:
        resize: How the image becomes the square that evaluation sees.
        size_px: Side of the square that is cut out.
        pad_px: Width of the margin on each side.
        fill: Colour of the margin.
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
        """(left, top) of the square in pixels of the resized image; negative inside the margin."""
        largest = self.resize.crop_px + self.pad_px - self.size_px
        left, top = random.integers(-self.pad_px, largest, 2, endpoint=True).tolist()
        return left, top


@dataclass(frozen=True)
class ResizedCrop:
    """A random box of the image, resized to a square (Szegedy et al. 2015).

    The area of the box is a uniform share of the image's in [`min_area`, 1], its ratio of width to height is
    log-uniform in [1 / `max_aspect`, `max_aspect`]. After ten boxes that do not fit, it is the largest
    centred box of an allowed ratio. torchvision's `RandomResizedCrop` draws from the same distribution, and
    gives the same pixels for the same box.

    Attributes:
        size_px: Side of the square.
        min_area: Least share of the area, from 0 to 1.
        max_aspect: Largest ratio of the longer to the shorter side of the box.
        interpolation: Filter of the resize, a key of `FILTERS`.
    """

    size_px: int
    min_area: float
    max_aspect: float
    interpolation: str

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        left, top, width, height = self.box(*image.size, random)
        box = image.crop((left, top, left + width, top + height))  # `resize(box=)` reads pixels outside it
        return box.resize((self.size_px, self.size_px), FILTERS[self.interpolation])

    def box(self, width: int, height: int, random: Generator) -> tuple[int, int, int, int]:
        """(left, top, width, height) of the box in an image of this size, in pixels."""
        aspects = (1 / self.max_aspect, self.max_aspect)
        box = _draw_box(width, height, (self.min_area, 1), aspects, (width, height), random)
        if box is not None:
            return box
        w, h = min(width, round(height * self.max_aspect)), min(height, round(width * self.max_aspect))
        return (width - w) // 2, (height - h) // 2, w, h


def _draw_box(
    width: int,
    height: int,
    areas: tuple[float, float],
    aspects: tuple[float, float],
    max_size: tuple[int, int],
    random: Generator,
) -> tuple[int, int, int, int] | None:
    """(left, top, width, height) of a random box in an image; None after ten boxes that do not fit.

    Args:
        width: Width of the image in pixels.
        height: Height of the image in pixels.
        areas: Least and largest share of the image's area; the draw is uniform.
        aspects: Least and largest ratio of width to height; the draw is log-uniform.
        max_size: Largest width and height of the box in pixels.
        random: Generator of the draws.
    """
    for _ in range(10):
        area = width * height * random.uniform(*areas)
        aspect = math.exp(random.uniform(math.log(aspects[0]), math.log(aspects[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= max_size[0] and 0 < h <= max_size[1]:
            left = int(random.integers(0, width - w, endpoint=True))
            top = int(random.integers(0, height - h, endpoint=True))
            return left, top, w, h
    return None


@dataclass(frozen=True)
class Flip:
    """A left-right flip with `probability`."""

    probability: float

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        return image.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if self.draw(random) else image

    def draw(self, random: Generator) -> bool:
        """Whether the image is flipped."""
        return random.random() < self.probability


@dataclass(frozen=True)
class ColourJitter:
    """Random changes of brightness, contrast and saturation, in random order.

    Attributes:
        strength: Each is multiplied by a uniform factor in [1 - `strength`, 1 + `strength`]; 0.4 in the
            authors' code.
    """

    strength: float

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        enhancers = (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color)
        for number in random.permutation(3):
            factor = random.uniform(1 - self.strength, 1 + self.strength)
            image = enhancers[number](image).enhance(factor)
        return image


@dataclass(frozen=True)
class Lighting:
    """One random colour added to all pixels, along the principal axes of ImageNet's colours.

    Source: Krizhevsky et al. 2012.

    Attributes:
        std: Standard deviation of the weight of each axis; 0.1 in the authors' code.
    """

    std: float

    #: Principal axes of ImageNet's colours, on the scale 0 to 1: `fb.resnet.torch`, datasets/imagenet.lua.
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
    """A random box of 2 to 33 % of the image is erased (Zhong et al. 2017).

    Boxes are drawn as by torchvision's `RandomErasing`; with the mean colour as `fill` this is its value 0
    after normalisation.

    Attributes:
        probability: Probability that a box is erased.
        fill: Colour of the box.
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
        """(left, top, width, height) of the box in an image of this size, in pixels; None for no box."""
        if random.random() >= self.probability:
            return None
        return _draw_box(width, height, (0.02, 0.33), (0.3, 3.3), (width - 1, height - 1), random)


AugmentStep = PadCrop | ResizedCrop | Flip | RandAugment | TrivialAugment | ColourJitter | Lighting | Erasing


@dataclass(frozen=True)
class Augmentation:
    """Steps that are applied one after the other; all draw from the same generator.

    >>> augmentation = Augmentation((ResizedCrop(16, 0.35, 4 / 3, "bilinear"), Flip(0.5)))
    >>> augmentation(Image.new("RGB", (40, 30)), sample_generator(0, 0, 0)).size
    (16, 16)
    """

    steps: tuple[AugmentStep, ...]

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        for step in self.steps:
            image = step(image, random)
        return image

    def sample(self, images: ImageDataset, index: int, random: Generator) -> Tensor:
        """Image `index` of `images`, augmented: uint8 (3, H, W).

        Raises:
            BadImage: If the image cannot be read.
        """
        return to_tensor(self(images.open(index), random))
