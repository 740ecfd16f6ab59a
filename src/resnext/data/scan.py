"""A scan: every image is decoded once before training, to find bad images, sizes and colours."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

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

    >>> from resnext.data.images import ImageArrays
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

    def scan_chunk(chunk: range) -> list[NDArray[np.float64]]:
        """Means of the levels and of their squares (2, 3) of each image in the colour sample."""
        moments = []
        for index in chunk:
            try:
                image = images.open(index)
            except BadImage as error:
                bad[index] = error
                continue
            shorter_px[index] = min(image.size)
            if index % stride == 0:
                # From the histogram: the pixels as floats would take many times their memory.
                counts = np.array(image.histogram(), np.float64).reshape(3, 256)
                moments.append(np.stack([counts @ LEVELS, counts @ LEVELS**2]) / counts[0].sum())
        return moments

    chunks = [range(len(images))[start : start + CHUNK] for start in range(0, len(images), CHUNK)]
    moments: list[NDArray[np.float64]] = []
    max_threads = MAX_THREADS if images.window is None else max(1, images.window // CHUNK)
    with ThreadPoolExecutor(min(threads, max_threads, MAX_THREADS)) as pool:
        for chunk, chunk_moments in zip(chunks, pool.map(scan_chunk, chunks), strict=True):
            moments += chunk_moments
            yield chunk.stop
    mean, mean_square = np.mean(moments, axis=0) if moments else np.zeros((2, 3))
    # At least one grey level: dividing by the deviation of a constant channel would amplify noise.
    std = np.sqrt(np.maximum(mean_square - mean**2, (1 / 255) ** 2))
    return Scan(dict(sorted(bad.items())), shorter_px, _rounded(mean), _rounded(std))


def _rounded(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(v), 4) for v in values)
    return red, green, blue
