"""The fast way to a training crop gives the exact one's pixels."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from resnext.data.augment import Augmentation, Flip, Lighting, ResizedCrop, sample_generator
from resnext.data.decode import BadPicture, decode
from resnext.data.fast import FastAugmentation, Jpeg
from resnext.data.pictures import Loose, Pictures


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Smooth and coloured, with a few hard edges."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Image.fromarray(noise).filter(ImageFilter.GaussianBlur(2))
    for _ in range(5):
        x, y = int(random.integers(width)), int(random.integers(height))
        colour = tuple(int(v) for v in random.integers(0, 256, 3))
        image.paste(colour, (x, y, x + width // 5, y + height // 7))
    return image


def stored(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@dataclass
class Stored(Pictures):
    """Encoded pictures, and how often each was opened the exact way."""

    items: list[bytes]
    opened: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__([f"{i}.jpg" for i in range(len(self.items))], np.zeros(len(self.items), int), ("a",))

    def open(self, index: int) -> Image.Image:
        self.opened.append(index)
        return decode(self.items[index], self.keys[index])

    def stored(self, index: int) -> bytes:
        return self.items[index]

    def weigh(self, index: int) -> int:
        return len(self.items[index])


def both(item: bytes, steps: tuple[Any, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The picture by the exact and by the fast way, as integers (3, H, W)."""
    kinds = (Augmentation, FastAugmentation)
    exact, fast = (kind(steps).sample(Stored([item]), 0, sample_generator(seed, 0, 0)) for kind in kinds)
    assert exact.shape == fast.shape
    assert exact.stride() == fast.stride()  # channels last: batches need no other order
    assert exact.dtype == fast.dtype
    return exact.numpy().astype(int), fast.numpy().astype(int)


def steps(size_px: int = 64, min_area: float = 0.08, interpolation: str = "bilinear") -> tuple[Any, ...]:
    return ResizedCrop(size_px, min_area, 4 / 3, interpolation), Flip(0.5)


ORDINARY = {
    "colour": stored(photograph(200, 150), quality=90),
    "whole colour resolution": stored(photograph(200, 150), quality=95, subsampling=0),
    "progressive": stored(photograph(150, 200), progressive=True),
    "grey": stored(photograph(200, 150).convert("L")),
    "odd sides": stored(photograph(173, 111)),
    "smaller than the crop": stored(photograph(40, 30)),
}


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", ORDINARY)
def test_pixels_are_the_exact_ones(name: str, interpolation: str) -> None:
    assert Jpeg.open(ORDINARY[name]) is not None
    for seed in range(12):
        exact, fast = both(ORDINARY[name], steps(interpolation=interpolation), seed)
        assert np.abs(exact - fast).max() <= (1 if interpolation == "bilinear" else 3)
        assert np.abs(exact - fast).mean() < 0.1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_that_lie_are_put_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    item = stored(photograph(200, 120), exif=exif)
    for seed in range(4):
        exact, fast = both(item, steps(), seed)
        assert np.abs(exact - fast).max() <= 1
        exact, fast = both(stored(photograph(1000, 700), exif=exif), steps(min_area=0.5), seed)
        assert np.abs(exact - fast).mean() < 1.5
        assert np.quantile(np.abs(exact - fast), 0.99) <= 16  # at edges: half of a pixel decoded


def test_large_pictures_are_decoded_no_larger_than_the_crop_needs() -> None:
    item = stored(photograph(1600, 1200), quality=90)
    jpeg = Jpeg.open(item)
    assert jpeg is not None
    values = jpeg.decode((100, 100, 1200, 900), 64)
    assert values is not None
    assert min(values.shape[:2]) >= 2 * 64
    assert values.size < 1200 * 900 * 3 / 15
    for seed in range(8):
        exact, fast = both(item, steps(min_area=0.25), seed)
        assert np.abs(exact - fast).mean() < 1.5  # a box may begin half a pixel of the smaller one elsewhere


def test_later_steps_see_the_same_draws() -> None:
    for seed in range(6):
        exact, fast = both(ORDINARY["colour"], (*steps(), Lighting(0.5)), seed)
        assert np.abs(exact - fast).max() <= 1


@pytest.mark.parametrize(
    "item",
    [
        stored(photograph(90, 80), "PNG"),
        stored(photograph(90, 80).convert("CMYK")),
        stored(photograph(90, 80), "WEBP", lossless=True),
    ],
    ids=["PNG", "CMYK", "WebP"],
)
def test_other_pictures_go_the_exact_way(item: bytes) -> None:
    assert Jpeg.open(item) is None
    exact, fast = both(item, steps(32))
    np.testing.assert_array_equal(exact, fast)


def test_pictures_that_are_not_stored_go_the_exact_way() -> None:
    pictures = Loose([photograph(90, 80)])
    kinds = (Augmentation, FastAugmentation)
    exact, fast = (kind(steps(32)).sample(pictures, 0, sample_generator(0, 0, 0)) for kind in kinds)
    assert exact.equal(fast)


@pytest.mark.parametrize("cut", [0, 3, 50, 400, 2000])
def test_a_damaged_picture_is_named(cut: int) -> None:
    with pytest.raises(BadPicture, match=r"0\.jpg"):
        FastAugmentation(steps(32)).sample(Stored([ORDINARY["colour"][:cut]]), 0, sample_generator(0, 0, 0))
