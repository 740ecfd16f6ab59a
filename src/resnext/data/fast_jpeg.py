"""Faster training crops of JPEG files (extra `fast`): libjpeg-turbo decodes and torch resizes.

Random draws are those of the exact decoder, and so are the pixels, to within one level (bicubic: three).
Images much larger than the crop are decoded at the lowest resolution that is enough. Images that are no
ordinary JPEG files go through the exact decoder.
"""

from __future__ import annotations

import importlib.util
import io
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from resnext.data.augment import Augmentation, Flip, ResizedCrop
from resnext.data.decode import is_too_large, open_image
from resnext.data.images import ImageDataset
from resnext.data.pixels import exif_orientation
from resnext.data.preprocess import to_tensor
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
#: Filters that torch has for 8-bit values.
FILTERS = ("bilinear", "bicubic")
#: The decoding buffer of each thread.
_BUFFERS = threading.local()


class DecoderMissing(ResnextError):
    """The fast decoder is not installed."""

    exit_code = 5


def is_installed() -> bool:
    """Whether the fast decoder is installed."""
    return importlib.util.find_spec("simplejpeg") is not None


class FastAugmentation(Augmentation):
    """An augmentation whose first two steps are a `ResizedCrop` and a `Flip`."""

    def sample(self, images: ImageDataset, index: int, random: Generator) -> Tensor:
        encoded = images.read_bytes(index)
        if encoded is None:
            return super().sample(images, index, random)
        jpeg = Jpeg.open(encoded)
        if jpeg is None:
            return to_tensor(self(images.decode_stored(encoded, index), random))
        crop, flip, *rest = self.steps
        assert isinstance(crop, ResizedCrop)
        assert isinstance(flip, Flip)
        box = crop.box(jpeg.width, jpeg.height, random)
        pixels = jpeg.decode(box, crop.size_px)
        if pixels is None:  # damaged: Pillow names the reason
            return to_tensor(self(images.decode_stored(encoded, index), random))
        square = resize(pixels, crop.size_px, crop.interpolation)
        if flip.draw(random):
            square = square.flip(-1)
        if not rest:
            return square
        image = Image.fromarray(square.permute(1, 2, 0).numpy())
        for step in rest:
            image = step(image, random)
        return to_tensor(image)


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
        """The JPEG file in `encoded`; None if that is not a JPEG in grey or colour of 8 bits, or too large.

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
        if colours not in ("Gray", "YCbCr", "RGB") or is_too_large(width, height):
            return None
        if (orientation := _orientation(encoded)) is None:
            return None
        if orientation in SIDEWAYS:
            width, height = height, width
        return cls(encoded, width, height, orientation)

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


def resize(pixels: Pixels, size_px: int, interpolation: str) -> Tensor:
    """`pixels` resized to a square with antialiasing, as Pillow does to within one level (bicubic: three).

    Args:
        pixels: uint8 (H, W, 3).
        size_px: Side of the square.
        interpolation: One of `FILTERS`.

    Returns:
        uint8 (3, `size_px`, `size_px`), channels last.

    >>> resize(np.zeros((30, 40, 3), np.uint8), 16, "bilinear").shape
    torch.Size([3, 16, 16])
    """
    batch = torch.from_numpy(np.array(pixels, order="C")).unsqueeze(0)  # contiguous: torch sees channels last
    batch = batch.permute(0, 3, 1, 2)
    return F.interpolate(batch, (size_px, size_px), mode=interpolation, antialias=True)[0]


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
        with open_image(io.BytesIO(encoded)) as image:
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
