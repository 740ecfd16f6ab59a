"""Deep grey: images of one number of more than 8 bits a pixel, and which numbers are black and white.

No file says it for certain: 12 bits are stored as 16, floats reach to 1 or to 255, and CT has values below 0.
So the range is chosen once, for all images of a data set, and goes into the contract of the network. Where
there is none, each image is judged alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resnext.contract import MAX_GREY, GreyRange
from resnext.names import encodable

#: Rows of an image that are converted at a time, so that conversions take little memory.
STRIP_PX = 256
#: What white may be: the largest numbers of 8, 10, 12, 14 and 16 bits, and of floats.
WHOLE_WHITES, FLOAT_WHITES = (255.0, 1023.0, 4095.0, 16383.0, 65535.0), (1.0, 255.0)
#: How far floats may lie outside black and white, as programs leave them that have resized an image, as a
#: share of white.
FLOAT_SLACK = 0.01
#: Where the values of a set take less of its range than this, the user is told.
LITTLE = 1 / 4
#: Values that are drawn from each image of a sample, and the shares between which nearly all of them lie.
DRAWN, NEARLY_ALL = 1024, (0.001, 0.999)
#: What white may be in an image that is judged alone, by mode. Mode "I" has 32 bits, but image files use 16
#: of them, or 8 if an older program wrote the file.
_WHITES_ALONE = {"F": FLOAT_WHITES, "I": (255.0, 65535.0), "I;12": (4095.0,), "L": (255.0,)}


def strips(height: int) -> Iterator[slice]:
    """The rows of an image, some at a time."""
    return (slice(top, min(height, top + STRIP_PX)) for top in range(0, height, STRIP_PX))


@dataclass(frozen=True)
class DeepGrey:
    """A grey image of more than 8 bits, upright.

    Attributes:
        image: Its values, in one of Pillow's modes `I` and `F`.
        mode: The mode, or `I;12` where the file says that it uses 12 bits.
        is_inverted: Whether small values are light.
    """

    image: Image.Image
    mode: str
    is_inverted: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    @property
    def is_float(self) -> bool:
        """Whether its values may be fractions."""
        return self.image.mode == "F"

    def extent(self) -> tuple[float, float]:
        """The lowest and the largest of its finite values; zeros if it has none."""
        stored = np.asarray(self.image)
        parts = (_finite(stored[rows]) for rows in strips(len(stored)))
        ends = [(part.min(), part.max()) for part in parts if part.size]
        return (float(min(ends)[0]), float(max(end for _, end in ends))) if ends else (0.0, 0.0)

    def draw(self, seed: int) -> NDArray[np.float64]:
        """Some of its finite values, at places drawn from `seed`."""
        stored = np.asarray(self.image).ravel()
        places = np.random.default_rng(seed).integers(0, stored.size, DRAWN)
        return _finite(stored[places]).astype(np.float64)

    def to_8_bit(self, grey: GreyRange | None) -> Image.Image:
        """The image in mode L, or LA where one value is transparent.

        Gaps (NaN) are black.

        Args:
            grey: Its black and white; None judges it alone.

        Raises:
            ValueError: It is judged alone, and its black and white are not certain.
        """
        grey = grey or self._range_alone()
        stored, scale = np.asarray(self.image), 255 / (grey.white - grey.black)
        levels = [
            np.clip(np.rint((_shown(stored[rows], grey) - grey.black) * scale), 0, 255).astype(np.uint8)
            for rows in strips(len(stored))
        ]
        shown = Image.fromarray(np.concatenate(levels))
        if self.is_inverted:
            shown = shown.point(lambda value: 255 - value)
        if "transparency" in self.image.info:  # the one grey value that is transparent
            clear = self.image.info["transparency"]
            opaque = [(stored[rows] != clear).astype(np.uint8) * 255 for rows in strips(len(stored))]
            shown.putalpha(Image.fromarray(np.concatenate(opaque)))
        return shown

    def _range_alone(self) -> GreyRange:
        stored = np.asarray(self.image)
        values = [np.nan_to_num(stored[rows].astype(np.float64)) for rows in strips(len(stored))]
        lowest, largest = min(map(np.min, values)), max(map(np.max, values))
        return GreyRange(0.0, white_alone(self.mode, float(lowest), float(largest)))


def white_alone(mode: str, lowest: float, largest: float) -> float:
    """The value of white in an image that is judged alone.

    Raises:
        ValueError: Values lie outside black and white.
    """
    slack = FLOAT_SLACK if mode == "F" else 0
    whites = _WHITES_ALONE.get(mode, (65535.0,))
    white = next((value for value in whites if largest <= value * (1 + slack)), None)
    if white is None or lowest < -slack * white:
        raise ValueError(
            f"its grey values reach from {lowest:,.6g} to {largest:,.6g}, and which of them are black and "
            "white is not certain; save it with 8 bits, from 0 to 255, or 16, from 0 to 65,535"
        )
    return white


def _finite(values: NDArray[np.generic]) -> NDArray[np.generic]:
    return values[np.isfinite(values)] if values.dtype.kind == "f" else values  # type: ignore[call-overload]


def _shown(values: NDArray[np.generic], grey: GreyRange) -> NDArray[np.float64]:
    return np.nan_to_num(values.astype(np.float64), nan=grey.black, posinf=grey.white, neginf=grey.black)


def usual_ranges(is_float: bool, largest: float) -> list[GreyRange]:
    """What may be chosen for a set with a value `largest`, from the narrowest range on.

    >>> [grey.white for grey in usual_ranges(is_float=False, largest=3910)]
    [4095.0, 16383.0, 65535.0]
    """
    whites, slack = (FLOAT_WHITES, FLOAT_SLACK) if is_float else (WHOLE_WHITES, 0)
    return [GreyRange(0.0, white) for white in whites if largest <= white * (1 + slack)]


@dataclass(frozen=True)
class GreyValues:
    """The values that the deep grey images of a set hold.

    Attributes:
        lowest: The lowest value.
        largest: The largest one.
        lowest_in: Name of an image that has the lowest one.
        largest_in: Name of an image that has the largest one.
        usual: The two values between which nearly all lie.
        has_floats: Whether some images hold floats.
        has_whole: Whether some images hold whole numbers.

    Raises:
        ValueError: The values do not fit together.
    """

    lowest: float
    largest: float
    lowest_in: str
    largest_in: str
    usual: tuple[float, float]
    has_floats: bool
    has_whole: bool

    def __post_init__(self) -> None:
        if not self.lowest <= self.usual[0] <= self.usual[1] <= self.largest:
            raise ValueError("the grey values of its images are not in order")

    def choose(self) -> GreyRange | None:
        """The range of the set: the first white that no value exceeds; None if that is not certain.

        >>> GreyValues(0, 3910, "a", "b", (12, 3600), has_floats=False, has_whole=True).choose()
        GreyRange(black=0.0, white=4095.0)
        >>> GreyValues(-1024, 3071, "a", "b", (-1000, 900), has_floats=False, has_whole=True).choose()
        """
        ranges = usual_ranges(self.has_floats, self.largest)
        if not ranges or (self.has_floats and self.has_whole) or self.is_cut(ranges[0]):
            return None
        if self.has_floats and ranges[0].white > 1 and self.largest < LITTLE * ranges[0].white:
            return None  # to 1.2: is it more than 1, or far less than 255?
        return ranges[0]

    def refusal(self) -> str:
        """Why no range can be chosen, and what to type."""
        kinds = "; some are floats, and some whole numbers" if self.has_floats and self.has_whole else ""
        black = 0 if 0 <= self.lowest < LITTLE * self.largest else self.lowest
        low, high = _typed(black), _typed(self.largest)
        return (
            f"deep grey images (of more than 8 bits): their values reach from {_told(self.lowest)} "
            f"({self.lowest_in}) to {_told(self.largest)} ({self.largest_in}){kinds}, and which of them are "
            f"black and white is not certain; say it with --data.grey {low} {high}, or with the part of them "
            "that matters"
        )

    def is_cut(self, grey: GreyRange) -> bool:
        """Whether a value lies outside black and white, by more than resizing explains."""
        slack = FLOAT_SLACK * (grey.white - grey.black) if self.has_floats else 0
        return self.lowest < grey.black - slack or self.largest > grey.white + slack

    def cut_off(self) -> str:
        """What to tell where that is so."""
        return (
            f"values reach from {_told(self.lowest)} to {_told(self.largest)}: what lies outside is cut off"
        )

    def describe(self, grey: GreyRange) -> Iterator[str]:
        """What to tell before training: the range, what it cuts off, and whether little of it is used.

        >>> values = GreyValues(0, 3910, "a", "b", (12, 3600), has_floats=False, has_whole=True)
        >>> print(*values.describe(GreyRange(0, 4095)))
        deep grey images: 0 is black, 4,095 is white (the largest value is 3,910)
        """
        found = self.cut_off() if self.is_cut(grey) else f"the largest value is {_told(self.largest)}"
        yield f"deep grey images: {_told(grey.black)} is black, {_told(grey.white)} is white ({found})"
        low, high = self.usual
        used = min(high, grey.white) - max(low, grey.black)
        if low < high and used < LITTLE * (grey.white - grey.black):
            yield (
                f"nearly all of their values lie from {_told(low)} to {_told(high)}, which is little of that "
                f"range; if these are what matters, say --data.grey {_typed(low)} {_typed(high)}"
            )


def _told(value: float) -> str:
    """A grey value for people."""
    return f"{int(value):,}" if abs(value) < MAX_GREY and value == int(value) else f"{value:,.6g}"


def _typed(value: float) -> str:
    """A grey value as the command line takes it."""
    return _told(value).replace(",", "")


@dataclass(frozen=True)
class GreySeen:
    """What was seen of some deep grey images.

    Attributes:
        lowest: The lowest value, and the place of an image that has it.
        largest: The same of the largest value.
        kinds: Whether the values are floats: of some images, of others.
        drawn: Values of those images that are in a sample.
    """

    lowest: tuple[float, int]
    largest: tuple[float, int]
    kinds: frozenset[bool]
    drawn: tuple[NDArray[np.float64], ...] = ()

    @classmethod
    def of(cls, image: DeepGrey, index: int, in_sample: bool) -> GreySeen:
        """What is seen of one image, whose place is `index`."""
        lowest, largest = image.extent()
        drawn = (image.draw(index),) if in_sample else ()
        return cls((lowest, index), (largest, index), frozenset([image.is_float]), drawn)

    @classmethod
    def merge(cls, seen: Sequence[GreySeen]) -> list[GreySeen]:
        """All of it as one; none if nothing was seen."""
        if not seen:
            return []
        lowest, largest = min(one.lowest for one in seen), max(one.largest for one in seen)
        kinds = frozenset[bool]().union(*(one.kinds for one in seen))
        return [cls(lowest, largest, kinds, tuple(part for one in seen for part in one.drawn))]

    def values(self, keys: Sequence[str]) -> GreyValues:
        """The same by the names of the images."""
        drawn = np.concatenate(self.drawn or [np.empty(0)])
        ends = np.array([self.lowest[0], self.largest[0]])
        usual = np.quantile(drawn if len(drawn) else ends, NEARLY_ALL, method="inverted_cdf")
        return GreyValues(
            lowest=self.lowest[0],
            largest=self.largest[0],
            lowest_in=encodable(keys[self.lowest[1]]),
            largest_in=encodable(keys[self.largest[1]]),
            usual=(float(usual[0]), float(usual[1])),
            has_floats=True in self.kinds,
            has_whole=False in self.kinds,
        )
