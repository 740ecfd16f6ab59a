"""A scan: every image is decoded once before training, to find bad images, sizes, colours and digests."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resnext.contract import GreyRange
from resnext.data.contents import UNKNOWN_STAMP, Contents, Digests, content_digest
from resnext.data.decode import BadImage
from resnext.data.grey import DeepGrey, GreySeen, usual_ranges
from resnext.data.images import Blank, ImageDataset, Scan
from resnext.data.pixels import to_rgb
from resnext.names import encodable

#: Most images that the colour statistics are computed from: enough for three digits.
COLOUR_SAMPLE = 2000
#: The 256 levels of a channel on the scale 0 to 1.
LEVELS = np.arange(256) / 255

#: Images in one task of a thread: enough that the task list of millions of images fits in memory.
CHUNK = 64
MAX_THREADS = 32
#: Blank images that are named.
NAMED = 5

Result = TypeVar("Result")
_Colour = tuple[float, float, float]
#: Means of the levels of an image and of their squares (2, 3), by each range that its set may get; None for 8
#: bits.
_Moments = dict[GreyRange | None, NDArray[np.float64]]


def scan(images: ImageDataset, threads: int = 1, grey: GreyRange | None = None) -> Generator[int, None, Scan]:
    """Decode all `images` once; yields the number of images done so far and returns the `Scan`.

    Colour statistics come from at most `COLOUR_SAMPLE` images, which count equally whatever their size.

    Args:
        images: Images to decode. If they have a `known_scan`, it is returned and nothing is decoded, or only
            the sample of colours, if that was of another range.
        threads: Number of threads. A stream gets no more than can work within its window.
        grey: Black and white of deep grey images; None chooses them from their values.

    >>> from resnext.data.stored_images import ImageArrays
    >>> from resnext.progress import run_to_end
    >>> white = ImageArrays(np.full((2, 8, 6), 255, np.uint8), np.array([0, 1]), ("cat", "dog"))
    >>> found = run_to_end(scan(white))
    >>> found.mean, found.shorter_px.tolist(), found.bad, found.blank.count
    ((1.0, 1.0, 1.0), [6, 6], {}, 2)
    """
    stride = max(1, -(-len(images) // COLOUR_SAMPLE))
    if (known := images.known_scan) is not None:
        if grey not in (None, known.grey):
            sample = yield from scan(images.select(np.arange(0, len(images), stride)), threads, grey)
            values = known.grey_values or sample.grey_values
            known = replace(known, mean=sample.mean, std=sample.std, grey=grey, grey_values=values)
        yield len(images)
        return known
    bad: dict[int, BadImage] = {}
    shorter_px = np.zeros(len(images), dtype=np.int64)
    digests = np.zeros(len(images), dtype=np.uint64)
    stamps = np.full(len(images), UNKNOWN_STAMP, dtype=np.int64)
    is_blank = np.zeros(len(images), dtype=np.bool_)

    def scan_some(indices: Iterable[int]) -> tuple[list[_Moments], list[GreySeen]]:
        """The colours of those images that are in the sample, and what is deep grey."""
        moments, deep = [], []
        for index in indices:
            stamps[index] = images.stamp(index)  # first: an image that changes now will be read again
            try:
                stored = images.stored(index)
                digests[index] = content_digest(stored)
                image = images.load_stored(stored, index)
            except BadImage as error:
                bad[index] = error
                continue
            shorter_px[index] = min(image.size)
            in_sample = index % stride == 0
            ranges: list[GreyRange | None] = [None]
            if isinstance(image, DeepGrey):
                seen = GreySeen.of(image, index, in_sample)
                deep.append(seen)
                is_blank[index] = seen.lowest == seen.largest
                ranges = [grey] if grey else [*usual_ranges(image.is_float, seen.largest[0])]
            else:
                is_blank[index] = _is_blank(image)
            if in_sample:
                moments.append({one: _moments(to_rgb(image, one)) for one in ranges})
        return moments, GreySeen.merge(deep)

    moments: list[_Moments] = []
    deep: list[GreySeen] = []
    with closing(on_threads(scan_some, len(images), max_threads(images, threads))) as chunks:
        for done, (some_moments, some_deep) in chunks:
            moments += some_moments
            deep = GreySeen.merge(deep + some_deep)
            yield done
    values = deep[0].values(images.keys) if deep else None
    if grey is None and values is not None:
        grey = values.choose()
    mean, std = _colours(moments, grey)
    first = tuple(encodable(images.keys[index]) for index in np.flatnonzero(is_blank)[:NAMED])
    blank = Blank(int(is_blank.sum()), first)
    contents = Contents(digests, stamps)
    return Scan(dict(sorted(bad.items())), shorter_px, mean, std, contents, values, grey, blank)


def _is_blank(image: Image.Image) -> bool:
    """Whether an RGB image is one colour throughout."""
    right, bottom = image.width - 1, image.height - 1
    corners = {image.getpixel(place) for place in ((0, 0), (right, 0), (0, bottom), (right, bottom))}
    return len(corners) == 1 and all(lowest == largest for lowest, largest in image.getextrema())  # type: ignore[misc]


def _moments(image: Image.Image) -> NDArray[np.float64]:
    """Means of the levels of an image and of their squares (2, 3)."""
    # From the histogram: the pixels as floats would take many times their memory.
    counts = np.array(image.histogram(), np.float64).reshape(3, 256)
    moments: NDArray[np.float64] = np.stack([counts @ LEVELS, counts @ LEVELS**2]) / counts[0].sum()
    return moments


def _colours(moments: list[_Moments], grey: GreyRange | None) -> tuple[_Colour, _Colour]:
    """Mean and standard deviation of each channel; without deep grey images where their range is open."""
    known = [one[by] for one in moments for by in {None, grey} if by in one]
    mean, mean_square = np.mean(known, axis=0) if known else np.zeros((2, 3))
    # At least one grey level: dividing by the deviation of a constant channel would amplify noise.
    std = np.sqrt(np.maximum(mean_square - mean**2, (1 / 255) ** 2))
    return _rounded(mean), _rounded(std)


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

    def read(places: Iterable[int]) -> None:
        for place in places:
            digests[place] = content_digest(images.stored(int(indices[place])))

    with closing(on_threads(read, len(indices), max_threads(images, threads))) as chunks:
        for done, _ in chunks:
            yield done
    return digests


def on_threads(
    work: Callable[[Iterable[int]], Result], count: int, threads: int
) -> Generator[tuple[int, Result], None, None]:
    """What `work` returns for one chunk of `count` images after another, and how many images that makes.

    Once the caller leaves, as on Ctrl-C, each thread ends with the image that it is at: a chunk of large ones
    takes minutes.
    """
    is_left = threading.Event()

    def until_left(chunk: range) -> Iterator[int]:
        for index in chunk:
            if is_left.is_set():
                return
            yield index

    chunks = [range(count)[start : start + CHUNK] for start in range(0, count, CHUNK)]
    with ThreadPoolExecutor(threads) as pool:
        try:
            results = pool.map(lambda chunk: work(until_left(chunk)), chunks)
            for chunk, result in zip(chunks, results, strict=True):
                yield chunk.stop, result
        finally:
            is_left.set()


def max_threads(images: ImageDataset, threads: int) -> int:
    in_window = MAX_THREADS if images.window is None else max(1, images.window // CHUNK)
    return min(threads, in_window, MAX_THREADS)


def _rounded(values: NDArray[np.float64]) -> _Colour:
    red, green, blue = (round(float(v), 4) for v in values)
    return red, green, blue
