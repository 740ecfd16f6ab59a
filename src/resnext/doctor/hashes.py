"""Perceptual hashes: 64 bits that change little when an image is recompressed, resized or made brighter.

pHash: the 8x8 lowest frequencies of a cosine transform of the image in grey, at 32x32 pixels; each bit says
whether one of them is above the median of all (Zauner, Implementation and Benchmarking of Perceptual Image
Hash Functions, 2010; the same bits as `imagehash.phash` from the same 32x32 pixels).
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

#: Side of the grey image, and number of frequencies of a side.
SIDE_PX, FREQUENCIES = 32, 8
#: Hashes that are compared with each other at once, in two sides of a block: it fits the cache of a core.
BLOCK_ROWS, BLOCK_COLUMNS = 128, 4096
#: The cosine transform of type 2, (frequencies, pixels).
_COSINES = 2 * np.cos(
    np.pi / (2 * SIDE_PX) * np.outer(np.arange(FREQUENCIES), 2 * np.arange(SIDE_PX) + 1)
).astype(np.float32)
#: What a mirror image does to each frequency of a row: those of odd number change their sign.
_MIRROR = np.where(np.arange(FREQUENCIES) % 2, -1, 1).astype(np.float32)


def hash_images(grey: NDArray[np.float32]) -> tuple[Hashes, Hashes]:
    """The hashes of images, and those of their mirror images.

    Args:
        grey: Images in grey, float32 (N, 32, 32).

    Returns:
        Both uint64 (N,).

    >>> random = np.random.default_rng(0)
    >>> images = random.uniform(0, 255, (2, 32, 32)).astype(np.float32)
    >>> plain, mirrored = hash_images(images)
    >>> bool((hash_images(images[:, :, ::-1])[0] == mirrored).all())
    True
    """
    low = _COSINES @ grey @ _COSINES.T
    return _bits(low), _bits(low * _MIRROR)


def _bits(low: NDArray[np.float32]) -> Hashes:
    flat = low.reshape(len(low), -1)
    bits = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1).view(">u8")[:, 0].astype(np.uint64)


def close_pairs(
    hashes: Hashes, others: Hashes, distance: int, threads: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Pairs (i, j), i < j, of which hash i and other hash j differ in at most `distance` bits.

    All are compared with all, in blocks, at constant memory; a block's pairs come as soon as they are found.

    Args:
        hashes: uint64 (N,).
        others: uint64 (N,): the same hashes, or those of mirror images in the same order.
        distance: In bits.
        threads: Threads that compare.

    Yields:
        Arrays of int64 (P, 2), in order of i.

    >>> hashes = np.array([0, 1, 0xFF], np.uint64)
    >>> np.concatenate(list(close_pairs(hashes, hashes, 2))).tolist()
    [[0, 1]]
    """
    for found in all_close_pairs(hashes, others, distance, threads, are_ordered=True):
        yield found[found[:, 0] < found[:, 1]]


def all_close_pairs(
    hashes: Hashes, others: Hashes, distance: int, threads: int = 1, are_ordered: bool = False
) -> Iterator[NDArray[np.int64]]:
    """As `close_pairs`, for hashes (N,) and others (M,) of any images. With `are_ordered`, most of those with
    j < i are left out, which saves half of the time."""
    starts = iter(range(0, len(hashes), BLOCK_ROWS))
    with ThreadPoolExecutor(threads) as pool:
        while chunk := list(islice(starts, 4 * threads)):  # no more is found ahead than is taken
            yield from pool.map(
                lambda start: _pairs_of_rows(hashes, others, start, distance, start * are_ordered), chunk
            )


def _pairs_of_rows(
    hashes: Hashes, others: Hashes, start: int, distance: int, first: int
) -> NDArray[np.int64]:
    rows = hashes[start : start + BLOCK_ROWS, None]
    found = [np.empty((0, 2), np.int64)]
    for left in range(first, len(others), BLOCK_COLUMNS):
        near = np.bitwise_count(rows ^ others[None, left : left + BLOCK_COLUMNS]) <= distance
        if near.any():
            i, j = np.nonzero(near)
            found.append(np.stack([i + start, j + left], axis=1))
    return np.concatenate(found)
