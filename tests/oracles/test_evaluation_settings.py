"""Images are prepared as timm and torchvision prepare them for each of their weights, pixel by pixel."""

from __future__ import annotations

import os
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from resnext.catalogue import CatalogueEntry, catalogue
from resnext.data.preprocess import normalise, resize_and_crop, to_tensor

#: What differs between entries; weights with equal settings are prepared alike.
Settings = tuple[str, int, int, str, tuple[float, ...], tuple[float, ...]]
COUNT = 100 if os.environ.get("RESNEXT_ORACLES") == "full" else 10


def _settings(entry: CatalogueEntry) -> Settings:
    return (
        entry.source, entry.size_px, entry.resize_px, entry.interpolation, entry.mean, entry.std
    )  # fmt: skip


BY_SETTINGS = {_settings(entry): entry for entry in catalogue()}


@cache
def photographs() -> list[Image.Image]:
    """Parts of two photographs, of odd sizes and shapes, smaller and larger than what is cut out."""
    random = np.random.default_rng(0)
    images = []
    for number in range(COUNT):
        photograph = load_sample_images().images[number % 2]
        height, width = (int(random.integers(97, side)) for side in photograph.shape[:2])
        top, left = (int(random.integers(0, s - c + 1)) for s, c in zip(photograph.shape, (height, width)))  # noqa: B905
        images.append(Image.fromarray(photograph[top : top + height, left : left + width]))
    return images


@pytest.mark.parametrize("entry", BY_SETTINGS.values(), ids=lambda entry: entry.name)
def test_pixels_are_those_of_the_peer(entry: CatalogueEntry, timm: Any, torchvision: Any) -> None:
    theirs = _transform_of(entry, timm, torchvision)
    for image in photographs():
        pixels = resize_and_crop(image, entry.contract.resize)
        ours = normalise(to_tensor(pixels)[None], entry.mean, entry.std)[0]
        expected = theirs(image)
        std = torch.tensor(entry.std)[:, None, None]
        levels = 255 * (expected * std + torch.tensor(entry.mean)[:, None, None])
        assert np.array_equal(np.asarray(pixels), levels.round().to(torch.uint8).permute(1, 2, 0).numpy())
        assert (ours - expected).abs().max() < 5e-6


def _transform_of(entry: CatalogueEntry, timm: Any, torchvision: Any) -> Any:
    if entry.source == "torchvision":
        family, _, name = entry.name.partition(".")
        return getattr(torchvision.models, family)[name].transforms()
    config = timm.data.resolve_data_config(
        pretrained_cfg=timm.get_pretrained_cfg(entry.name).to_dict(), use_test_size=True
    )
    return timm.data.create_transform(**config, is_training=False)
