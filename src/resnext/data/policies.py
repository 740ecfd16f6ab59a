"""RandAugment and TrivialAugment: operations on pictures whose kind and strength are drawn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from numpy.random import Generator
from PIL import Image, ImageEnhance, ImageOps

Colour = tuple[int, int, int]
#: (picture, strength, colour of what comes in from outside) -> picture.
Operation = Callable[[Image.Image, float, Colour], Image.Image]

#: Strengths are numbered from 0 to this, weakest to strongest.
STRONGEST = 30


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
#: Operations that also act the other way round, each with probability one half.
SIGNED = {
    *("shear_x", "shear_y", "translate_x", "translate_y", "rotate"),
    *("brightness", "colour", "contrast", "sharpness"),
}
PLAIN = {"identity": 0.0, "autocontrast": 0.0, "equalise": 0.0}


@dataclass(frozen=True)
class RandAugment:
    """`count` operations, one after the other, all of strength `magnitude` (Cubuk et al. 2019).

    Drawn with replacement from the 14 operations of torchvision's `RandAugment`, with its strengths;
    geometry is bilinear, what comes in from outside has colour `fill`.
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
        """Of operation `name` on a picture of `size` (width, height)."""
        share = magnitude / STRONGEST
        width, height = size
        most = {
            "shear_x": 0.3,
            "shear_y": 0.3,
            "translate_x": 150 / 331 * width,
            "translate_y": 150 / 331 * height,
            "rotate": 30.0,
        }
        return _strength(name, share, most, enhance=0.9, bits_lost=4)


@dataclass(frozen=True)
class TrivialAugment:
    """One operation of a random strength (Müller and Hutter 2021, the wide set of strengths), else as
    `RandAugment`; the same operations and strengths as torchvision's `TrivialAugmentWide`."""

    fill: Colour

    def __call__(self, image: Image.Image, random: Generator) -> Image.Image:
        name = str(random.choice(list(OPERATIONS)))
        magnitude = int(random.integers(0, STRONGEST, endpoint=True))
        return _apply(image, name, self.strength(name, magnitude), self.fill, random)

    @staticmethod
    def strength(name: str, magnitude: int) -> float:
        """Of operation `name`."""
        most = {"shear_x": 0.99, "shear_y": 0.99, "translate_x": 32.0, "translate_y": 32.0, "rotate": 135.0}
        return _strength(name, magnitude / STRONGEST, most, enhance=0.99, bits_lost=6)


def _strength(name: str, share: float, most: dict[str, float], enhance: float, bits_lost: int) -> float:
    if name == "posterise":
        return 8.0 - round(share * bits_lost)
    if name == "solarise":
        return 255.0 * (1 - share)
    return PLAIN.get(name, share * most.get(name, enhance))


def _apply(image: Image.Image, name: str, strength: float, fill: Colour, random: Generator) -> Image.Image:
    if name in SIGNED and random.random() < 0.5:
        strength = -strength
    return OPERATIONS[name](image, strength, fill)
