"""Pixels of every mode as upright 8-bit RGB: what a person would see who opens the file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import ExifTags, Image
from PIL.Image import Transpose

from resnext.contract import GreyRange
from resnext.data.grey import DeepGrey, strips, white_alone

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


def to_rgb(image: Image.Image | DeepGrey, grey: GreyRange | None = None) -> Image.Image:
    """What `upright` has made of an image, in mode RGB.

    Args:
        image: The image, upright.
        grey: Black and white of a deep grey image; None judges it alone.

    Raises:
        ValueError: If it is not certain which of its grey values are black and white.

    >>> to_rgb(upright(Image.new("P", (2, 1)))).mode
    'RGB'
    >>> to_rgb(upright(Image.new("I", (1, 1), 1000)), GreyRange(-1000, 3000)).getpixel((0, 0))
    (128, 128, 128)
    """
    return _in_rgb(image.to_8_bit(grey)) if isinstance(image, DeepGrey) else image


def upright(image: Image.Image) -> Image.Image | DeepGrey:
    """`image` upright and in mode RGB, or, if it is deep grey, with the values that are stored.

    Raises:
        ValueError: If it holds signed values of 8 bits, some of them negative.
    """
    tile = next(iter(getattr(image, "tile", ())), None)  # how it is stored: known until it is loaded
    image.load()  # some decoders turn the image themselves and then clear the orientation
    found = _FINISH.get(str(image.format), _finish_other)(image, tile)
    if (transpose := EXIF_TRANSPOSE.get(exif_orientation(image))) is not None:
        found = found.transpose(transpose)
    if is_deep(found):
        tags = _tags(image)
        mode = "I;12" if tags.get(BITS) == (12,) else found.mode
        is_inverted = tags.get(PHOTOMETRIC) == WHITE_IS_ZERO  # Pillow inverts 8 bits only
        return DeepGrey(found, mode, is_inverted)
    converted = _in_rgb(found)
    return converted.copy() if converted is image else converted


def _in_rgb(image: Image.Image) -> Image.Image:
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return _on_white(image)
    return image if image.mode == "RGB" else image.convert("RGB")


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
        white_alone("L", int(np.asarray(image).view(np.int8).min(initial=0)), 127)
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
    for rows in strips(image.height):
        strip = image.crop((0, rows.start, image.width, rows.stop))
        yield rows.start, (strip.convert("LA") if strip.mode == "La" else strip).convert("RGBA")
