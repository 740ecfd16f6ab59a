"""Bytes to RGB: every kind of picture file ends as 8-bit RGB, upright."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from PIL.Image import Transpose

#: File names that count as pictures in a folder, in lower case.
SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .webp .bmp .dib .gif .tif .tiff .ppm .pgm .pbm .pnm .avif .jp2 .tga".split()
)
#: Those of pictures that Pillow does not read by itself.
UNREAD_SUFFIXES = frozenset(".heic .heif .jxl .dng .raw .cr2 .cr3 .nef .arw .psd .svg".split())

#: How a picture of each of EXIF's orientations is turned upright.
UPRIGHT = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


class DataError(Exception):
    """Data that cannot be used: the message names the file or folder and the way out."""


class BadPicture(DataError):
    """One picture that cannot be read."""

    def __init__(self, key: str, reason: str) -> None:
        # Both, since the error travels between processes; as text that any file takes.
        self.key, self.reason = readable(key), readable(reason)
        super().__init__(self.key, self.reason)

    def __str__(self) -> str:
        return f"{self.key}: {self.reason}"


def readable(text: str) -> str:
    """`text` as any file takes it: bytes of file names that are not UTF-8 are spelt out."""
    return text.encode("utf-8", "backslashreplace").decode()


def decode(source: bytes | str | Path | Image.Image, key: str) -> Image.Image:
    """The picture in `source` (a file's bytes, its path, or an open image) as upright 8-bit RGB.

    EXIF orientation is applied; 16-bit grey is scaled, not cut; transparent pixels are laid on
    white; of an animation the first frame counts. Raises `BadPicture` with `key`.
    """
    try:
        if isinstance(source, Image.Image):
            return to_rgb(source)
        file = io.BytesIO(source) if isinstance(source, bytes) else source
        with Image.open(file) as image:
            return to_rgb(image)
    except FileNotFoundError:
        raise BadPicture(key, "there is no such file") from None
    except IsADirectoryError:
        raise BadPicture(key, "is a folder, not a picture") from None
    except UnidentifiedImageError:
        raise BadPicture(key, "is not a picture that can be read (damaged, or of another type)") from None
    except Image.DecompressionBombError as error:
        raise BadPicture(key, f"is too large ({error})") from None
    except MemoryError:
        raise
    except Exception as error:  # damaged files make decoders raise whatever they like
        raise BadPicture(key, f"cannot be decoded ({error})") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """`image` upright, as mode RGB."""
    image.load()  # some formats are turned by their own decoder, and say then that nothing is left to do
    if (turn := UPRIGHT.get(orientation(image))) is not None:
        image = image.transpose(turn)
    if image.mode.startswith("I") or image.mode == "F":
        image = _from_wide(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def orientation(image: Image.Image) -> int:
    """EXIF's: 1 where it says nothing, or what cannot be understood."""
    with contextlib.suppress(Exception):  # damaged metadata make no damaged picture
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _from_wide(image: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits as 8-bit grey, transparent where it was."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float64))
    if image.mode == "F":
        scale = 255.0 if values.max(initial=0) <= 1 else 1.0
    else:  # "I" is 32 bits wide, but in picture files it holds 16, or 8 of an older writer
        scale = 1.0 if image.mode == "I" and values.max(initial=0) <= 255 else 255 / 65535
    grey = Image.fromarray(np.clip(np.rint(values * scale), 0, 255).astype(np.uint8))
    if "transparency" in image.info:  # the one grey value that is clear
        grey.putalpha(Image.fromarray((values != image.info["transparency"]).astype(np.uint8) * 255))
    return grey
