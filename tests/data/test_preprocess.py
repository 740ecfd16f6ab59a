"""Geometry of evaluation and training pictures, against Pillow applied to the whole picture."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from resnext.contract import Resize
from resnext.data.augment import Augmentation, Flip, PadCrop, ResizedCrop, sample_generator
from resnext.data.preprocess import FILTERS, resize_and_crop

RESIZE = Resize(20, 16)


def picture(width: int, height: int) -> Image.Image:
    values = np.random.default_rng((width, height)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


@given(
    st.integers(8, 120),
    st.integers(8, 120),
    st.integers(1, 48),
    st.integers(0, 16),
    st.sampled_from(sorted(FILTERS)),
)
def test_the_whole_picture_is_resized_then_cut(
    width: int, height: int, crop: int, more: int, interpolation: str
) -> None:
    """The shorter side becomes `shorter_px` exactly, the longer keeps its ratio to within a pixel,
    and what is cut off is equal on both sides to within a pixel."""
    image, shorter = picture(width, height), crop + more
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


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (16, 16)])
def test_a_crop_that_may_not_shift_is_evaluation_s_picture(size: tuple[int, int]) -> None:
    image = picture(*size)
    still = PadCrop(RESIZE, RESIZE.crop_px, 0, (1, 2, 3))(image, sample_generator(0, 0, 0))
    assert still.tobytes() == resize_and_crop(image, RESIZE).tobytes()


def test_a_crop_of_everything_is_the_picture_resized() -> None:
    crop = ResizedCrop(16, min_area=1.0, max_aspect=1.0, interpolation="bicubic")
    image = picture(24, 24)
    assert crop(image, sample_generator(0, 0, 0)).tobytes() == image.resize((16, 16), 3).tobytes()


def test_augmented_pixels_depend_on_seed_epoch_and_index_alone() -> None:
    augmentation = Augmentation((ResizedCrop(16, 0.3, 4 / 3, "bilinear"), Flip(0.5)))
    image = picture(40, 30)
    keys = [(seed, epoch, index) for seed in (0, 1) for epoch in (0, 1) for index in (0, 1)]
    first = {key: augmentation(image, sample_generator(*key)).tobytes() for key in keys}
    again = {key: augmentation(image, sample_generator(*key)).tobytes() for key in reversed(keys)}
    assert first == again
    assert len(set(first.values())) == len(keys)
    assert image.tobytes() == picture(40, 30).tobytes()  # and leave their source as it was
