"""Where the images of a run are kept."""

from __future__ import annotations

import numpy as np
import pytest

from resnext.contract import Contract, Input, Provenance, Resize
from resnext.data.images import CachedImages
from resnext.data.stored_images import ImageArrays
from resnext.run import input_pipeline
from resnext.training.distributed import ProcessGroup


@pytest.mark.parametrize(("side_px", "is_cached"), [(64, True), (65, False)])
def test_only_small_images_are_kept_once_they_are_decoded(
    monkeypatch: pytest.MonkeyPatch, side_px: int, is_cached: bool
) -> None:
    """Each of three decoding processes has a cache of half its memory: the other split has the other half."""
    monkeypatch.setattr(input_pipeline, "image_cache_bytes", lambda processes: 2 * 192 * 3 // processes)
    images = ImageArrays(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), ("a", "b"))
    size, resize = Input(3, side_px, side_px), Resize(side_px, side_px)
    contract = Contract(("a", "b"), size, resize, (0.5,) * 3, (0.25,) * 3, Provenance("resnet11"))
    kept = input_pipeline.cache_if_small(images, contract, ProcessGroup(), workers=3)
    assert isinstance(kept, CachedImages) is is_cached
    if isinstance(kept, CachedImages):
        for expected in (False, True):  # 192 bytes have room for one image
            kept.open(int(expected))
            assert kept.is_full is expected
    else:
        assert kept is images
