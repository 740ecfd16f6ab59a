"""The fast decoder gives training crops with the pixels of the exact one."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from resnext.data.augment import Augmentation, Flip, Lighting, ResizedCrop, sample_generator
from resnext.data.decode import BadImage, decode
from resnext.data.fast_jpeg import FastAugmentation
from resnext.data.images import ImageDataset
from resnext.data.jpeg import Jpeg
from resnext.data.stored_images import UnlabelledImages


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


def encoded(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@dataclass
class StoredImages(ImageDataset):
    """Encoded images, and the indices of those that were opened by the exact decoder."""

    items: list[bytes]
    opened: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__([f"{i}.jpg" for i in range(len(self.items))], np.zeros(len(self.items), int), ("a",))

    def open(self, index: int) -> Image.Image:
        self.opened.append(index)
        return decode(self.items[index], self.keys[index])

    def read_bytes(self, index: int) -> bytes:
        return self.items[index]

    def stored_size(self, index: int) -> int:
        return len(self.items[index])


def both(item: bytes, steps: tuple[Any, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The crop by the exact and by the fast decoder, as integers (3, H, W)."""
    kinds = (Augmentation, FastAugmentation)
    exact, fast = (
        kind(steps).sample(StoredImages([item]), 0, sample_generator(seed, 0, 0)) for kind in kinds
    )
    assert exact.shape == fast.shape
    assert exact.stride() == fast.stride()  # channels last, as batches are
    assert exact.dtype == fast.dtype
    return exact.numpy().astype(int), fast.numpy().astype(int)


def steps(size_px: int = 64, min_area: float = 0.08, interpolation: str = "bilinear") -> tuple[Any, ...]:
    return ResizedCrop(size_px, min_area, 4 / 3, interpolation), Flip(0.5)


ORDINARY = {
    "colour": encoded(photograph(200, 150), quality=90),
    "whole colour resolution": encoded(photograph(200, 150), quality=95, subsampling=0),
    "progressive": encoded(photograph(150, 200), progressive=True),
    "grey": encoded(photograph(200, 150).convert("L")),
    "odd sides": encoded(photograph(173, 111)),
    "smaller than the crop": encoded(photograph(40, 30)),
}


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("name", ORDINARY)
def test_pixels_are_those_of_the_exact_decoder(name: str, interpolation: str) -> None:
    assert Jpeg.open(ORDINARY[name]) is not None
    for seed in range(12):
        exact, fast = both(ORDINARY[name], steps(interpolation=interpolation), seed)
        assert np.abs(exact - fast).max() <= (1 if interpolation == "bilinear" else 3)
        assert np.abs(exact - fast).mean() < 0.1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_rotated_images_are_put_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    item = encoded(photograph(200, 120), exif=exif)
    for seed in range(4):
        exact, fast = both(item, steps(), seed)
        assert np.abs(exact - fast).max() <= 1
        exact, fast = both(encoded(photograph(1000, 700), exif=exif), steps(min_area=0.5), seed)
        assert np.abs(exact - fast).mean() < 1.5
        assert np.quantile(np.abs(exact - fast), 0.99) <= 16  # at edges, by half a decoded pixel


def test_large_images_are_decoded_no_larger_than_the_crop_needs() -> None:
    item = encoded(photograph(1600, 1200), quality=90)
    jpeg = Jpeg.open(item)
    assert jpeg is not None
    values = jpeg.decode((100, 100, 1200, 900), 64)
    assert values is not None
    assert min(values.shape[:2]) >= 2 * 64
    assert values.size < 1200 * 900 * 3 / 15
    for seed in range(8):
        exact, fast = both(item, steps(min_area=0.25), seed)
        assert np.abs(exact - fast).mean() < 1.5  # a box may shift by half a decoded pixel


def test_later_steps_see_the_same_draws() -> None:
    for seed in range(6):
        exact, fast = both(ORDINARY["colour"], (*steps(), Lighting(0.5)), seed)
        assert np.abs(exact - fast).max() <= 1


@pytest.mark.parametrize(
    "item",
    [
        encoded(photograph(90, 80), "PNG"),
        encoded(photograph(90, 80).convert("CMYK")),
        encoded(photograph(90, 80), "WEBP", lossless=True),
    ],
    ids=["PNG", "CMYK", "WebP"],
)
def test_other_formats_use_the_exact_decoder(item: bytes) -> None:
    assert Jpeg.open(item) is None
    exact, fast = both(item, steps(32))
    np.testing.assert_array_equal(exact, fast)


def test_images_without_bytes_use_the_exact_decoder() -> None:
    images = UnlabelledImages([photograph(90, 80)])
    kinds = (Augmentation, FastAugmentation)
    exact, fast = (kind(steps(32)).sample(images, 0, sample_generator(0, 0, 0)) for kind in kinds)
    assert exact.equal(fast)


@pytest.mark.parametrize("cut", [0, 3, 50, 400, 2000])
def test_a_damaged_image_is_named(cut: int) -> None:
    with pytest.raises(BadImage, match=r"0\.jpg"):
        FastAugmentation(steps(32)).sample(
            StoredImages([ORDINARY["colour"][:cut]]), 0, sample_generator(0, 0, 0)
        )


def test_a_header_that_claims_too_much_goes_to_the_exact_decoder() -> None:
    """It would take 13 GB to decode to; the exact decoder names the limit."""
    data = bytearray(encoded(photograph(40, 30)))
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = b"\xff\xff" * 2
    images = StoredImages([bytes(data)])
    assert Jpeg.open(bytes(data)) is None
    steps = ResizedCrop(16, 0.3, 1.3, "bilinear"), Flip(0.5)
    with pytest.raises(BadImage, match="MAX_PIXELS"):
        FastAugmentation(steps).sample(images, 0, sample_generator(0, 0, 0))


def test_metadata_that_pillow_cannot_read_go_to_the_exact_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(photograph(40, 30), exif=exif)
    jpeg = Jpeg.open(data)
    assert jpeg is not None
    assert jpeg.orientation == 6

    def broken(*_: object, **__: object) -> Image.Image:
        raise SyntaxError("not a JPEG file")

    monkeypatch.setattr("resnext.data.jpeg.Image.open", broken)
    assert Jpeg.open(data) is None
