"""Pillow's bilinear filter as a part of an OpenVINO graph, equal in every value.

At simple ratios many values lie exactly halfway between two levels: one of eight when 64 px become 32, one of
twelve when they become 224. Pillow decides those by its weights, which are integers of 22 bits, so that a sum
in float32 often decides otherwise. Here the weights are the same integers, in two halves of 11 bits, and the
sums stay below 2^24, where float32 ceases to be exact.

The products are of whole matrices, most of them zeros, which costs too much for large photographs: those are
left to OpenVINO's own filter.
"""

from __future__ import annotations

from typing import Any

import numpy as np

#: Half of the bits of Pillow's weights (`PRECISION_BITS` of its Resample.c).
HALF = 2**11


def resized_square(op: Any, planes: Any, size: Any, corner: Any, side_px: int) -> Any:
    """A square of a resized image, as Pillow computes it: columns first, rounded to levels, then rows.

    Args:
        op: An operator set of OpenVINO.
        planes: The image, uint8 (1, 3, H, W).
        size: Height and width after resizing, int64 (2,); like those before, at most 2^15.
        corner: First row and first column of the square, int64 (2,).
        side_px: Its side.

    Returns:
        Levels from 0 to 255, float32 (1, 3, side_px, side_px).
    """

    def along(axis: int) -> tuple[Any, Any]:
        def number(values: Any, place: int) -> Any:
            index = op.constant(np.array(place, np.int64))
            return op.convert(op.gather(values, index, op.constant(np.array(0, np.int64))), "i32")

        before = number(op.shape_of(planes, output_type="i64"), 2 + axis)
        return _weights(op, before, number(size, axis), number(corner, axis), side_px)

    def levels(high: Any, low: Any) -> Any:
        """(high * 2^11 + low) / 2^22, rounded."""
        half = op.constant(np.float32(HALF))
        carried = op.floor(op.divide(low, half))
        rounded = op.add(op.add(high, carried), op.constant(np.float32(HALF / 2)))
        return op.floor(op.divide(rounded, half))

    pixels = op.convert(planes, "f32")
    columns = levels(*(op.matmul(pixels, weights, False, True) for weights in along(1)))
    return levels(*(op.matmul(weights, columns, False, False) for weights in along(0)))


def _weights(op: Any, before: Any, after: Any, first: Any, side_px: int) -> tuple[Any, Any]:
    """Pillow's integer weights along one axis, upper and lower half: float32 (side_px, before) each.

    The centre of output i lies at (2i + 1) before / 2 after, that of input x at x + 1/2, and the filter is a
    triangle as wide as two inputs, or as two outputs where that is wider. So the distance of both and the
    height of the triangle are whole numbers when they are multiplied by 2 after.
    """

    def whole(value: int) -> Any:
        return op.constant(np.array(value, np.int32))

    def centres(start: Any, stop: Any, axis: int) -> Any:
        numbers = op.range(start, stop, whole(1), output_type="i32")
        odd = op.add(op.multiply(numbers, whole(2)), whole(1))
        return op.unsqueeze(odd, op.constant(np.array([axis], np.int64)))

    inputs = op.multiply(centres(whole(0), before, 0), after)
    outputs = op.multiply(centres(first, op.add(first, whole(side_px)), 1), before)
    distance = op.maximum(op.subtract(inputs, outputs), op.subtract(outputs, inputs))
    reach = op.multiply(op.maximum(before, after), whole(2))
    shares = op.maximum(op.subtract(reach, distance), whole(0))
    total = op.reduce_sum(shares, op.constant(np.array([1], np.int64)), keep_dims=True)
    high, rest = _divided(op, op.multiply(shares, whole(HALF)), total)
    twice = op.add(op.multiply(rest, whole(2 * HALF)), total)
    low, _ = _divided(op, twice, op.multiply(total, whole(2)))
    return op.convert(high, "f32"), op.convert(low, "f32")


def _divided(op: Any, dividend: Any, divisor: Any) -> tuple[Any, Any]:
    """Quotient and remainder of whole numbers, int32, not below 0.

    OpenVINO divides integers in float32 on some processors, so a quotient may be one off: it is corrected by
    its remainder.
    """
    near = op.floor(op.divide(op.convert(dividend, "f32"), op.convert(divisor, "f32")))
    quotient = op.convert(near, "i32")
    rest = op.subtract(dividend, op.multiply(quotient, divisor))
    zero = op.constant(np.array(0, np.int32))
    below = op.convert(op.less(rest, zero), "i32")
    above = op.convert(op.greater_equal(rest, divisor), "i32")
    step = op.subtract(above, below)
    return op.add(quotient, step), op.subtract(rest, op.multiply(step, divisor))
