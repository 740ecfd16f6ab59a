"""A scan finds the sizes, colours and digests of all images."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data import scan
from resnext.data.contents import NO_DIGEST
from resnext.data.images import Scan
from resnext.data.sources import read_split
from resnext.data.stored_images import ImageArrays
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


def test_digests_are_of_the_bytes_of_each_file_whatever_they_are(make_folder: Any, tmp_path: Path) -> None:
    make_folder(tmp_path, {"a": 9, "b": 4})
    (tmp_path / "a" / "3.png").write_bytes(b"no image")
    (tmp_path / "b" / "2.png").unlink()
    (tmp_path / "b" / "2.png").symlink_to("nowhere")
    os.utime(tmp_path / "a" / "1.png", ns=(7, 7))
    _, images = read_split(str(tmp_path), ("a", "b"))
    found = run_to_end(scan.scan(images, threads=3))
    assert found.contents is not None
    for index, key in enumerate(images.keys):
        path, digest = tmp_path / key, int(found.contents.digests[index])
        if path.exists():
            assert f"{digest:016x}" == hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            assert found.contents.stamps[index] == path.stat().st_mtime_ns
        else:
            assert digest == NO_DIGEST
    assert sorted(images.keys[i] for i in found.bad) == ["a/3.png", "b/2.png"]
    some = [1, 2, 5, 11]
    again = run_to_end(scan.read_digests(images, some, threads=2))
    np.testing.assert_array_equal(again, found.contents.digests[some])


def test_images_in_memory_have_digests_too() -> None:
    values = np.arange(3 * 4, dtype=np.uint8).reshape(3, 2, 2)
    images = ImageArrays(values, np.array([0, 1, 0]), ("a", "b"))
    before = run_to_end(scan.scan(images)).contents
    values[1, 0, 0] += 1
    after = run_to_end(scan.scan(images)).contents
    assert before is not None
    assert after is not None
    assert (before.digests != after.digests).tolist() == [False, True, False]
    assert (before.stamps != after.stamps).tolist() == [False, True, False]


class SlowImages(ImageArrays):
    """Images that take a moment each; the fourth one asks the process to stop, as Ctrl-C does."""

    def __init__(self, count: int) -> None:
        super().__init__(np.zeros((count, 2, 2), np.uint8), np.zeros(count, np.int64), ("a",))
        self.read: list[int] = []

    def stored(self, index: int) -> bytes | None:
        self.read.append(index)
        if index == 3:
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.05 if index >= 3 else 0)
        return super().stored(index)


@pytest.mark.parametrize("look", [scan.scan, lambda images: scan.read_digests(images, range(len(images)))])
def test_threads_stop_between_two_images(look: Callable[[SlowImages], Any]) -> None:
    images = SlowImages(2 * scan.CHUNK)
    with pytest.raises(KeyboardInterrupt):
        run_to_end(look(images))
    assert 3 in images.read
    assert len(images.read) < scan.CHUNK
