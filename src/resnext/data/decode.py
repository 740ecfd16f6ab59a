"""Decoding: every kind of image file becomes an upright 8-bit RGB image."""

from __future__ import annotations

import functools
import importlib.util
import io
import os
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from PIL import Image, UnidentifiedImageError

from resnext.contract import GreyRange
from resnext.data.grey import DeepGrey
from resnext.data.jpeg import Jpeg, is_installed
from resnext.data.kinds import HEAD_BYTES, IMAGE_MARKS, check_not_raw, why_unknown
from resnext.data.kinds import HEIF_HINT as HEIF_HINT
from resnext.data.pixels import is_deep, to_rgb, upright
from resnext.errors import ResnextError
from resnext.files import ordinary
from resnext.names import brief, encodable, printable

#: Pillow's names of the formats that are read, and suffixes of their files, in lower case. Pillow knows more,
#: and hands some of them to other programs (PostScript to Ghostscript); what is in a file decides, not its
#: name.
FORMATS = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2",),
    "TGA": (".tga",),  # last: its files have no mark by which to tell them
}
#: Suffixes of HEIF, which is read where the package pillow-heif is installed.
HEIF_SUFFIXES = frozenset((".heic", ".heif"))


def _has_heif() -> bool:
    return importlib.util.find_spec("pillow_heif") is not None


if _has_heif():
    FORMATS = {"HEIF": tuple(sorted(HEIF_SUFFIXES)), **FORMATS}
#: Suffixes of the files that count as images in a folder, in lower case.
IMAGE_SUFFIXES = frozenset(suffix for suffixes in FORMATS.values() for suffix in suffixes)
#: Suffixes of image formats that cannot be read here.
UNSUPPORTED_SUFFIXES = (
    frozenset(".heic .heif .jxl .dng .raw .cr2 .cr3 .nef .arw .psd .svg".split()) - IMAGE_SUFFIXES
)
#: Most pixels of an image, those of a camera of 102 megapixels: up to 1 GB while it is decoded. A small file
#: can claim any number of pixels. Programs that need more assign another number.
MAX_PIXELS = 102_000_000
#: The same where a pixel takes more memory: more than 8 bits, or a format that is decoded as a whole.
MAX_DEEP_PIXELS = 40_000_000
#: The same of a side: decoders need room for whole rows, and filters for whole columns.
MAX_SIDE_PX = 65_535
DEEP_FORMATS = ("AVIF", "HEIF", "JPEG2000", "WEBP")

#: Files of up to so many bytes are read at once: decoders read small parts, slowly from a file.
SMALL_BYTES = 2**18
#: JPEG files of up to so many pixels are decoded by libjpeg-turbo alone where it is installed (extra `fast`):
#: Pillow takes a tenth of a millisecond more, whatever the size.
SMALL_PIXELS = 2**18

# This module decides what is too large, so Pillow's warning is off; its error, at a higher limit, stays.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)


class DataError(ResnextError):
    """Data that cannot be used. The message names the file or folder and says what to do."""

    exit_code = 3


def is_image(path: Path) -> bool:
    """Whether the file begins as an image does, whatever its name."""
    return IMAGE_MARKS.match(_head(path)) is not None


def _head(source: bytes | str | Path) -> bytes:
    """The first bytes of a file, or of what one holds; empty if it cannot be read."""
    if isinstance(source, bytes):
        return source[:HEAD_BYTES]
    try:
        with open(source, "rb", opener=ordinary) as file:
            return file.read(HEAD_BYTES)
    except OSError:
        return b""


class BadImage(DataError):
    """One image that cannot be read.

    Args:
        key: Name of the image.
        reason: What is wrong with it; follows the name in the message.

    >>> print(BadImage("cat/1.jpg", "has no bytes"))
    cat/1.jpg: has no bytes
    """

    def __init__(self, key: str, reason: str) -> None:
        # Exception pickles these two, on the way between processes; files need text that can be encoded.
        self.key, self.reason = encodable(key), encodable(reason)
        super().__init__(self.key, self.reason)

    def __str__(self) -> str:
        return f"{brief(self.key)}: {printable(self.reason)}"


def decode(source: bytes | str | Path | Image.Image, key: str, grey: GreyRange | None = None) -> Image.Image:
    """`source` as an upright 8-bit RGB image.

    The EXIF orientation is applied, deep grey is scaled, transparent pixels are laid on white, and of an
    animation the first frame is taken.

    Args:
        source: Encoded bytes, path of a file, or open image.
        key: Name of the image in an error.
        grey: Black and white of a deep grey image; values outside are cut off. None judges it alone.

    Raises:
        BadImage: If the image is missing, damaged, too large or of an unknown format.

    >>> decode(Image.new("L", (8, 6), 255), "white").mode
    'RGB'
    """
    with _named_errors(key):
        return to_rgb(_load(source, key), grey)


