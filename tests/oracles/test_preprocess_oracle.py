"""Corners of the pre-processing, as torchvision's: any geometry, and crops where nothing fits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from resnext.contract import Resize
from resnext.data.augment import ResizedCrop, sample_generator
from resnext.data.preprocess import normalise, resize_and_crop, to_tensor


@given(
    st.integers(3, 150), st.integers(3, 150), st.integers(1, 70), st.integers(0, 20), st.sampled_from([2, 3])
)
@settings(max_examples=150)
def test_every_geometry(
    torchvision: Any, width: int, height: int, crop: int, more: int, filter_code: int
) -> None:
    from torchvision import transforms

    # Longer pictures lose their ends here before they are resized; torchvision's do not.
    width, height = min(width, 16 * height), min(height, 16 * width)
    values = np.random.default_rng((width, height)).integers(0, 256, (height, width, 3), dtype=np.uint8)
    name = {2: "bilinear", 3: "bicubic"}[filter_code]
    mode = transforms.InterpolationMode(name)
    theirs = transforms.Compose(
        [transforms.Resize(crop + more, mode, antialias=True), transforms.CenterCrop(crop)]
    )(Image.fromarray(values))
    ours = resize_and_crop(Image.fromarray(values), Resize(crop + more, crop, name))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


def test_normalised_values(torchvision: Any) -> None:
    from torchvision import transforms

    image = Image.fromarray(np.arange(256 * 3, dtype=np.uint16).reshape(16, 16, 3).astype(np.uint8))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    theirs = transforms.Compose([transforms.ToTensor(), transforms.Normalize(mean, std)])(image)
    ours = normalise(to_tensor(image)[None], mean, std)[0]
    assert (ours - theirs).abs().max() < 2e-6


@pytest.mark.parametrize("size", [(500, 10), (10, 500), (97, 3)])
def test_crops_where_nothing_fits(size: tuple[int, int], torchvision: Any) -> None:
    from torchvision.transforms import RandomResizedCrop

    width, height = size
    crop = ResizedCrop(32, min_area=0.9, max_aspect=4 / 3, interpolation="bilinear")
    ours = {crop.box(width, height, sample_generator(0, 0, i)) for i in range(20)}
    image = torch.zeros(3, height, width)
    top, left, rows, columns = RandomResizedCrop.get_params(image, [0.9, 1.0], [3 / 4, 4 / 3])
    assert ours == {(left, top, columns, rows)}
