"""Evaluation images are cut out of the whole resized image, and normalised exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resnext.contract import Resize
from resnext.data.preprocess import FILTERS, normalise, resize_and_crop, to_tensor


def make_image(width: int, height: int) -> Image.Image:
    values = np.random.default_rng((width, height)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def test_evaluation_sees_the_centre_of_the_resized_image() -> None:
    """The shorter side is resized, the longer one loses its ends; equal sizes change nothing."""
    image = make_image(30, 20)
    expected = image.resize((36, 24), FILTERS["bilinear"]).crop((8, 2, 28, 22))
    assert np.array_equal(np.asarray(resize_and_crop(image, Resize(24, 20))), np.asarray(expected))
    same = make_image(20, 20)
    assert np.array_equal(np.asarray(resize_and_crop(same, Resize(20, 20))), np.asarray(same))


@given(
    st.integers(8, 120),
    st.integers(8, 120),
    st.integers(1, 48),
    st.integers(0, 16),
    st.sampled_from(sorted(FILTERS)),
)
def test_the_whole_image_is_resized_then_cropped(
    width: int, height: int, crop: int, more: int, interpolation: str
) -> None:
    """The shorter side becomes `shorter_px` exactly, the longer keeps its ratio to within a pixel,
    and what is cut off is equal on both sides to within a pixel."""
    image, shorter = make_image(width, height), crop + more
    ratio = max(width, height) / min(width, height)
    long = [n for n in (int(shorter * ratio), int(shorter * ratio) + 1, int(shorter * ratio) - 1) if n]
    got = np.asarray(resize_and_crop(image, Resize(shorter, crop, interpolation)))
    assert got.shape == (crop, crop, 3)
    found = []
    for side in long:
        size = (side, shorter) if width >= height else (shorter, side)
        whole = np.asarray(image.resize(size, FILTERS[interpolation]))
        for top in {(size[1] - crop) // 2, (size[1] - crop + 1) // 2}:
            for left in {(size[0] - crop) // 2, (size[0] - crop + 1) // 2}:
                if top >= 0 and left >= 0:
                    found.append(np.array_equal(whole[top : top + crop, left : left + crop], got))
    assert any(found)


def test_very_long_images_take_no_more_memory_than_long_ones() -> None:
    line = Image.new("RGB", (60_000, 1), "black")
    line.putpixel((30_000, 0), (255, 255, 255))
    values = np.asarray(resize_and_crop(line, Resize(32, 32)))
    assert values.shape == (32, 32, 3)
    assert values.max() > 200  # the white pixel in its middle is seen


@pytest.mark.parametrize(("length", "cut"), [(16, 0), (17, 0), (18, 1), (34, 9), (40, 12)])
@pytest.mark.parametrize("width_px", [1, 3])
def test_the_middle_of_a_long_image_is_sixteen_times_as_long_as_wide(
    length: int, cut: int, width_px: int
) -> None:
    line = make_image(length * width_px, width_px)
    left = (length - 16) * width_px // 2
    assert left // width_px == cut
    middle = line.crop((left, 0, left + 16 * width_px, width_px))
    upright, its_middle = (one.transpose(Image.Transpose.TRANSPOSE) for one in (line, middle))
    for resize in (Resize(8, 8), Resize(24, 20, "bicubic")):
        for whole, part in ((line, middle), (upright, its_middle)):
            size = tuple(resize.shorter_px * side // width_px for side in part.size)
            resized = part.resize(size, FILTERS[resize.interpolation])
            x, y = ((side - resize.crop_px) // 2 for side in size)
            expected = resized.crop((x, y, x + resize.crop_px, y + resize.crop_px))
            assert np.array_equal(np.asarray(resize_and_crop(whole, resize)), np.asarray(expected))


def test_normalising() -> None:
    values = to_tensor(make_image(7, 5))[None]
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    exact = (values.double() / 255 - torch.tensor(mean).double().view(1, 3, 1, 1)) / torch.tensor(
        std
    ).double().view(1, 3, 1, 1)
    assert (normalise(values, mean, std) - exact).abs().max() < 1e-5
