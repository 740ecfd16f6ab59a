"""The words for OpenVINO Model API, read by its rules: lists are split at blanks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from resnext.contract import Contract, Input, Provenance, Resize
from resnext.export.model_info import model_info

CONTRACT = Contract(
    ("cat", "Hund_1", "猫"),
    Input(3, 32, 32),
    Resize(32, 32),
    (0.1, 0.2, 0.3),
    (0.4, 0.5, 0.6),
    Provenance("x"),
)


def test_numbers_are_on_the_scale_of_8_bits() -> None:
    info = model_info(CONTRACT)
    pixels = np.array([10.0, 20.0, 30.0])
    mean, scale = (np.array([*map(float, info[key].split())]) for key in ("mean_values", "scale_values"))
    assert np.allclose((pixels - mean) / scale, (pixels / 255 - CONTRACT.mean) / CONTRACT.std)


def test_labels_are_left_out_where_they_would_fall_apart() -> None:
    assert model_info(CONTRACT)["labels"].split() == [*CONTRACT.classes]
    for name in ("tabby cat", " cat", "", "a\tb", "a\u00a0b", "a\x01"):
        assert "labels" not in model_info(replace(CONTRACT, classes=("dog", name, "eel")))
    assert "labels" not in model_info(replace(CONTRACT, classes=("None",)))  # its word for no list


@pytest.mark.parametrize(("shorter", "said"), [(32, "crop"), (36, None)])
def test_resizing_is_said_only_where_it_is_the_same_square(shorter: int, said: str | None) -> None:
    assert model_info(replace(CONTRACT, resize=Resize(shorter, 32))).get("resize_type") == said