def load(source: bytes | str | Path | Image.Image, key: str) -> Image.Image | DeepGrey:
    """As `decode`, but a deep grey image keeps the values that are stored.

    >>> load(Image.new("I", (8, 6), 1000), "grey").extent()
    (1000.0, 1000.0)
    """
    with _named_errors(key):
        return _load(source, key)


@contextmanager
def _named_errors(key: str) -> Iterator[None]:
    """Every error of a decoder as a `BadImage` with the name `key`."""
    try:
        yield
    except BadImage:
        raise
    except FileNotFoundError:
        hint = ""
        if "://" in key:
            hint = "; predict_many and predict_to_file read addresses of stores, others: download it first"
        raise BadImage(key, f"there is no such file{hint}") from None
    except IsADirectoryError:
        raise BadImage(key, "is a folder, not an image") from None
    except Image.DecompressionBombError as error:
        pixels = int((re.search(r"[0-9]+", str(error)) or "0")[0])
        raise BadImage(key, _too_large(pixels, "MAX_PIXELS", MAX_PIXELS)) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of any type for damaged files
        reason = getattr(error, "strerror", None) or error
        raise BadImage(key, f"cannot be decoded ({reason})") from None


def _load(source: bytes | str | Path | Image.Image, key: str) -> Image.Image | DeepGrey:
    if isinstance(source, Image.Image):
        return upright(source)
    with _open(source) as file:
        if isinstance(file, io.BytesIO) and (small := _small_jpeg(file.getvalue())) is not None:
            return small
        try:
            opened = open_image(file)
        except UnidentifiedImageError:
            raise BadImage(key, f"is not an image that can be read ({why_unknown(_head(source))})") from None
        with opened as image:
            _check_size(image, key)
            check_not_raw(image)
            return upright(image)


def _small_jpeg(encoded: bytes) -> Image.Image | None:
    """The upright image of a small JPEG file that is not damaged; None for all others."""
    jpeg = Jpeg.open(encoded) if is_installed() else None
    if jpeg is None or jpeg.width * jpeg.height > SMALL_PIXELS:
        return None
    pixels = jpeg.decode_all()
    return None if pixels is None else Image.fromarray(pixels)


def _open(source: bytes | str | Path) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    file = open(source, "rb", opener=ordinary)  # noqa: SIM115
    if os.fstat(file.fileno()).st_size > SMALL_BYTES:
        return file
    with file:
        return io.BytesIO(file.read())


def open_image(file: BinaryIO) -> Image.Image:
    """The image in an open file, in one of `FORMATS`; its pixels are not decoded yet.

    Raises what Pillow raises.
    """
    try:
        return Image.open(file, formats=_formats())
    except Image.DecompressionBombWarning:  # where programs turn all warnings into errors
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            return Image.open(file, formats=_formats())


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of `FORMATS` that this Pillow has."""
    Image.init()
    if _has_heif():
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(name for name in FORMATS if name in Image.OPEN)


def is_too_large(width: int, height: int) -> bool:
    """Whether an image of this size has more than `MAX_PIXELS`."""
    return width * height > MAX_PIXELS


def _check_size(image: Image.Image, key: str) -> None:
    """Raise `BadImage` if the header of `image` claims too many pixels."""
    pixels = image.width * image.height
    if max(image.size) > MAX_SIDE_PX:
        raise BadImage(
            key,
            f"is too large: its header claims {image.width:,} x {image.height:,} pixels, and at most "
            f"{MAX_SIDE_PX:,} of a side are decoded (resnext.data.decode.MAX_SIDE_PX)",
        )
    if is_too_large(*image.size):
        raise BadImage(key, _too_large(pixels, "MAX_PIXELS", MAX_PIXELS))
    if pixels > MAX_DEEP_PIXELS and (image.format in DEEP_FORMATS or is_deep(image)):
        raise BadImage(key, _too_large(pixels, "MAX_DEEP_PIXELS", MAX_DEEP_PIXELS))


def _too_large(pixels: int, name: str, most: int) -> str:
    return (
        f"is too large: its header claims {pixels:,} pixels, and at most {most:,} are decoded "
        f"(resnext.data.decode.{name})"
    )
