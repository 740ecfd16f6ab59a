"""Findings on single images: files that cannot be read or are odd, and images that are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from resnext.doctor.facts import MARKS, Broken, Facts
from resnext.doctor.findings import DataFinding

#: An image is nearly blank if its levels of grey deviate by less than this.
BLANK_SPREAD = 3.0
#: It is dark if all but a hundredth of its pixels are below this level.
DARK_BRIGHT = 48
#: It is blurred if its sharpness is below this share of the median of the set, and below this itself.
BLURRED_SHARE, BLURRED = 0.2, 0.12
#: Its size is odd if it is so many times the median of the set, or one over that.
ODD_SIZE = 8.0
#: Its aspect is odd if its longer side is so many times its shorter one.
ODD_ASPECT = 5.0
#: It is grey if its channels differ by no more than this, and the set coloured if this share of it is.
GREY_COLOUR, COLOURED_SHARE = 4.0, 0.9


def find_in_files(
    facts: Facts, readable: NDArray[np.bool_], broken: Mapping[int, Broken]
) -> Iterator[DataFinding]:
    """The findings on single images.

    Args:
        facts: What was measured of each image (N,).
        readable: Whether it could be read, bool (N,).
        broken: Why the others could not, by number.
    """
    for number, why in sorted(broken.items()):
        yield DataFinding(why.finding, why.reason, number)
    for bit, name in enumerate(MARKS):
        for number in _numbers(readable & (facts["marks"] >> bit & 1 == 1)):
            yield DataFinding(name, "", number)
    if not readable.any():
        return
    seen = facts[readable]
    is_blank = readable & (facts["spread"] < BLANK_SPREAD)
    for number in _numbers(is_blank):
        yield DataFinding("nearly_blank", f"grey {facts['mean'][number]:.0f} throughout", number)
    for number in _numbers(readable & ~is_blank & (facts["bright"] < DARK_BRIGHT)):
        yield DataFinding("dark", f"99 % of it below {facts['bright'][number]:.0f} of 255", number)
    limit = min(BLURRED, BLURRED_SHARE * float(np.median(seen["sharpness"])))
    for number in _numbers(readable & ~is_blank & (facts["sharpness"] < limit)):
        yield DataFinding("blurred", f"sharpness {facts['sharpness'][number]:.2f}", number)
    width, height = facts["width"].astype(float), facts["height"].astype(float)
    side = np.sqrt(np.maximum(1, width * height))
    median = float(np.median(side[readable]))
    is_odd = (side > ODD_SIZE * median) | (side < median / ODD_SIZE)
    for number in _numbers(readable & is_odd):
        yield DataFinding("odd_size", f"{width[number]:.0f}x{height[number]:.0f} pixels", number)
    aspect = np.maximum(width, height) / np.maximum(1, np.minimum(width, height))
    for number in _numbers(readable & (aspect > ODD_ASPECT)):
        yield DataFinding("odd_aspect", f"{width[number]:.0f}x{height[number]:.0f} pixels", number)
    is_grey = readable & ~is_blank & (facts["colour"] <= GREY_COLOUR)
    if COLOURED_SHARE <= 1 - is_grey.sum() / readable.sum() < 1:
        for number in _numbers(is_grey):
            yield DataFinding("grey", "", number)


def _numbers(found: NDArray[np.bool_]) -> list[int]:
    return np.flatnonzero(found).tolist()
