"""The same image twice: by its pixels, or nearly, by hashes and a second look at the pixels.

Hashes find candidates, whose pixels are then laid upon each other: shifted by up to two of 32 pixels, with or
without a margin. What counts is the correlation of the edges: two ships on the sea may have
the same hash and the same shading, but not the same edges.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resnext.data.decode import BadImage
from resnext.doctor.examined import ExaminedSet
from resnext.doctor.facts import Facts, inner_box, open_rgb, thumbnail
from resnext.doctor.findings import DataFinding, name_in_split
from resnext.doctor.hashes import all_close_pairs, close_pairs

#: Bits by which hashes of candidates differ at most, and correlation of edges from which images are nearly
#: the same.
DISTANCE, SIMILARITY = 12, 0.7
#: How far images are shifted upon each other, in pixels of 32, and the similarity at every second shift from
#: which the others are tried.
SHIFTS, PROMISING = range(-2, 3), 0.3
#: Candidates that are looked at together, and most of them: more says that many images look alike, as in a
#: video, and `find_many_alike` tells that not all were looked at.
LOOKED_AT_ONCE, MAX_CANDIDATES = 1024, 2_000_000
#: Images with deviations of grey below this have hashes of noise, and smaller ones too few edges: they are no
#: candidates.
LEAST_SPREAD, LEAST_PX = 3.0, 16
#: Pairs of one class, drawn at random, that tell how much images of a set agree by chance, and the share of
#: them that agree less. Digits on black agree much: there it must be halfway from that to equal.
DRAWN, BY_CHANCE = 2000, 0.995
Pairs = NDArray[np.int64]


@dataclass(frozen=True)
class ClosePair:
    """Two images that are the same or nearly so; `similarity` is 1 for equal pixels."""

    first: int
    second: int
    similarity: float
    is_mirrored: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether all pixels are equal."""
        return self.similarity == 1.0 and not self.is_mirrored


@dataclass(frozen=True)
class NearPairs:
    """Pairs of images that are nearly the same.

    Attributes:
        pairs: Them.
        least: The similarity from which images of this set are nearly the same.
        is_whole: Whether all candidates were looked at, not the first `MAX_CANDIDATES` alone.
    """

    pairs: list[ClosePair]
    least: float
    is_whole: bool


def exact_pairs(examined: ExaminedSet, facts: Facts, readable: NDArray[np.bool_]) -> Iterator[ClosePair]:
    """Images that have the same pixels: each with the first one of its label in its split, with the first one
    of each later split, and the first ones of two labels in a split with each other."""
    split_of, labels = examined.split_of, examined.labels
    numbers = np.flatnonzero(readable)
    order = numbers[np.argsort(facts["pixels"][numbers], kind="stable")]
    digests = facts["pixels"][order]
    starts = np.flatnonzero(np.r_[True, digests[1:] != digests[:-1]]) if len(order) else order
    for start, end in zip(starts, np.r_[starts[1:], len(order)].astype(np.int64), strict=True):
        firsts: dict[int, dict[int, int]] = {}  # by split, later splits first, and by label
        for number in order[start:end][::-1].tolist():
            firsts.setdefault(int(split_of[number]), {})[int(labels[number])] = number
        for number in order[start:end].tolist() if end > start + 1 else ():
            split, label = int(split_of[number]), int(labels[number])
            own = firsts[split]
            if own[label] != number:
                yield ClosePair(own[label], number, 1.0)
            elif number != (first := min(own.values())):
                yield ClosePair(first, number, 1.0)
            for later in sorted(other for other in firsts if other > split):
                yield ClosePair(number, min(firsts[later].values()), 1.0)


def near_pairs(
    examined: ExaminedSet, facts: Facts, readable: NDArray[np.bool_], threads: int = 1
) -> Generator[tuple[int, int], None, NearPairs]:
    """Pairs that are nearly the same, but not equal; yields how many candidates of all are looked at."""
    side = np.minimum(facts["width"], facts["height"])
    numbers = np.flatnonzero(readable & (facts["spread"] >= LEAST_SPREAD) & (side >= LEAST_PX))
    pairs, is_whole = _candidates(facts, numbers, threads)
    best: dict[tuple[int, int], ClosePair] = {}
    least = least_similarity(examined, numbers) if len(pairs) else SIMILARITY
    for start in range(0, len(pairs), LOOKED_AT_ONCE):
        for pair in _look(examined, pairs[start : start + LOOKED_AT_ONCE], least):
            key = (pair.first, pair.second)
            if key not in best or best[key].similarity < pair.similarity:
                best[key] = pair
        yield min(start + LOOKED_AT_ONCE, len(pairs)), len(pairs)
    return NearPairs(list(best.values()), least, is_whole)


