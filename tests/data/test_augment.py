"""Training augmentation: geometry, distributions, and random draws that depend on the sample alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.contract import Resize
from resnext.data.augment import (
    Augmentation,
    Erasing,
    Flip,
    Lighting,
    PadCrop,
    ResizedCrop,
    sample_generator,
)
from resnext.data.autoaugment import MAX_MAGNITUDE, OPERATIONS, SIGNED, TrivialAugment, _apply
from resnext.data.preprocess import resize_and_crop

RESIZE = Resize(20, 16)
#: FACTS: the principal axes of ImageNet's colours, as in fb.resnet.torch, datasets/imagenet.lua.
EIGENVALUES = np.array([0.2175, 0.0188, 0.0045])
EIGENVECTORS = np.array([[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]])


def make_image(width: int, height: int) -> Image.Image:
    values = np.random.default_rng((width, height)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (16, 16)])
def test_a_pad_crop_without_margin_is_the_evaluation_image(size: tuple[int, int]) -> None:
    image = make_image(*size)
    still = PadCrop(RESIZE, RESIZE.crop_px, 0, (1, 2, 3))(image, sample_generator(0, 0, 0))
    assert still.tobytes() == resize_and_crop(image, RESIZE).tobytes()


def test_a_resized_crop_of_everything_is_the_resized_image() -> None:
    crop = ResizedCrop(16, min_area=1.0, max_aspect=1.0, interpolation="bicubic")
    image = make_image(24, 24)
    assert crop(image, sample_generator(0, 0, 0)).tobytes() == image.resize((16, 16), 3).tobytes()


def test_augmented_pixels_depend_on_seed_epoch_and_index_alone() -> None:
    augmentation = Augmentation((ResizedCrop(16, 0.3, 4 / 3, "bilinear"), Flip(0.5)))
    image = make_image(40, 30)
    keys = [(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1) for index in (0, 1)]
    first = {key: augmentation(image, sample_generator(*key)).tobytes() for key in keys}
    again = {key: augmentation(image, sample_generator(*key)).tobytes() for key in reversed(keys)}
    assert first == again
    assert len(set(first.values())) == len(keys)
    assert image.tobytes() == make_image(40, 30).tobytes()  # and leave their source as it was


@pytest.mark.parametrize(("size", "pad"), [(16, 4), (12, 2), (12, 0), (18, 3)])
def test_the_pad_crop_takes_every_square_of_the_padded_image(size: int, pad: int) -> None:
    image, fill = make_image(16, 16), (9, 8, 7)
    padded = np.empty((16 + 2 * pad, 16 + 2 * pad, 3), np.uint8)
    padded[:] = fill
    padded[pad : pad + 16, pad : pad + 16] = np.asarray(image)
    ways = 16 + 2 * pad - size + 1
    seen = set()
    for index in range(6 * ways**2):
        crop = PadCrop(Resize(16, 16), size, pad, fill)
        square = np.asarray(crop(image, sample_generator(0, 0, index)))
        places = [
            (y, x)
            for y in range(ways)
            for x in range(ways)
            if np.array_equal(square, padded[y : y + size, x : x + size])
        ]
        assert len(places) == 1
        seen.update(places)
    assert len(seen) > 0.95 * ways**2


def test_a_resized_crop_lies_inside_and_keeps_its_share() -> None:
    crop = ResizedCrop(8, min_area=0.3, max_aspect=4 / 3, interpolation="bilinear")
    for index in range(500):
        left, top, width, height = crop.box(50, 40, sample_generator(0, 0, index))
        assert 0 <= left <= left + width <= 50
        assert 0 <= top <= top + height <= 40
        assert 0.28 <= width * height / 2000 <= 1
        assert 0.72 <= width / height <= 1.39
    assert crop.box(500, 10, sample_generator(0, 0, 0))[3] == 10  # nothing fits: the centre
    assert crop(make_image(50, 40), sample_generator(0, 0, 0)).size == (8, 8)


def test_flips_have_their_probability() -> None:
    image = make_image(4, 4)
    mirrored = np.asarray(image)[:, ::-1]
    results = [np.asarray(Flip(0.25)(image, sample_generator(1, 2, i))) for i in range(2000)]
    share = np.mean([np.array_equal(r, mirrored) for r in results])
    assert abs(share - 0.25) < 4 * (0.25 * 0.75 / 2000) ** 0.5
    assert not any(
        np.array_equal(np.asarray(Flip(0)(image, sample_generator(1, 2, i))), mirrored) for i in range(50)
    )


def test_samples_depend_on_seed_epoch_and_index_alone() -> None:
    draws = {
        key: sample_generator(*key).random()
        for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 10**7)]
    }
    assert len(set(draws.values())) == len(draws)
    assert all(sample_generator(*key).random() == value for key, value in draws.items())


def test_lighting_adds_one_colour_along_the_axes() -> None:
    flat = Image.new("RGB", (4, 4), (100, 120, 140))
    shifts = []
    for index in range(3000):
        changed = np.asarray(Lighting(0.1)(flat, sample_generator(0, 0, index))).astype(float)
        assert (changed == changed[0, 0]).all()
        shifts.append(changed[0, 0] - (100, 120, 140))
    axes = EIGENVECTORS
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-3)
    expected = axes @ np.diag((255 * 0.1 * EIGENVALUES) ** 2) @ axes.T
    assert np.allclose(np.cov(np.array(shifts).T), expected, atol=2.5)
    extreme = np.asarray(Lighting(50.0)(flat, sample_generator(0, 0, 0)))
    assert set(np.unique(extreme)) <= {0, 255}  # clipped, not wrapped


def test_lighting_is_its_formula() -> None:
    """Pixel + 255 V (alpha * lambda), rounded and clipped: Krizhevsky et al. 2012, section 4.1."""
    image = make_image(40, 30)
    for std in (0.1, 3.0):
        for index in range(20):
            alpha = sample_generator(0, 0, index).normal(0, std, 3)
            shift = 255 * EIGENVECTORS @ (alpha * EIGENVALUES)
            expected = np.clip(np.rint(np.asarray(image) + shift), 0, 255)
            ours = np.asarray(Lighting(std)(image, sample_generator(0, 0, index)))
            assert np.array_equal(ours, expected)


class Draws:
    """A generator whose uniform draws from [0, 1) are given, and which counts those of other ranges."""

    def __init__(self, draw: float = 0.0) -> None:
        self.draw, self.ranges = draw, 0

    def random(self) -> float:
        return self.draw

    def uniform(self, low: float, high: float) -> float:
        self.ranges += 1
        return (low + high) / 2

    def integers(self, low: int, high: int, endpoint: bool) -> int:
        return low


@pytest.mark.parametrize("eighths", [0, 2, 5, 8])
def test_a_probability_is_that_share_of_all_draws(eighths: int) -> None:
    """Of eight draws at equal distances, so many eighths act."""
    draws: list[Any] = [Draws(number / 8) for number in range(8)]
    assert sum(Flip(eighths / 8).draw(one) for one in draws) == eighths
    erasing = Erasing(eighths / 8, (0, 0, 0))
    assert sum(erasing.draw(32, 32, one) is not None for one in draws) == eighths


def test_ten_boxes_are_tried() -> None:
    crop, random = ResizedCrop(8, min_area=1.0, max_aspect=1.0, interpolation="bilinear"), Draws()
    assert crop.box(50, 40, random) == (5, 0, 40, 40)  # type: ignore[arg-type]
    assert random.ranges == 2 * 10


def test_the_area_of_a_crop_is_between_its_least_share_and_the_whole() -> None:
    """The middle of both where the draw is: 60 % of 40 x 40 are 31 x 31."""
    crop = ResizedCrop(8, min_area=0.2, max_aspect=1.0, interpolation="bilinear")
    assert crop.box(40, 40, Draws()) == (0, 0, 31, 31)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("size", "widest", "highest"), [((10, 10), 9, 9), ((20, 5), 10, 4), ((5, 20), 4, 10), ((40, 40), 39, 39)]
)
def test_erased_boxes_take_every_size_and_place(size: tuple[int, int], widest: int, highest: int) -> None:
    """From one pixel (or 2 % of the area) to 33 %, at least one pixel less than the image on each side."""
    drawn = [Erasing(1.0, (0, 0, 0)).draw(*size, sample_generator(0, 0, index)) for index in range(4000)]
    boxes = [box for box in drawn if box is not None]
    assert len(boxes) > 3950  # of ten tries one fits
    left, top, width, height = np.array(boxes).T
    assert (width.max(), height.max()) == (widest, highest)
    area = size[0] * size[1]
    least = [max(1, round((0.02 * area * ratio) ** 0.5)) for ratio in (0.3, 1 / 3.3)]
    assert (width.min(), height.min()) == tuple(least)
    assert (left.min(), top.min()) == (0, 0)
    assert ((left + width).max(), (top + height).max()) == size


def test_crops_of_the_smallest_images() -> None:
    crop = ResizedCrop(8, min_area=0.08, max_aspect=4 / 3, interpolation="bilinear")
    of_one = {crop.box(1, 1, sample_generator(0, 0, index)) for index in range(200)}
    assert of_one == {(0, 0, 1, 1)}
    of_four = {crop.box(2, 2, sample_generator(0, 0, index)) for index in range(500)}
    squares = {(x, y, 1, 1) for x in (0, 1) for y in (0, 1)}
    assert of_four == squares | {(0, y, 2, 1) for y in (0, 1)} | {(x, 0, 1, 2) for x in (0, 1)} | {
        (0, 0, 2, 2)
    }


def test_signs_and_magnitudes_of_the_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """All magnitudes are drawn; an operation that has a sign is negated half of the time, others never."""
    strengths: dict[str, list[float]] = {name: [] for name in OPERATIONS}

    def note(name: str) -> Any:
        return lambda image, strength, fill: (strengths[name].append(strength), image)[1]

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, note(name))
    image = make_image(4, 4)
    for index in range(9000):
        TrivialAugment((0, 0, 0))(image, sample_generator(0, 0, index))
    for name, drawn in strengths.items():
        known = {TrivialAugment.strength(name, magnitude) for magnitude in range(MAX_MAGNITUDE + 1)}
        assert {abs(strength) for strength in drawn} == {abs(strength) for strength in known}
        moved = [strength for strength in drawn if strength]
        share = np.mean([strength < 0 for strength in moved]) if moved else 0
        assert abs(share - 0.5) < 0.1 if name in SIGNED else share == 0, name


def test_a_sign_is_drawn_below_one_half() -> None:
    seen = []
    for draw in (0.0, 0.49, 0.5, 0.75):
        flat = Image.new("RGB", (9, 9), "white")
        moved = _apply(flat, "translate_x", 3.0, (0, 0, 0), Draws(draw))  # type: ignore[arg-type]
        seen.append("left" if moved.getpixel((8, 0)) == (0, 0, 0) else "right")
    assert seen == ["left", "left", "right", "right"]
