"""A stream is read once in an order that is shuffled within windows, and correctly in any order."""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np
import pytest
from PIL import Image

from resnext.data.decode import BadImage
from resnext.data.sampling import WindowedSamplingPlan
from resnext.data.scan import scan
from resnext.data.streaming import ImageStream

CLASSES = ("cat", "dog", "eel")


def png(number: int) -> bytes:
    """An image whose red value is its number."""
    file = io.BytesIO()
    Image.new("RGB", (6 + number % 3, 5), (number, 2 * number, 255 - number)).save(file, "PNG")
    return file.getvalue()


def stream(count: int, window: int) -> tuple[ImageStream, list[int]]:
    """A stream, and the number of images that were read each time it was started."""
    started: list[int] = []

    def read() -> Any:
        started.append(0)
        for number in range(count):
            started[-1] += 1
            yield png(number)

    keys, labels = [str(i) for i in range(count)], np.arange(count) % 3
    return ImageStream(read, keys, labels, CLASSES, window), started


def test_an_order_shuffled_within_windows_reads_once() -> None:
    images, started = stream(100, window=16)
    plan = WindowedSamplingPlan(100, batch=10, epochs=3, seed=1, window=16)
    for epoch in range(3):
        order = plan.order(epoch).tolist()
        assert [np.asarray(images.open(i))[0, 0, 0] for i in order] == order
    assert started == [100, 100, 100]
    assert len(images._position.buffer) <= 32


def test_a_tenth_of_a_stream_is_scanned_in_one_pass_by_any_number_of_threads() -> None:
    images, started = stream(2000, window=640)
    held_out = images.select(np.sort(np.random.default_rng(0).permutation(2000)[:200]))
    assert held_out.window == 64
    for _ in scan(held_out, threads=16):
        pass
    assert len(started) == 1
    assert held_out.select(np.arange(0, 200, 2)).window == 32


def test_any_order_is_correct() -> None:
    images, _ = stream(60, window=4)
    for i in np.random.default_rng(0).integers(0, 60, 200):
        assert np.asarray(images.open(int(i)))[0, 0, 0] == i
    copy = pickle.loads(pickle.dumps(stream_of_bytes()))
    assert np.asarray(copy.open(2))[0, 0, 0] == 2


class _Read:
    def __call__(self) -> Any:
        return iter([png(0), png(1), png(2)])


def stream_of_bytes() -> ImageStream:
    return ImageStream(_Read(), ["0", "1", "2"], np.zeros(3, dtype=np.int64), CLASSES)


def test_a_stream_that_became_shorter_says_so() -> None:
    images = ImageStream(_Read(), ["0", "1", "2", "3"], np.zeros(4, dtype=np.int64), CLASSES)
    with pytest.raises(BadImage, match="has become shorter"):
        images.open(3)
