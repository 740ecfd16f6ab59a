"""Pre-processing and crops as torchvision's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp

from resnext.contract import Resize
from resnext.data.augment import ResizedCrop, sample_generator
from resnext.data.preprocess import resize_and_crop


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(500, 375), (375, 500), (640, 97), (64, 64), (31, 33)])
def test_evaluation_pictures(size: tuple[int, int], interpolation: str, torchvision: Any) -> None:
    from torchvision import transforms

    values = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(values)
    mode = transforms.InterpolationMode(interpolation)
    theirs = transforms.Compose([transforms.Resize(73, mode, antialias=True), transforms.CenterCrop(64)])(
        image
    )
    ours = resize_and_crop(image, Resize(73, 64, interpolation))
    assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_the_pixels_of_a_resized_crop(interpolation: str, torchvision: Any) -> None:
    from torchvision.transforms import InterpolationMode, functional

    values = np.random.default_rng(0).integers(0, 256, (75, 100, 3), dtype=np.uint8)
    image, crop = Image.fromarray(values), ResizedCrop(32, 0.08, 4 / 3, interpolation)
    for number in range(20):
        left, top, width, height = crop.box(100, 75, sample_generator(0, 0, number))
        mode = InterpolationMode(interpolation)
        theirs = functional.resized_crop(image, top, left, height, width, [32, 32], mode, antialias=True)
        assert np.array_equal(np.asarray(crop(image, sample_generator(0, 0, number))), np.asarray(theirs))


def test_resized_crops_come_from_the_same_distribution(torchvision: Any) -> None:
    from torchvision.transforms import RandomResizedCrop

    crop = ResizedCrop(32, min_area=0.2, max_aspect=4 / 3, interpolation="bilinear")
    ours = np.array([crop.box(200, 150, sample_generator(0, 0, i)) for i in range(3000)])
    torch.manual_seed(0)
    image = torch.zeros(3, 150, 200)
    drawn = [RandomResizedCrop.get_params(image, [0.2, 1.0], [3 / 4, 4 / 3]) for _ in range(3000)]
    theirs = np.array([(left, top, width, height) for top, left, height, width in drawn])
    for measure in (
        lambda b: b[:, 2] * b[:, 3],
        lambda b: np.log(b[:, 2] / b[:, 3]),
        lambda b: b[:, 0],
        lambda b: b[:, 1],
    ):
        assert ks_2samp(measure(ours), measure(theirs)).pvalue > 1e-3
