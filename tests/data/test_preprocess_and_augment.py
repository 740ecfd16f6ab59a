"""Pixels on their way to the network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from resnext.contract import Resize
from resnext.data.augment import Flip, Lighting, PadCrop, ResizedCrop, sample_generator
from resnext.data.preprocess import FILTERS, normalise, resize_and_crop, to_tensor

RNG = np.random.default_rng(0)


def picture(width: int, height: int) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_what_evaluation_sees() -> None:
    """The shorter side is resized, the longer one loses its ends; equal sizes change nothing."""
    image = picture(30, 20)
    expected = image.resize((36, 24), FILTERS["bilinear"]).crop((8, 2, 28, 22))
    assert np.array_equal(np.asarray(resize_and_crop(image, Resize(24, 20))), np.asarray(expected))
    same = picture(20, 20)
    assert np.array_equal(np.asarray(resize_and_crop(same, Resize(20, 20))), np.asarray(same))


def test_very_long_pictures_cost_no_more_than_long_ones() -> None:
    line = Image.new("RGB", (60_000, 1), "black")
    line.putpixel((30_000, 0), (255, 255, 255))
    values = np.asarray(resize_and_crop(line, Resize(32, 32)))
    assert values.shape == (32, 32, 3)
    assert values.max() > 200  # the white pixel in its middle is seen


def test_normalising() -> None:
    values = to_tensor(picture(7, 5))[None]
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    exact = (values.double() / 255 - torch.tensor(mean).double().view(1, 3, 1, 1)) / torch.tensor(
        std
    ).double().view(1, 3, 1, 1)
    assert (normalise(values, mean, std) - exact).abs().max() < 1e-5


@pytest.mark.parametrize(("size", "pad"), [(16, 4), (12, 2), (12, 0), (18, 3)])
def test_the_pad_crop_takes_every_square_of_the_padded_picture(size: int, pad: int) -> None:
    image, fill = picture(16, 16), (9, 8, 7)
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
    assert crop(picture(50, 40), sample_generator(0, 0, 0)).size == (8, 8)


def test_flips_come_with_their_probability() -> None:
    image = picture(4, 4)
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