def _candidates(facts: Facts, numbers: NDArray[np.int64], threads: int) -> tuple[Pairs, bool]:
    """Pairs of images whose hashes are close, but not their pixels: (P, 3), the third is 1 where the second
    image is mirrored; and whether they are all, since no more than `MAX_CANDIDATES` are kept."""
    hashes, mirrored, inner = (facts[name][numbers] for name in ("phash", "mirror", "inner"))
    found, count = [np.empty((0, 3), np.int64)], 0
    for is_mirrored, parts in (
        (0, close_pairs(hashes, hashes, DISTANCE, threads)),
        (1, close_pairs(hashes, mirrored, DISTANCE, threads)),
        (0, map(_in_order, all_close_pairs(inner, hashes, DISTANCE, threads))),
    ):
        for part in parts:
            pairs = numbers[part]
            pairs = pairs[facts["pixels"][pairs[:, 0]] != facts["pixels"][pairs[:, 1]]]
            if len(pairs):
                found.append(np.column_stack([pairs, np.full(len(pairs), is_mirrored)]))
            if (count := count + len(pairs)) > MAX_CANDIDATES:
                return np.unique(np.concatenate(found)[:MAX_CANDIDATES], axis=0), False
    return np.unique(np.concatenate(found), axis=0), True


def _in_order(pairs: Pairs) -> Pairs:
    """Pairs of two images, the earlier one first."""
    return np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)


def least_similarity(examined: ExaminedSet, numbers: NDArray[np.int64]) -> float:
    """The similarity from which images of the set are nearly the same: `SIMILARITY`, or more where images of
    one class agree much by chance."""
    random, labels = np.random.default_rng(0), examined.labels[numbers]
    order = np.lexsort((random.permutation(len(numbers)), labels))
    are_one_class = np.flatnonzero(labels[order][1:] == labels[order][:-1])
    drawn = random.permutation(are_one_class)[:DRAWN]
    pairs = np.column_stack([numbers[order[drawn]], numbers[order[drawn + 1]], np.zeros_like(drawn)])
    found = [
        pair.similarity
        for start in range(0, len(pairs), LOOKED_AT_ONCE)
        for pair in _look(examined, pairs[start : start + LOOKED_AT_ONCE], -1.0)
    ]
    chance = float(np.quantile(found, BY_CHANCE)) if found else 0.0
    return max(SIMILARITY, (1 + chance) / 2)


def _look(examined: ExaminedSet, pairs: Pairs, least: float) -> Iterator[ClosePair]:
    """Those of the candidates (P, 3) whose similarity is at least `least`."""
    views: dict[int, NDArray[np.float32]] = {}
    for number in np.unique(pairs[:, :2]).tolist():
        split, index = examined.locate(number)
        try:
            image = open_rgb(examined.splits[split], index)
        except BadImage:  # it was removed meanwhile
            continue
        views[number] = np.stack([thumbnail(image), thumbnail(image, inner_box(image))])
    there = [one for one in pairs.tolist() if one[0] in views and one[1] in views]
    if not there:
        return
    first = np.stack([views[one] for one, _, _ in there])
    second = np.stack([views[two][:, :, ::-1] if flip else views[two] for _, two, flip in there])
    for (one, two, flip), similarity in zip(there, edge_similarity(first, second).tolist(), strict=True):
        if similarity >= least:
            yield ClosePair(one, two, min(similarity, 0.9999), bool(flip))


