"""A scan finds the sizes and colours of all images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data import scan
from resnext.data.images import Scan
from resnext.data.sources import read_split
from resnext.progress import run_to_end


def scan_folder(data: Path) -> tuple[Scan, np.ndarray]:
    """What the scan finds, and the images (N, H, W, 3) on the scale 0 to 1."""
    _, images = read_split(str(data), ("a", "b"))
    found = run_to_end(scan.scan(images, threads=2))
    values = [np.asarray(Image.open(data / key).convert("RGB"), np.float64) / 255 for key in images.keys]
    return found, np.stack(values)


def test_colours_are_the_mean_and_deviation_of_all_pixels(
    make_folder: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_folder(tmp_path, {"a": 5, "b": 4})
    found, values = scan_folder(tmp_path)
    assert found.mean == pytest.approx(values.mean((0, 1, 2)), abs=1e-4)
    assert found.std == pytest.approx(values.std((0, 1, 2)), abs=1e-4)
    assert found.shorter_px.tolist() == [16] * 9
    monkeypatch.setattr(scan, "COLOUR_SAMPLE", 3)  # of every third image
    found, values = scan_folder(tmp_path)
    assert found.mean == pytest.approx(values[::3].mean((0, 1, 2)), abs=1e-4)
    assert found.std == pytest.approx(values[::3].std((0, 1, 2)), abs=1e-4)
