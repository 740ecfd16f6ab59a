"""Training augmentation: geometry, distributions, and random draws that depend on the sample alone."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from resnext.contract import Resize
from resnext.data.augment import Augmentation, Flip, Lighting, PadCrop, ResizedCrop, sample_generator
from resnext.data.preprocess import resize_and_crop

RESIZE = Resize(20, 16)


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
    axes = Lighting.EIGENVECTORS
    assert np.allclose(axes.T @ axes, np.eye(3), atol=1e-3)
    expected = axes @ np.diag((255 * 0.1 * Lighting.EIGENVALUES) ** 2) @ axes.T
    assert np.allclose(np.cov(np.array(shifts).T), expected, atol=2.5)
    extreme = np.asarray(Lighting(50.0)(flat, sample_generator(0, 0, 0)))
    assert set(np.unique(extreme)) <= {0, 255}  # clipped, not wrapped
