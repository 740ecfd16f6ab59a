"""How far an index can be believed: do its arrays fit together, and are its files still the same?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resnext.data.contents import size_and_time
from resnext.data.decode import DataError
from resnext.data.images import ImageDataset, Scan
from resnext.data.scan import read_digests
from resnext.names import printable
from resnext.progress import run_to_end

#: An index of up to this many files is compared with all of them whenever it is used: 3 s on a local disk. A
#: look at one over a network takes 0.1 ms and more, for which threads wait side by side.
CHECK_ALL_FILES = 100_000
#: Of a larger index, this many are looked at, drawn by its fingerprint.
SAMPLED_FILES = 20_000
THREADS, CHUNK = 16, 256
#: Bytes of names that are searched at once.
SEARCHED_BYTES = 2**24
SLASH, POINT = ord("/"), ord(".")

Arrays = Mapping[str, NDArray[Any]]


def leads_out(name: str) -> bool:
    """Whether a name of a file leads out of the folder that it is relative to, or names no file in it.

    >>> leads_out("cat/1.jpg"), leads_out("cat/../../1.jpg"), leads_out("/cat/1.jpg")
    (False, True, True)
    """
    return not name or name.startswith("/") or ".." in name.split("/")


def check_types(arrays: Arrays, types: Mapping[str, Any], count: int) -> None:
    """Raises `ValueError` unless all arrays of a split have one dimension, their type, and, but for `text`,
    `count` entries."""
    for name, values in arrays.items():
        if values.dtype != types[name] or values.ndim != 1:
            raise ValueError(f"{name} is an array of another type")
        if name != "text" and len(values) != count:
            raise ValueError(f"{name} does not hold the {count} images it should")


def check_bounds(arrays: Arrays, scan: Scan, classes: int, inside: bool) -> None:
    """Raises `ValueError` unless the arrays of a split fit together.

    Args:
        arrays: The arrays, which `check_types` has accepted.
        scan: What index.json says of the scan.
        classes: Number of classes.
        inside: Whether no name may lead out of the folder of the images.
    """
    text, ends, sizes, shorter_px = (arrays[name] for name in ("text", "ends", "sizes", "shorter_px"))
    bad = np.array(sorted(scan.bad), np.int64)
    if not _within(np.diff(ends, prepend=0), 0) or (ends[-1] if len(ends) else 0) != len(text):
        raise ValueError("its names do not follow each other")
    if not _within(arrays["labels"], 0, classes - 1):
        raise ValueError(f"a label is none of its {classes} classes")
    if not _within(bad, 0, len(ends) - 1):
        raise ValueError("an unreadable image is not among its images")
    if not np.array_equal(np.flatnonzero(shorter_px < 1), bad) or not _within(shorter_px, 0):
        raise ValueError("the side of a readable image is below 1")
    if len(np.setdiff1d(np.flatnonzero(sizes < 0), bad)):
        raise ValueError("the size of a readable image is below 0")
    if not _within(np.array([scan.mean, scan.std]), 0, 1):
        raise ValueError("a mean or deviation of its colours is not from 0 to 1")
    if inside and _any_leads_out(text, ends):
        raise ValueError("a name leads out of the folder of its images")


def _within(values: NDArray[Any], least: float, most: float = np.inf) -> bool:
    return bool(np.all((values >= least) & (values <= most)))


def _any_leads_out(text: NDArray[np.uint8], ends: NDArray[np.int64]) -> bool:
    """Whether any name does what `leads_out` says, without a loop over names."""
    if not len(ends):
        return False
    starts = np.concatenate([[0], ends[:-1]])
    if np.any(starts == ends) or np.any(text[starts] == SLASH):
        return True
    places = np.concatenate(list(_double_points(text)))
    names = np.searchsorted(ends, places, side="right")
    before = (places == starts[names]) | (text[places - 1] == SLASH)
    after = (places + 2 == ends[names]) | (text[np.minimum(places + 2, len(text) - 1)] == SLASH)
    return bool(np.any(before & after & (places + 2 <= ends[names])))


def _double_points(text: NDArray[np.uint8]) -> Iterator[NDArray[np.int64]]:
    """Places of two dots side by side."""
    for start in range(0, len(text), SEARCHED_BYTES):
        part = text[start : start + SEARCHED_BYTES + 1] == POINT
        yield start + np.flatnonzero(part[:-1] & part[1:])


def check_files(splits: Mapping[str, ImageDataset], seed: int, where: str) -> tuple[str, ...]:
    """Compare the files of an index with it: their sizes, their times, and of those with another time the
    contents.

    Args:
        splits: The images by split, as the index has them.
        seed: Draws the files to look at, if there are more than `CHECK_ALL_FILES`.
        where: The index, for errors.

    Returns:
        A note for the user if files have other times but the same contents.

    Raises:
        DataError: If a file has gone or changed; names the first ones.
    """
    chosen = _choose(sum(map(len, splits.values())), seed)
    changed: list[str] = []
    touched = start = 0
    for images in splits.values():
        indices = chosen[(chosen >= start) & (chosen < start + len(images))] - start
        others, newer = _compare(images, indices)
        changed += [str(images.path(index)) for index in sorted(others + _other_contents(images, newer))]
        touched += len(newer)
        start += len(images)
    if changed:
        listed = printable(", ".join(changed[:3])) + (
            f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        )
        raise DataError(
            f"{where}: of the {len(chosen)} files that were looked at, {len(changed)} have changed or gone "
            f"since it was made: {listed}. Make it again, or bring them back"
        )
    if not touched:
        return ()
    return (
        f"{touched} files of the index have other times but the same contents: make it again to start faster",
    )


def _choose(count: int, seed: int) -> NDArray[np.int64]:
    """Places of the files to look at, in rising order."""
    if count <= CHECK_ALL_FILES:
        return np.arange(count)
    return np.unique(np.random.default_rng(seed).integers(0, count, SAMPLED_FILES))


def _compare(images: ImageDataset, indices: NDArray[np.int64]) -> tuple[list[int], list[int]]:
    """The images of `indices` whose files have another size or have gone, and those with another time."""
    knows_times = images.known_scan is not None and images.known_scan.contents is not None

    def look(chunk: list[int]) -> list[tuple[bool, bool]]:
        """Whether each file has another size, and another time."""
        found = [size_and_time(images.path(index) or "") for index in chunk]
        return [
            (size != images.stored_size(index), knows_times and time != images.stamp(index))
            for index, (size, time) in zip(chunk, found, strict=True)
        ]

    chunks = [indices[start : start + CHUNK].tolist() for start in range(0, len(indices), CHUNK)]
    with ThreadPoolExecutor(THREADS) as pool:
        looked = [one for chunk in pool.map(look, chunks) for one in chunk]
    others = [int(i) for i, (other_size, _) in zip(indices, looked, strict=True) if other_size]
    newer = [int(i) for i, found in zip(indices, looked, strict=True) if found == (False, True)]
    return others, newer


def _other_contents(images: ImageDataset, indices: list[int]) -> list[int]:
    """Those of `indices` whose files hold something else than the index says."""
    if not indices or images.known_scan is None or images.known_scan.contents is None:
        return []
    digests = run_to_end(read_digests(images, indices, THREADS))
    is_other = digests != images.known_scan.contents.digests[indices]
    return [index for index, other in zip(indices, is_other.tolist(), strict=True) if other]