def edge_similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Correlation of the edges of pairs of images, as they agree best.

    Args:
        first: The image as a whole, and without its frame or a margin, float32 (P, 2, 32, 32).
        second: The same of the other images.

    Returns:
        float32 (P,), at most 1.
    """
    edges = _edges(first), _edges(second)
    every = [(down, right) for down in SHIFTS for right in SHIFTS]
    coarse = [(down, right) for down, right in every if down % 2 == right % 2 == 0]
    best = _best_shift(edges[0], edges[1], coarse)
    promising = np.flatnonzero(best >= PROMISING)
    rest = [shift for shift in every if shift not in coarse]
    fine = _best_shift(edges[0][promising], edges[1][promising], rest)
    best[promising] = np.maximum(best[promising], fine)
    return best


def _best_shift(
    first: NDArray[np.float32], second: NDArray[np.float32], shifts: list[tuple[int, int]]
) -> NDArray[np.float32]:
    """The largest correlation of edges (P, 2, 30, 30, 2) over some shifts, at least -1."""
    best, most = np.full(len(first), -1, np.float32), max(SHIFTS)
    size = first.shape[2] - 2 * most
    for one, two in ((0, 0), (0, 1), (1, 0)):
        fixed = second[:, two, most : most + size, most : most + size]
        for down, right in shifts:
            top, left = most + down, most + right
            shifted = first[:, one, top : top + size, left : left + size]
            np.maximum(best, _correlate(shifted, fixed), out=best)
    return best


def _edges(grey: NDArray[np.float32]) -> NDArray[np.float32]:
    """Differences across each pixel of images (P, 2, 32, 32): (P, 2, 30, 30, 2)."""
    across = grey[..., 1:-1, 2:] - grey[..., 1:-1, :-2]
    down = grey[..., 2:, 1:-1] - grey[..., :-2, 1:-1]
    return np.stack([across, down], axis=-1)


def _correlate(one: NDArray[np.float32], two: NDArray[np.float32]) -> NDArray[np.float32]:
    one, two = (part.reshape(len(part), math.prod(part.shape[1:])) for part in (one, two))
    one, two = (part - part.mean(axis=1, keepdims=True) for part in (one, two))
    product = np.einsum("ij,ij->i", one, two)
    sizes = np.einsum("ij,ij->i", one, one) * np.einsum("ij,ij->i", two, two)
    correlation: NDArray[np.float32] = product / np.sqrt(sizes + 1e-6)
    return correlation


def find_many_alike(near: NearPairs) -> Iterator[DataFinding]:
    """What tells that near duplicates may have been missed, for many images of the set look alike."""
    if not near.is_whole:
        yield DataFinding(
            "many_alike",
            f"over {MAX_CANDIDATES:,} pairs of images look alike, as frames of a video do, and only so many "
            "were compared",
        )
    if round(near.least, 2) > SIMILARITY:
        yield DataFinding(
            "many_alike",
            "images of one class agree much by chance, so only pairs of which "
            f"{near.least:.2f} of the edges agree count as nearly the same, not {SIMILARITY:g}",
        )


def find_duplicates(examined: ExaminedSet, pairs: list[ClosePair]) -> Iterator[DataFinding]:
    """What follows from pairs of images: leaks, conflicts of labels, and duplicates.

    Of two splits, the leak is on the image of the earlier one, which is trained on, or chosen by: dropping it
    leaves the later one whole. If their labels differ, the image of the later split is in conflict too. Of
    the same image under one label in one split, the first is kept; of nearly the same images, all are.
    """
    split_of, labels = examined.split_of, examined.labels
    for pair in pairs:
        one, two = sorted((pair.first, pair.second))  # and so in the order of the splits
        exact = "equal pixels" if pair.is_exact else f"{pair.similarity:.2f} of the edges agree"
        how = exact + ", mirrored" * pair.is_mirrored
        prefix = "" if pair.is_exact else "near_"
        in_conflict: tuple[int, ...] = ()
        if split_of[one] != split_of[two]:
            labelled = "" if labels[one] == labels[two] else f", there {examined.label(two)}"
            detail = f"{how}: also {name_in_split(examined, two)}{labelled}"
            yield DataFinding(f"{prefix}leak", detail, one, two, pair.similarity)
            in_conflict = (two,)
        elif labels[one] == labels[two]:
            detail = f"{how}: also {examined.key(one)}"
            yield DataFinding(f"{prefix}duplicate", detail, two, one, pair.similarity)
        else:
            in_conflict = (one, two)
        for number in in_conflict if labels[one] != labels[two] else ():
            other = one + two - number
            detail = f"{how}: {examined.label(other)} as {name_in_split(examined, other)}"
            yield DataFinding(f"{prefix}conflict", detail, number, other, pair.similarity)
