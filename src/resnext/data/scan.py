"""One look at every picture before training: what cannot be read, how large they are, their colour."""

from __future__ import annotations

from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import BadPicture
from resnext.data.pictures import Pictures, Scan

#: Pictures that the colour statistics are taken from: enough for three digits.
COLOUR_SAMPLE = 2000
#: What the 256 levels of a channel mean.
LEVELS = np.arange(256) / 255

#: Pictures that one task looks at: enough that the tasks of millions fit in memory.
CHUNK = 64
MOST_THREADS = 32


def scan(pictures: Pictures, threads: int = 1) -> Generator[int, None, Scan]:
    """Decode all `pictures` once, on so many `threads`, of a stream on no more than stay within its window;
    yields how many are done, returns the scan.

    The colours are taken from up to `COLOUR_SAMPLE` pictures, which count equally whatever their size.
    """
    if pictures.known is not None:
        yield len(pictures)
        return pictures.known
    stride = max(1, -(-len(pictures) // COLOUR_SAMPLE))
    bad: dict[int, BadPicture] = {}
    shorter = np.zeros(len(pictures), dtype=np.int64)

    def look(chunk: range) -> list[NDArray[np.float64]]:
        moments = []
        for index in chunk:
            try:
                image = pictures.open(index)
            except BadPicture as error:
                bad[index] = error
                continue
            shorter[index] = min(image.size)
            if index % stride == 0:
                # By how often each level occurs: the pixels as numbers would take many times their memory.
                counts = np.array(image.histogram(), np.float64).reshape(3, 256)
                moments.append(np.stack([counts @ LEVELS, counts @ LEVELS**2]) / counts[0].sum())
        return moments

    chunks = [range(len(pictures))[at : at + CHUNK] for at in range(0, len(pictures), CHUNK)]
    moments: list[NDArray[np.float64]] = []
    most = MOST_THREADS if pictures.window is None else max(1, pictures.window // CHUNK)
    with ThreadPoolExecutor(min(threads, most, MOST_THREADS)) as pool:
        for chunk, some in zip(chunks, pool.map(look, chunks), strict=True):
            moments += some
            yield chunk.stop
    first, second = np.mean(moments, axis=0) if moments else np.zeros((2, 3))
    # Never under one grey level: a channel that does not vary must not be blown up.
    std = np.sqrt(np.maximum(second - first**2, (1 / 255) ** 2))
    return Scan(dict(sorted(bad.items())), shorter, _triple(first), _triple(std))


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    red, green, blue = (round(float(v), 4) for v in values)
    return red, green, blue
