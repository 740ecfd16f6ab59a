"""Decoding: every kind of image file becomes an upright 8-bit RGB image."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

from resnext.errors import ResnextError
from resnext.files import ordinary
from resnext.names import encodable, printable

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
HEIF_HINT = "pip install 'resnext[heif]' to read HEIC"


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
#: How files of these formats begin, but for those of TGA, which have no mark.
_MARKS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*|P[1-6]\s|....ftypavi[fs]"
    rb"|\0\0\0\x0cjP  ",
    re.DOTALL,
)
#: Most pixels of an image, those of a camera of 102 megapixels: up to 1 GB while it is decoded. A small file
#: can claim any number of pixels. Programs that need more assign another number.
MAX_PIXELS = 102_000_000
#: The same where a pixel takes more memory: more than 8 bits, or a format that is decoded as a whole.
MAX_DEEP_PIXELS = 40_000_000
DEEP_FORMATS = ("AVIF", "HEIF", "JPEG2000", "WEBP")
#: Rows of an image that are converted at a time, so that conversions take little memory.
STRIP_PX = 256

# What is too large is decided here. The error of Pillow's own limit stays, which is higher.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

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


def is_image(path: Path) -> bool:
    """Whether the file begins as an image does, whatever its name."""
    try:
        with open(path, "rb", opener=ordinary) as file:
            return _MARKS.match(file.read(16)) is not None
    except OSError:
        return False


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
        self.key, self.reason = encodable(key), encodable(reason)
        super().__init__(self.key, self.reason)

    def __str__(self) -> str:
        return f"{printable(self.key)}: {printable(self.reason)}"


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
        with _open(source) as file, open_image(file) as image:
            _check_size(image, key)
            return to_rgb(image)
    except BadImage:
        raise
    except FileNotFoundError:
        hint = "; addresses are not read: download it first" if "://" in key else ""
        raise BadImage(key, f"there is no such file{hint}") from None
    except IsADirectoryError:
        raise BadImage(key, "is a folder, not an image") from None
    except UnidentifiedImageError:
        needs_heif = Path(key).suffix.lower() in HEIF_SUFFIXES & UNSUPPORTED_SUFFIXES
        hint = f"; {HEIF_HINT}" if needs_heif else ""
        raise BadImage(key, f"is not an image that can be read (damaged, or of another type){hint}") from None
    except Image.DecompressionBombError as error:
        pixels = int((re.search(r"[0-9]+", str(error)) or "0")[0])
        raise BadImage(key, _too_large(pixels, "MAX_PIXELS", MAX_PIXELS)) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise errors of any type for damaged files
        reason = getattr(error, "strerror", None) or error
        raise BadImage(key, f"cannot be decoded ({reason})") from None


def _open(source: bytes | str | Path) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, bytes) else open(source, "rb", opener=ordinary)


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
    if is_too_large(*image.size):
        raise BadImage(key, _too_large(pixels, "MAX_PIXELS", MAX_PIXELS))
    if pixels > MAX_DEEP_PIXELS and (image.format in DEEP_FORMATS or _is_deep(image)):
        raise BadImage(key, _too_large(pixels, "MAX_DEEP_PIXELS", MAX_DEEP_PIXELS))


def _too_large(pixels: int, name: str, most: int) -> str:
    return (
        f"is too large: its header claims {pixels:,} pixels, and at most {most:,} are decoded "
        f"(resnext.data.decode.{name})"
    )


def _is_deep(image: Image.Image) -> bool:
    return image.mode.startswith("I") or image.mode == "F"


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` upright and in mode RGB."""
    image.load()  # some decoders turn the image themselves and then clear the orientation
    upright = image
    if (transpose := EXIF_TRANSPOSE.get(exif_orientation(image))) is not None:
        upright = image.transpose(transpose)
    if _is_deep(upright):
        upright = _wide_grey_to_8_bit(upright)
    if "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return _on_white(upright)
    is_done = upright is not image and upright.mode == "RGB"
    return upright if is_done else upright.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """A partly transparent image on a white ground, in mode RGB."""
    opaque = Image.new("RGB", image.size)
    for top in range(0, image.height, STRIP_PX):
        strip = image.crop((0, top, image.width, min(image.height, top + STRIP_PX)))
        strip = strip.convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        opaque.paste(Image.alpha_composite(white, strip).convert("RGB"), (0, top))
    return opaque


def exif_orientation(image: Image.Image) -> int:
    """EXIF orientation of `image`, from 1 to 8; 1 (upright) if it is missing or cannot be parsed."""
    with contextlib.suppress(Exception):  # damaged metadata do not make the pixels unreadable
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _wide_grey_to_8_bit(image: Image.Image) -> Image.Image:
    """A grey image of more than 8 bits as 8-bit grey; transparent pixels stay transparent."""
    stored = np.asarray(image)
    largest = max(values.max(initial=0) for values in _strips(stored))
    if image.mode == "F":
        scale = 255.0 if largest <= 1 else 1.0
    else:  # mode "I" has 32 bits, but image files use 16 of them, or 8 if an older program wrote the file
        scale = 1.0 if image.mode == "I" and largest <= 255 else 255 / 65535
    levels = [np.clip(np.rint(values * scale), 0, 255).astype(np.uint8) for values in _strips(stored)]
    grey = Image.fromarray(np.concatenate(levels))
    if "transparency" in image.info:  # the one grey value that is transparent
        clear = image.info["transparency"]
        opaque = [(values != clear).astype(np.uint8) * 255 for values in _strips(stored)]
        grey.putalpha(Image.fromarray(np.concatenate(opaque)))
    return grey


def _strips(stored: NDArray[np.generic]) -> Iterator[NDArray[np.float64]]:
    """The rows of an image as finite numbers, some at a time."""
    for top in range(0, len(stored), STRIP_PX):
        yield np.nan_to_num(stored[top : top + STRIP_PX].astype(np.float64))
