"""JPEG files by libjpeg-turbo alone (extra `fast`), without what Pillow does around it.

The pixels are Pillow's, which uses the same library; what is no ordinary JPEG file is left to it.
"""

from __future__ import annotations

import functools
import importlib.util
import io
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resnext.data.pixels import exif_orientation
from resnext.errors import ResnextError

Pixels = NDArray[np.uint8]
#: (left, top, width, height) in pixels.
Box = tuple[int, int, int, int]

#: The operation that makes an image (H, W, 3) upright, for each EXIF orientation, as Pillow does it.
EXIF_TRANSPOSE: dict[int, Callable[[Pixels], Pixels]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, -1),
    7: lambda image: image[::-1, ::-1].transpose(1, 0, 2),
    8: lambda image: np.rot90(image, 1),
}
#: EXIF orientations that exchange width and height.
SIDEWAYS = range(5, 9)
#: Markers of segments in a JPEG file.
APP1, START_OF_SCAN = 0xE1, 0xDA
#: Least number of decoded pixels for each pixel of the crop, along a side. At a lower resolution a box moves
#: by up to half a decoded pixel; with this many, that is little.
OVERSAMPLING = 2
#: The decoding buffer of each thread.
_BUFFERS = threading.local()


class DecoderMissing(ResnextError):
    """The fast decoder is not installed."""

    exit_code = 5


@functools.cache
def is_installed() -> bool:
    """Whether the fast decoder is installed."""
    return importlib.util.find_spec("simplejpeg") is not None


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file whose header has been read.

    Attributes:
        encoded: Bytes of the file.
        width: Width of the upright image in pixels.
        height: Height of the upright image in pixels.
        orientation: EXIF orientation.
    """

    encoded: bytes
    width: int
    height: int
    orientation: int

    @classmethod
    def open(cls, encoded: bytes) -> Jpeg | None:
        """The JPEG file in `encoded`; None if that is not a JPEG in grey or colour of 8 bits.

        Raises:
            DecoderMissing: If the fast decoder is not installed.
        """
        if not encoded.startswith(b"\xff\xd8\xff"):
            return None
        simplejpeg = load_decoder()
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(encoded)
        except ValueError:
            return None
        if colours not in ("Gray", "YCbCr", "RGB"):
            return None
        if (orientation := _orientation(encoded)) is None:
            return None
        if orientation in SIDEWAYS:
            width, height = height, width
        return cls(encoded, width, height, orientation)

    def decode_all(self) -> Pixels | None:
        """All pixels of the upright image; None if the file is damaged. See `decode`."""
        return self.decode((0, 0, self.width, self.height), self.width + self.height)

    def decode(self, box: Box, size_px: int) -> Pixels | None:
        """The pixels of `box`, uint8 (H, W, 3); None if the file is damaged.

        The resolution is lower than the file's if each side still has at least `OVERSAMPLING` times `size_px`
        pixels. The next call in this thread overwrites the pixels.

        Args:
            box: Part of the upright image, in pixels of the file.
            size_px: Side of the crop that the box will be resized to.
        """
        left, top, width, height = box
        min_size: dict[str, int] = {}
        if (shrink := min(width, height) / size_px / OVERSAMPLING) >= 2:
            sides = math.ceil(self.width / shrink), math.ceil(self.height / shrink)
            min_width, min_height = sides[::-1] if self.orientation in SIDEWAYS else sides
            min_size = {"min_width": min_width, "min_height": min_height}
        try:
            image = load_decoder().decode_jpeg(
                self.encoded, "RGB", buffer=_buffer(self.width, self.height), **min_size
            )
        except ValueError:
            return None
        image = EXIF_TRANSPOSE[self.orientation](image)
        x_scale, y_scale = image.shape[1] / self.width, image.shape[0] / self.height
        return image[
            round(top * y_scale) : round((top + height) * y_scale),
            round(left * x_scale) : round((left + width) * x_scale),
        ]


def _buffer(width: int, height: int) -> Pixels:
    """Memory to decode an image to. Each thread reuses its own: allocating would take a tenth of the time."""
    size = 3 * width * height
    if not hasattr(_BUFFERS, "values") or len(_BUFFERS.values) < size:
        _BUFFERS.values = np.empty(size, np.uint8)
    values: Pixels = _BUFFERS.values
    return values


def _orientation(encoded: bytes) -> int | None:
    """EXIF orientation; None if Pillow cannot open the file."""
    if not _has_metadata(encoded):
        return 1
    try:
        with Image.open(io.BytesIO(encoded), formats=["JPEG"]) as image:
            orientation = exif_orientation(image)
    except Exception:  # the exact decoder names the reason
        return None
    return orientation if orientation in EXIF_TRANSPOSE else 1


def _has_metadata(encoded: bytes) -> bool:
    """Whether an APP1 segment, which holds EXIF and XMP, comes before the pixels."""
    place = 2
    while place + 4 <= len(encoded) and encoded[place] == 0xFF and encoded[place + 1] != START_OF_SCAN:
        if encoded[place + 1] == APP1:
            return True
        place += 2 + int.from_bytes(encoded[place + 2 : place + 4])
    return False


def load_decoder() -> Any:
    """The module `simplejpeg`, which decodes.

    Raises:
        DecoderMissing: If it is not installed.
    """
    try:
        import simplejpeg
    except ImportError:
        raise DecoderMissing(
            "data.decoder: fast needs the package simplejpeg; pip install 'resnext[fast]', or say exact"
        ) from None
    return simplejpeg
