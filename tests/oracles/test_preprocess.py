"""Preprocessing at evaluation gives the pixels of torchvision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resnext.contract import Resize
from resnext.data.preprocess import five_crops, normalise, resize_and_crop, to_tensor


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (640, 97), (64, 64), (31, 33)])
def test_evaluation_images(size: tuple[int, int], interpolation: str, torchvision: Any) -> None:
    from torchvision import transforms

    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(values)
    mode = transforms.InterpolationMode(interpolation)
    theirs = transforms.Compose([transforms.Resize(73, mode, antialias=True), transforms.CenterCrop(64)])(
        image
    )
    ours = resize_and_crop(image, Resize(73, 64, interpolation))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@given(
    st.integers(3, 150), st.integers(3, 150), st.integers(1, 70), st.integers(0, 20), st.sampled_from([2, 3])
)
@settings(max_examples=150)
def test_every_geometry(
    torchvision: Any, width: int, height: int, crop: int, more: int, filter_code: int
) -> None:
    from torchvision import transforms

    # Longer images lose their ends here before they are resized; torchvision's do not.
    width, height = min(width, 16 * height), min(height, 16 * width)
    values = np.random.default_rng((width, height)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    name = {2: "bilinear", 3: "bicubic"}[filter_code]
    mode = transforms.InterpolationMode(name)
    theirs = transforms.Compose(
        [transforms.Resize(crop + more, mode, antialias=True), transforms.CenterCrop(crop)]
    )(Image.fromarray(values))
    ours = resize_and_crop(Image.fromarray(values), Resize(crop + more, crop, name))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("size", [(60, 45), (45, 60), (31, 31)])
def test_five_crops(size: tuple[int, int], torchvision: Any) -> None:
    from torchvision import transforms

    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(values)
    theirs = transforms.Compose([transforms.Resize(40, antialias=True), transforms.FiveCrop(32)])(image)
    for mine, reference in zip(five_crops(image, Resize(40, 32)), theirs, strict=True):
        assert np.array_equal(np.asarray(mine), np.asarray(reference))


def test_normalised_values(torchvision: Any) -> None:
    from torchvision import transforms

    image = Image.fromarray(np.arange(256 * 3, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])(image)
    ours = normalise(to_tensor(image)[None], mean, std)[0]
    assert (ours - theirs).abs().max() < 2e-6
