"""Pixels of every mode as upright 8-bit RGB: what a person would see who opens the file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image
from PIL.Image import Transpose

#: Rows of an image that are converted at a time, so that conversions take little memory.
STRIP_PX = 256
#: The operation that makes an image upright, for each EXIF orientation that needs one.
EXIF_TRANSPOSE = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
#: Tags of TIFF, and values of theirs.
BITS, PHOTOMETRIC, COLOUR_MAP, SAMPLE_FORMAT = 258, 262, 320, 339
WHITE_IS_ZERO, SIGNED = 0, 2
#: What Pillow multiplies grey of few bits by, for each way that a PNG stores it.
GREY_STEPS = {"L;2": 85, "L;4": 17}
#: How far floats may lie outside black and white, as programs leave them that have resized an image.
FLOAT_SLACK = 0.01


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` upright and in mode RGB.

    Raises:
        ValueError: If it is not certain which of its grey values are black and white.

    >>> to_rgb(Image.new("P", (2, 1))).mode
    'RGB'
    """
    tile = next(iter(getattr(image, "tile", ())), None)  # how it is stored: known until it is loaded
    image.load()  # some decoders turn the image themselves and then clear the orientation
    upright = _FINISH.get(str(image.format), _finish_other)(image, tile)
    if (transpose := EXIF_TRANSPOSE.get(exif_orientation(image))) is not None:
        upright = upright.transpose(transpose)
    if is_deep(upright):
        upright = _wide_grey_to_8_bit(upright, _tags(image))
    if "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return _on_white(upright)
    is_done = upright is not image and upright.mode == "RGB"
    return upright if is_done else upright.convert("RGB")


def is_deep(image: Image.Image) -> bool:
    """Whether a pixel of `image` is one number of more than 8 bits."""
    return image.mode.startswith("I") or image.mode == "F"


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation of `image`, from 1 to 8; 1 (upright) if it is missing or cannot be parsed."""
    with contextlib.suppress(Exception):  # damaged metadata do not make the pixels unreadable
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _finish_other(image: Image.Image, _: Any) -> Image.Image:
    return image


def _finish_png(image: Image.Image, tile: Any) -> Image.Image:
    """With the transparent value on the scale of the pixels: Pillow leaves it as it is stored. Colours of 16
    bits are told apart by the upper 8."""
    clear, stored = image.info.get("transparency"), tile and tile.args
    if isinstance(clear, int) and stored in GREY_STEPS:
        image.info["transparency"] = clear * GREY_STEPS[stored]
    elif isinstance(clear, tuple) and stored == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in clear)
    return image


def _finish_gif(image: Image.Image, tile: Any) -> Image.Image:
    """White around a first frame that does not fill the image: Pillow takes the first colour."""
    if tile is None or tile.extents in (None, (0, 0, *image.size)):
        return image
    ground = Image.new("RGB", image.size, "white")
    ground.paste(_on_white(image.crop(tile.extents)), tile.extents[:2])
    return ground


def _finish_tiff(image: Image.Image, _: Any) -> Image.Image:
    """With the palette of old programs, which give it 8 bits where 16 are due."""
    tags = _tags(image)
    if image.mode == "L" and tags.get(SAMPLE_FORMAT) == (SIGNED,):
        _check_grey("L", int(np.asarray(image).view(np.int8).min(initial=0)), 127)
    palette = tags.get(COLOUR_MAP, ())
    if image.mode == "P" and palette and max(palette) < 256:
        image.putpalette(bytes(np.reshape(palette, (3, -1)).T.astype(np.uint8)))
    return image


#: What Pillow leaves to those who call it, by format.
_FINISH: dict[str, Callable[[Image.Image, Any], Image.Image]] = {
    "PNG": _finish_png,
    "GIF": _finish_gif,
    "TIFF": _finish_tiff,
}


def _tags(image: Image.Image) -> Any:
    """The tags of a TIFF by number; none for another image."""
    return getattr(image, "tag_v2", {})


def _on_white(image: Image.Image) -> Image.Image:
    """A partly transparent image on a white ground, in mode RGB.

    An alpha that is zero throughout is none: programs that have none write zeros, or leave them.
    """
    opaque = Image.new("RGB", image.size)
    is_clear = all(strip.getchannel("A").getextrema() == (0, 0) for _, strip in _rgba_strips(image))
    for top, strip in _rgba_strips(image):
        if is_clear:
            strip.putalpha(255)
        white = Image.new("RGBA", strip.size, "white")
        opaque.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return opaque


def _rgba_strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The rows of an image with an alpha, some at a time, each with the place of its first one."""
    for top in range(0, image.height, STRIP_PX):
        strip = image.crop((0, top, image.width, min(image.height, top + STRIP_PX)))
        yield top, (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")


def _wide_grey_to_8_bit(image: Image.Image, tags: Any) -> Image.Image:
    """A grey image of more than 8 bits as 8-bit grey; transparent pixels stay transparent."""
    stored = np.asarray(image)
    lowest, largest = np.array([(v.min(initial=0), v.max(initial=0)) for v in _strips(stored)]).T
    mode = "I;12" if tags.get(BITS) == (12,) else image.mode
    scale = 255 / _check_grey(mode, lowest.min(), largest.max())
    levels = [np.clip(np.rint(values * scale), 0, 255).astype(np.uint8) for values in _strips(stored)]
    grey = Image.fromarray(np.concatenate(levels))
    if tags.get(PHOTOMETRIC) == WHITE_IS_ZERO:  # Pillow inverts 8 bits only
        grey = grey.point(lambda value: 255 - value)
    if "transparency" in image.info:  # the one grey value that is transparent
        clear = image.info["transparency"]
        opaque = [(values != clear).astype(np.uint8) * 255 for values in _strips(stored)]
        grey.putalpha(Image.fromarray(np.concatenate(opaque)))
    return grey


#: The values that white may have in grey images, by mode: the first that no value exceeds. Mode "I" has 32
#: bits, but image files use 16 of them, or 8 if an older program wrote the file.
_WHITES = {"F": (1, 255), "I": (255, 65535), "I;12": (4095,), "L": (255,)}


def _check_grey(mode: str, lowest: float, largest: float) -> int:
    """The value of white. Raises `ValueError` if values lie outside black and white."""
    slack = FLOAT_SLACK if mode == "F" else 0
    white = next((value for value in _WHITES.get(mode, (65535,)) if largest <= value * (1 + slack)), None)
    if white is None or lowest < -slack * white:
        raise ValueError(
            f"its grey values reach from {lowest:,.6g} to {largest:,.6g}, and which of them are black and "
            "white is not certain; save it with 8 bits, from 0 to 255, or 16, from 0 to 65,535"
        )
    return white


def _strips(stored: NDArray[np.generic]) -> Iterator[NDArray[np.float64]]:
    """The rows of an image as finite numbers, some at a time."""
    for top in range(0, len(stored), STRIP_PX):
        yield np.nan_to_num(stored[top : top + STRIP_PX].astype(np.float64))
