"""Hashes are those of the definition, and all close pairs are found."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.fft import dct

from resnext.doctor import hashes


def test_a_hash_is_that_of_the_definition() -> None:
    grey = np.random.default_rng(0).uniform(0, 255, (5, 32, 32)).astype(np.float32)
    found, mirrored = hashes.hash_images(grey)
    for images, own in ((grey, found), (grey[:, :, ::-1], mirrored)):
        for image, value in zip(images, own, strict=True):
            low = dct(dct(image.astype(float), axis=0), axis=1)[:8, :8].ravel()
            bits = "".join("1" if is_above else "0" for is_above in low > np.median(low))
            assert f"{int(value):064b}" == bits


def test_hashes_stand_brightness_and_noise_but_tell_images_apart() -> None:
    random = np.random.default_rng(1)
    smooth = np.kron(random.uniform(0, 200, (20, 8, 8)), np.ones((4, 4))).astype(np.float32)
    changed = 1.1 * smooth + 20 + random.normal(0, 2, smooth.shape).astype(np.float32)
    one, two = hashes.hash_images(smooth)[0], hashes.hash_images(changed.astype(np.float32))[0]
    assert np.bitwise_count(one ^ two).max() <= 6
    assert np.bitwise_count(one ^ np.roll(one, 1)).min() >= 12


@given(
    st.lists(st.integers(0, 2**64 - 1), max_size=40),
    st.integers(0, 30),
    st.sampled_from([(1, 1), (7, 5), (128, 4096)]),
    st.integers(1, 3),
)
def test_close_pairs_are_all_there_are(
    values: list[int], distance: int, blocks: tuple[int, int], threads: int
) -> None:
    own = np.array([*values, *(value ^ 7 for value in values[:5])], np.uint64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hashes, "BLOCK_ROWS", blocks[0])
        patch.setattr(hashes, "BLOCK_COLUMNS", blocks[1])
        found = list(hashes.close_pairs(own, own[::-1].copy(), distance, threads))
    pairs = {tuple(pair) for part in found for pair in part.tolist()}
    other = own[::-1].tolist()
    expected = {
        (i, j)
        for i, one in enumerate(own.tolist())
        for j, two in enumerate(other)
        if i < j and (one ^ two).bit_count() <= distance
    }
    assert pairs == expected
