"""One look at all pictures tells their sizes and their colours."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data import scan
from resnext.data.pictures import Scan
from resnext.data.sources import read_split


def looked_at(data: Path) -> tuple[Scan, np.ndarray]:
    """What is found, and the pictures (N, H, W, 3) on the scale 0 to 1."""
    _, pictures = read_split(str(data), ("a", "b"))
    looking = scan.scan(pictures, threads=2)
    while True:
        try:
            next(looking)
        except StopIteration as end:
            found: Scan = end.value
            break
    values = [np.asarray(Image.open(data / key).convert("RGB"), np.float64) / 255 for key in pictures.keys]
    return found, np.stack(values)


def test_colours_are_the_mean_and_deviation_of_all_pixels(
    make_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, {"a": 5, "b": 4})
    found, values = looked_at(tmp_path)
    assert found.mean == pytest.approx(values.mean((0, 1, 2)), abs=1e-4)
    assert found.std == pytest.approx(values.std((0, 1, 2)), abs=1e-4)
    assert found.shorter_px.tolist() == [16] * 9
    monkeypatch.setattr(scan, "COLOUR_SAMPLE", 3)  # of every third picture
    found, values = looked_at(tmp_path)
    assert found.mean == pytest.approx(values[::3].mean((0, 1, 2)), abs=1e-4)
    assert found.std == pytest.approx(values[::3].std((0, 1, 2)), abs=1e-4)
