"""Training crops of JPEG files by the short way (extra `fast`): libjpeg-turbo decodes, torch stretches.

The random draws are those of the exact way, and so are the pixels, to within one level, or three by bicubic;
of pictures much larger than the crop, only as many are decoded as it needs. What is no ordinary JPEG goes the
exact way.
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
from resnext.data.decode import decode, orientation
from resnext.data.pictures import Pictures
from resnext.data.preprocess import to_tensor

Values = NDArray[np.uint8]

#: What EXIF's orientation asks to do with a picture (H, W, 3), as Pillow does it.
UPRIGHT: dict[int, Callable[[Values], Values]] = {
    1: lambda picture: picture,
    2: lambda picture: picture[:, ::-1],
    3: lambda picture: picture[::-1, ::-1],
    4: lambda picture: picture[::-1],
    5: lambda picture: picture.transpose(1, 0, 2),
    6: lambda picture: np.rot90(picture, -1),
    7: lambda picture: picture[::-1, ::-1].transpose(1, 0, 2),
    8: lambda picture: np.rot90(picture, 1),
}
#: Orientations that exchange width and height.
LYING = range(5, 9)
#: Markers of segments in a JPEG file.
APP1, START_OF_SCAN = 0xE1, 0xDA
#: Decoding fewer pixels moves a box by up to half of one: so many to each of the crop's make little of that.
SPARE = 2
#: Filters that torch has for 8-bit values.
FILTERS = ("bilinear", "bicubic")
Box = tuple[int, int, int, int]
#: Of each thread: where it decodes to.
_ROOM = threading.local()


class DecoderMissing(Exception):
    """The fast decoder is not installed."""


def is_installed() -> bool:
    """Is the fast decoder there?"""
    return importlib.util.find_spec("simplejpeg") is not None


class FastAugmentation(Augmentation):
    """An augmentation that begins with a `ResizedCrop` and a `Flip`."""

    def sample(self, pictures: Pictures, index: int, random: Generator) -> Tensor:
        stored = pictures.stored(index)
        if stored is None:
            return super().sample(pictures, index, random)
        jpeg = Jpeg.open(stored)
        if jpeg is None:
            return to_tensor(self(decode(stored, pictures.keys[index]), random))
        crop, flip, *rest = self.steps
        assert isinstance(crop, ResizedCrop)
        assert isinstance(flip, Flip)
        box = crop.box(jpeg.width, jpeg.height, random)
        values = jpeg.decode(box, crop.size_px)
        if values is None:  # damaged: Pillow says how
            return to_tensor(self(decode(stored, pictures.keys[index]), random))
        picture = stretch(values, crop.size_px, crop.interpolation)
        if flip.draw(random):
            picture = picture.flip(-1)
        if not rest:
            return picture
        image = Image.fromarray(picture.permute(1, 2, 0).numpy())
        for step in rest:
            image = step(image, random)
        return to_tensor(image)


@dataclass(frozen=True)
class Jpeg:
    """A JPEG file whose header was read; `width` and `height` are those of the upright picture."""

    stored: bytes
    width: int
    height: int
    orientation: int

    @classmethod
    def open(cls, stored: bytes) -> Jpeg | None:
        """None for what is not a JPEG in grey or colour of 8 bits."""
        if not stored.startswith(b"\xff\xd8\xff"):
            return None
        simplejpeg = load_decoder()
        try:
            height, width, colours, _ = simplejpeg.decode_jpeg_header(stored)
        except ValueError:
            return None
        if colours not in ("Gray", "YCbCr", "RGB"):
            return None
        orientation = _orientation(stored)
        if orientation in LYING:
            width, height = height, width
        return cls(stored, width, height, orientation)

    def decode(self, box: Box, size_px: int) -> Values | None:
        """The pixels (H, W, 3) of `box` (left, top, width, height) for a crop of `size_px`: fewer than there
        are, where `SPARE` times as many as it needs are left to each side. None if the file is damaged.

        They stand where the next call will put others.
        """
        left, top, width, height = box
        least: dict[str, int] = {}
        if (times := min(width, height) / size_px / SPARE) >= 2:
            sides = math.ceil(self.width / times), math.ceil(self.height / times)
            least_width, least_height = sides[::-1] if self.orientation in LYING else sides
            least = {"min_width": least_width, "min_height": least_height}
        try:
            whole = load_decoder().decode_jpeg(
                self.stored, "RGB", buffer=_room(self.width, self.height), **least
            )
        except ValueError:
            return None
        whole = UPRIGHT[self.orientation](whole)
        x, y = whole.shape[1] / self.width, whole.shape[0] / self.height
        return whole[
            round(top * y) : round((top + height) * y),
            round(left * x) : round((left + width) * x),
        ]


def stretch(values: Values, size_px: int, interpolation: str) -> Tensor:
    """(H, W, 3) to uint8 (3, `size_px`, `size_px`), with antialiasing as Pillow's: to within one level, or
    three by bicubic."""
    batch = torch.from_numpy(np.array(values, order="C")).unsqueeze(0)  # so torch sees channels last
    batch = batch.permute(0, 3, 1, 2)
    return F.interpolate(batch, (size_px, size_px), mode=interpolation, antialias=True)[0]


def _room(width: int, height: int) -> Values:
    """Memory for a picture, the same for every one that fits: new memory would cost a tenth of the time."""
    size = 3 * width * height
    if not hasattr(_ROOM, "values") or len(_ROOM.values) < size:
        _ROOM.values = np.empty(size, np.uint8)
    values: Values = _ROOM.values
    return values


def _orientation(stored: bytes) -> int:
    if not _has_metadata(stored):
        return 1
    with Image.open(io.BytesIO(stored)) as image:
        found = orientation(image)
    return found if found in UPRIGHT else 1


def _has_metadata(stored: bytes) -> bool:
    """Does an APP1 segment, where EXIF and XMP are, come before the picture?"""
    place = 2
    while place + 4 <= len(stored) and stored[place] == 0xFF and stored[place + 1] != START_OF_SCAN:
        if stored[place + 1] == APP1:
            return True
        place += 2 + int.from_bytes(stored[place + 2 : place + 4])
    return False


def load_decoder() -> Any:
    """The library that decodes. Raises `DecoderMissing`."""
    try:
        import simplejpeg
    except ImportError:
        raise DecoderMissing(
            "data.decoder: fast needs the package simplejpeg; pip install 'resnext[fast]', or say exact"
        ) from None
    return simplejpeg
