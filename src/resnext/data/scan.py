"""A scan: every image is decoded once before training, to find bad images, sizes, colours and digests."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from resnext.data.contents import UNKNOWN_STAMP, Contents, Digests, content_digest
from resnext.data.decode import BadImage
from resnext.data.images import ImageDataset, Scan

#: Most images that the colour statistics are computed from: enough for three digits.
COLOUR_SAMPLE = 2000
#: The 256 levels of a channel on the scale 0 to 1.
LEVELS = np.arange(256) / 255

#: Images in one task of a thread: enough that the task list of millions of images fits in memory.
CHUNK = 64
MAX_THREADS = 32


def scan(images: ImageDataset, threads: int = 1) -> Generator[int, None, Scan]:
    """Decode all `images` once; yields the number of images done so far and returns the `Scan`.

    Colour statistics come from at most `COLOUR_SAMPLE` images, which count equally whatever their size.

    Args:
        images: Images to decode. If they have a `known_scan`, it is returned and nothing is decoded.
        threads: Number of threads. A stream gets no more than can work within its window.

    >>> from resnext.data.stored_images import ImageArrays
    >>> from resnext.progress import run_to_end
    >>> white = ImageArrays(np.full((2, 8, 6), 255, np.uint8), np.array([0, 1]), ("cat", "dog"))
    >>> found = run_to_end(scan(white))
    >>> found.mean, found.shorter_px.tolist(), found.bad
    ((1.0, 1.0, 1.0), [6, 6], {})
    """
    if images.known_scan is not None:
        yield len(images)
        return images.known_scan
    stride = max(1, -(-len(images) // COLOUR_SAMPLE))
    bad: dict[int, BadImage] = {}
    shorter_px = np.zeros(len(images), dtype=np.int64)
    digests = np.zeros(len(images), dtype=np.uint64)
    stamps = np.full(len(images), UNKNOWN_STAMP, dtype=np.int64)

    def scan_chunk(chunk: range) -> list[NDArray[np.float64]]:
        """Means of the levels and of their squares (2, 3) of each image in the colour sample."""
        moments = []
        for index in chunk:
            stamps[index] = images.stamp(index)  # first: an image that changes now will be read again
            try:
                stored = images.stored(index)
                digests[index] = content_digest(stored)
                image = images.decode_stored(stored, index)
            except BadImage as error:
                bad[index] = error
                continue
            shorter_px[index] = min(image.size)
            if index % stride == 0:
                # From the histogram: the pixels as floats would take many times their memory.
                counts = np.array(image.histogram(), np.float64).reshape(3, 256)
                moments.append(np.stack([counts @ LEVELS, counts @ LEVELS**2]) / counts[0].sum())
        return moments

    chunks = _chunks(len(images))
    moments: list[NDArray[np.float64]] = []
    with ThreadPoolExecutor(_max_threads(images, threads)) as pool:
        for chunk, chunk_moments in zip(chunks, pool.map(scan_chunk, chunks), strict=True):
            moments += chunk_moments
            yield chunk.stop
    mean, mean_square = np.mean(moments, axis=0) if moments else np.zeros((2, 3))
    # At least one grey level: dividing by the deviation of a constant channel would amplify noise.
    std = np.sqrt(np.maximum(mean_square - mean**2, (1 / 255) ** 2))
    contents = Contents(digests, stamps)
    return Scan(dict(sorted(bad.items())), shorter_px, _rounded(mean), _rounded(std), contents)


def read_digests(
    images: ImageDataset, indices: Sequence[int], threads: int = 1
) -> Generator[int, None, Digests]:
    """Read the images at `indices` without decoding them; yields the number done so far and returns their
    digests.

    Args:
        images: The images.
        indices: Which of them to read, in rising order.
        threads: Number of threads, as for `scan`.

    >>> from resnext.data.stored_images import ImageArrays
    >>> from resnext.progress import run_to_end
    >>> grey = ImageArrays(np.array([[[1]], [[2]], [[1]]], np.uint8), np.array([0, 1, 1]), ("cat", "dog"))
    >>> one, two, same = run_to_end(read_digests(grey, [0, 1, 2]))
    >>> bool(one == same), bool(one == two)
    (True, False)
    """
    digests = np.zeros(len(indices), dtype=np.uint64)

    def read(chunk: range) -> int:
        for place in chunk:
            digests[place] = content_digest(images.stored(int(indices[place])))
        return chunk.stop

    with ThreadPoolExecutor(_max_threads(images, threads)) as pool:
        yield from pool.map(read, _chunks(len(indices)))
    return digests


def _chunks(count: int) -> list[range]:
    return [range(count)[start : start + CHUNK] for start in range(0, count, CHUNK)]


def _max_threads(images: ImageDataset, threads: int) -> int:
    in_window = MAX_THREADS if images.window is None else max(1, images.window // CHUNK)
    return min(threads, in_window, MAX_THREADS)


def _rounded(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(v), 4) for v in values)
    return red, green, blue
