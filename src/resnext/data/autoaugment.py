"""RandAugment and TrivialAugment: random operations of random strength on images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageOps

Colour = tuple[int, int, int]
#: (image, strength, colour of pixels that come from outside the image) -> image.
Operation = Callable[[Image.Image, float, Colour], Image.Image]

#: Largest magnitude; magnitudes are whole numbers from 0, the weakest.
MAX_MAGNITUDE = 30


def _affine(image: Image.Image, matrix: tuple[float, ...], fill: Colour) -> Image.Image:
    return image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill
    )


def _shear_x(image: Image.Image, by: float, fill: Colour) -> Image.Image:
    return _affine(image, (1, by, 0, 0, 1, 0), fill)


def _shear_y(image: Image.Image, by: float, fill: Colour) -> Image.Image:
    return _affine(image, (1, 0, 0, by, 1, 0), fill)


def _translate_x(image: Image.Image, by: float, fill: Colour) -> Image.Image:
    return _affine(image, (1, 0, -int(by), 0, 1, 0), fill)


def _translate_y(image: Image.Image, by: float, fill: Colour) -> Image.Image:
    return _affine(image, (1, 0, 0, 0, 1, -int(by)), fill)


def _rotate(image: Image.Image, degrees: float, fill: Colour) -> Image.Image:
    return image.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=fill)


def _enhance(enhancer: Callable[[Image.Image], ImageEnhance._Enhance]) -> Operation:
    return lambda image, by, _: enhancer(image).enhance(1 + by)


OPERATIONS: dict[str, Operation] = {
    "identity": lambda image, *_: image,
    "shear_x": _shear_x,
    "shear_y": _shear_y,
    "translate_x": _translate_x,
    "translate_y": _translate_y,
    "rotate": _rotate,
    "brightness": _enhance(ImageEnhance.Brightness),
    "colour": _enhance(ImageEnhance.Color),
    "contrast": _enhance(ImageEnhance.Contrast),
    "sharpness": _enhance(ImageEnhance.Sharpness),
    "posterise": lambda image, bits, _: ImageOps.posterize(image, int(bits)),
    "solarise": lambda image, threshold, _: ImageOps.solarize(image, threshold),  # type: ignore[arg-type]
    "autocontrast": lambda image, *_: ImageOps.autocontrast(image),
    "equalise": lambda image, *_: ImageOps.equalize(image),
}
#: Operations whose strength is negated with probability one half.
SIGNED = {
    *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "colour", "contrast", "sharpness"),
}
#: Operations without a strength.
WITHOUT_STRENGTH = {"identity": 0.0, "autocontrast": 0.0, "equalise": 0.0}


@dataclass(frozen=True)
class RandAugment:
    """Random operations one after the other, all of one magnitude (Cubuk et al. 2019).

    They are drawn with replacement from the 14 operations of torchvision's `RandAugment`, with its strengths.
    Geometric operations interpolate bilinearly.

    Attributes:
        count: Number of operations.
        magnitude: Strength of all of them, from 0 to `MAX_MAGNITUDE`.
        fill: Colour of pixels that come from outside the image.
    """

    count: int
    magnitude: int
    fill: Colour

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        for _ in range(self.count):
            name = str(random.choice(list(OPERATIONS)))
            image = _apply(image, name, self.strength(name, self.magnitude, image.size), self.fill, random)
        return image

    @staticmethod
    def strength(name: str, magnitude: int, size: tuple[int, int]) -> float:
        """Strength of operation `name` on an image of `size` (width, height), in the operation's unit."""
        share = magnitude / MAX_MAGNITUDE
        width, height = size
        largest = {
            "shear_x": 0.3,
            "shear_y": 0.3,
            "translate_x": 150 / 331 * width,
            "translate_y": 150 / 331 * height,
            "rotate": 30.0,
        }
        return _strength(name, share, largest, enhance=0.9, bits_lost=4)


@dataclass(frozen=True)
class TrivialAugment:
    """One random operation of random magnitude, with the wide range of strengths (Müller and Hutter 2021).

    Operations and strengths are those of torchvision's `TrivialAugmentWide`; geometric operations interpolate
    bilinearly.

    Attributes:
        fill: Colour of pixels that come from outside the image.
    """

    fill: Colour

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        name = str(random.choice(list(OPERATIONS)))
        magnitude = int(random.integers(0, MAX_MAGNITUDE, endpoint=True))
        return _apply(image, name, self.strength(name, magnitude), self.fill, random)

    @staticmethod
    def strength(name: str, magnitude: int) -> float:
        """Strength of operation `name`, in the operation's unit."""
        largest = {
            "shear_x": 0.99,
            "shear_y": 0.99,
            "translate_x": 32.0,
            "translate_y": 32.0,
            "rotate": 135.0,
        }
        return _strength(name, magnitude / MAX_MAGNITUDE, largest, enhance=0.99, bits_lost=6)


def _strength(name: str, share: float, largest: dict[str, float], enhance: float, bits_lost: int) -> float:
    """Strength of operation `name` at `share` (0 to 1) of the largest; `enhance` is for colour changes."""
    if name == "posterise":
        return 8.0 - round(share * bits_lost)
    if name == "solarise":
        return 255.0 * (1 - share)
    return WITHOUT_STRENGTH.get(name, share * largest.get(name, enhance))


def _apply(image: Image.Image, name: str, strength: float, fill: Colour, random: Generator) -> Image.Image:
    if name in SIGNED and random.random() < 0.5:
        strength = -strength
    return OPERATIONS[name](image, strength, fill)
