"""Images decoded once."""

from __future__ import annotations

import numpy as np
from PIL import Image

from resnext.data.images import CachedImages
from resnext.data.stored_images import ImageArrays


def test_images_are_decoded_once_while_there_is_space() -> None:
    """Two of four images of 12 x 10 x 3 bytes fit; all four open alike."""
    opened: list[int] = []

    class Counted(ImageArrays):
        def open(self, index: int) -> Image.Image:
            opened.append(index)
            return super().open(index)

    values = np.random.default_rng(0).integers(0, 256, (4, 10, 12), dtype=np.uint8)
    source = Counted(values, np.arange(4), ("a", "b", "c", "d"))
    cached = CachedImages(source, max_bytes=2 * 360 + 100)
    for _ in range(3):
        for index in (2, 0, 3):
            expected = np.repeat(values[index][..., None], 3, axis=2)
            np.testing.assert_array_equal(np.asarray(cached.open(index)), expected)
    assert opened == [2, 0, 3, 3, 3]
    assert cached.is_full
    assert not CachedImages(source, max_bytes=0).is_full
    assert (cached.keys, cached.classes, cached.stored_size(1)) == (
        source.keys,
        source.classes,
        source.stored_size(1),
    )
