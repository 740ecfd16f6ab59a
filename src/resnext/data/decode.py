"""Decoding: every kind of image file becomes an upright 8-bit RGB image."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

from resnext.errors import ResnextError

#: Suffixes of the files that count as images in a folder, in lower case.
IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .avif .jp2 .tga".split()
)
#: Suffixes of image formats that Pillow cannot read by itself.
UNSUPPORTED_SUFFIXES = frozenset(".heic .heif .jxl .dng .raw .cr2 .cr3 .nef .arw .psd .svg".split())

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


class DataError(ResnextError):
    """Data that cannot be used. The message names the file or folder and says what to do."""

    exit_code = 3


class BadImage(DataError):
    """One image that cannot be read.

    Args:
        key: Name of the image.
        reason: What is wrong with it; follows the name in the message.

    >>> print(BadImage("cat/1.jpg", "has no bytes"))
    cat/1.jpg: has no bytes
    """

    def __init__(self, key: str, reason: str) -> None:
        # Exception pickles its arguments: both survive the way between processes, and any file can hold them.
        self.key, self.reason = printable(key), printable(reason)
        super().__init__(self.key, self.reason)

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


def printable(text: str) -> str:
    r"""`text` with bytes of file names that are not UTF-8 written as escapes, so that any file can hold it.

    >>> print(printable("caf\udce9.png"))
    caf\udce9.png
    """
    return text.encode("utf-8", "backslashreplace").decode()


def decode(source: bytes | str | Path | Image.Image, key: str) -> Image.Image:
    """`source` as an upright 8-bit RGB image.

    The EXIF orientation is applied, 16-bit grey is scaled (not clipped), transparent pixels are laid on
    white, and of an animation the first frame is taken.

    Args:
        source: Encoded bytes, path of a file, or open image.
        key: Name of the image in an error.

    Raises:
        BadImage: If the image is missing, damaged, too large or of an unknown format.

    >>> decode(Image.new("L", (8, 6), 255), "white").mode
    'RGB'
    """
    try:
        if isinstance(source, Image.Image):
            return to_rgb(source)
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file) as image:
            return to_rgb(image)
    except FileNotFoundError:
        raise BadImage(key, "there is no such file") from None
    except IsADirectoryError:
        raise BadImage(key, "is a folder, not an image") from None
    except UnidentifiedImageError:
        raise BadImage(key, "is not an image that can be read (damaged, or of another type)") from None
    except Image.DecompressionBombError as error:
        raise BadImage(key, f"is too large ({error})") from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of any type for damaged files
        raise BadImage(key, f"cannot be decoded ({error})") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` upright and in mode RGB."""
    image.load()  # some decoders turn the image themselves and then clear the orientation
    if (transpose := EXIF_TRANSPOSE.get(exif_orientation(image))) is not None:
        image = image.transpose(transpose)
    if image.mode.startswith("I") or image.mode == "F":
        image = _wide_grey_to_8_bit(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation of `image`, from 1 to 8; 1 (upright) if it is missing or cannot be parsed."""
    with contextlib.suppress(Exception):  # damaged metadata do not make the pixels unreadable
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _wide_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """A grey image of more than 8 bits as 8-bit grey; transparent pixels stay transparent."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if image.mode == "F":
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
    else:  # mode "I" has 32 bits, but image files use 16 of them, or 8 if an older program wrote the file
        scale = 1.0 if image.mode == "I" and values.max(initial=0) <= 255 else 255 / 65535
    grey = Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
    if "transparency" in image.info:  # the one grey value that is transparent
        grey.putalpha(Image.fromarray((values != image.info["transparency"]).astype(np.uint8) * 255))
    return grey
