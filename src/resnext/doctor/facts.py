"""What one pass over the images measures of each: its content, its hashes, and what is odd about its file."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from resnext.contract import GreyRange
from resnext.data.contents import content_digest
from resnext.data.decode import FORMATS, IMAGE_SUFFIXES, BadImage, open_image
from resnext.data.grey import DeepGrey
from resnext.data.images import ImageDataset
from resnext.data.jpeg import Jpeg, is_installed
from resnext.data.pixels import exif_orientation, is_deep, to_rgb
from resnext.doctor.hashes import SIDE_PX, hash_images

#: What is measured of an image. `pixels` is a digest of its decoded pixels; `phash`, `mirror` and `inner`
#: are the perceptual hashes of it, of its mirror image, and of it without a frame or a margin; `marks` has
#: a bit for each of `MARKS`; `mean`, `spread` (standard deviation) and `bright` (99th percentile) are levels
#: of grey from 0 to 255; `sharpness` is the deviation of the Laplacian over that of the levels; `colour` is
#: the largest difference of two channels in all but the most colourful hundredth of the pixels.
FACTS = np.dtype(
    [
        *((name, "<u8") for name in ("ident", "check", "pixels", "phash", "mirror", "inner")),
        *((name, "<u4") for name in ("width", "height", "marks")),
        *((name, "<f4") for name in ("mean", "spread", "bright", "sharpness", "colour")),
    ]
)
Facts = NDArray[Any]
#: (left, top, right, bottom) in pixels.
Box = tuple[float, float, float, float]

#: What the header of a file can say, in the order of the bits in `marks`.
MARKS = ("wrong_extension", "several_frames", "cmyk", "deep_16_bit", "palette_transparency", "exif_rotated")
#: Pillow's formats that are JPEG with something behind it.
LIKE_JPEG = {"MPO": "JPEG"}
#: Images with a larger side are halved before brightness and hash are measured; sharpness is that of the
#: middle, of so many pixels a side.
REDUCED_PX, MIDDLE_PX = 512, 256
#: Levels that differ by no more than this are one colour of a frame, which is no wider than this share.
FRAME_RANGE, MAX_FRAME = 24, 0.2
#: The part of each side that stands for an image without its margin where it has no frame, as crops look.
INNER = 0.95
#: Weights of the channels in grey (ITU-R 601, as Pillow has them).
GREY = np.array([0.299, 0.587, 0.114], np.float32)
#: How JPEG, PNG and GIF files end, by how they begin.
ENDS = {b"\xff\xd8\xff": b"\xff\xd9", b"\x89PNG": b"IEND\xaeB`\x82", b"GIF8": b";"}

#: So many zeros at the end of a file, and this share of it, stand for a part that is missing, unless its end
#: comes before them. Cameras write some behind their own notes.
LEAST_ZEROS, LEAST_ZERO_SHARE = 64, 0.05


@dataclass(frozen=True)
class Broken:
    """An image that cannot be read: name of the finding, and the reason."""

    finding: str
    reason: str


def measure(
    images: ImageDataset, indices: Iterable[int]
) -> tuple[NDArray[np.int64], Facts, dict[int, Broken]]:
    """Decode some images and measure them.

    Returns:
        Indices of those that can be read (N,), their facts (N,), and why the others cannot.
    """
    readable: list[int] = []
    views: list[_View] = []
    marks: list[int] = []
    broken: dict[int, Broken] = {}
    for index in indices:
        encoded = images.read_bytes(index)
        if encoded is not None and (zeros := _missing_end(encoded)):
            broken[index] = Broken("truncated", f"its last {zeros:,} bytes are zeros: it was copied in part")
            continue
        try:
            views.append(_look(_to_rgb(images.load_stored(encoded, index))))
        except BadImage as error:
            broken[index] = Broken(_why_broken(encoded, error), error.reason)
            continue
        readable.append(index)
        marks.append(0 if encoded is None else marks_of(encoded, images.keys[index]))
    facts = _facts(views) if views else np.zeros(0, FACTS)
    facts["marks"] = marks
    return np.array(readable, np.int64), facts, broken


def thumbnail(image: Image.Image, box: Box | None = None) -> NDArray[np.float32]:
    """An RGB image, or the part of it in `box`, in grey, float32 (32, 32), from 0 to 255."""
    small = image.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, box, reducing_gap=2.0)
    return np.asarray(small, np.float32) @ GREY


def inner_box(image: Image.Image) -> Box:
    """What a frame leaves of an image; where there is none, the middle `INNER` of each side."""
    return _inner_box(np.asarray(image.convert("L")))


def _inner_box(levels: NDArray[np.uint8]) -> Box:
    if (box := inside_frame(levels)) is not None:
        return box
    height, width = levels.shape
    x, y = (side * (1 - INNER) / 2 for side in (width, height))
    return x, y, width - x, height - y


def inside_frame(levels: NDArray[np.uint8]) -> Box | None:
    """What a frame of one colour leaves of an image, or bars on two of its sides; None if there is none.

    Args:
        levels: The image in grey, uint8 (H, W).

    >>> framed = Image.new("L", (80, 60), "white")
    >>> framed.paste(Image.effect_noise((70, 52), 50), (5, 4))
    >>> inside_frame(np.asarray(framed))
    (5, 4, 75, 56)
    """
    top, bottom = _even_lines(levels), _even_lines(levels[::-1])
    left, right = _even_lines(levels.T), _even_lines(levels.T[::-1])
    if not (top and bottom) and not (left and right):
        return None
    return left, top, levels.shape[1] - right, levels.shape[0] - bottom


def _even_lines(levels: NDArray[np.uint8]) -> int:
    """How many of the first lines are of one colour, the same for all; 0 if so many are that it is ground
    rather than a frame."""
    if np.ptp(levels[0]) > FRAME_RANGE:  # so nearly all images end here
        return 0
    lines = levels[: max(1, round(MAX_FRAME * len(levels)) + 1)].astype(np.int16)
    is_even = (np.ptp(lines, axis=1) <= FRAME_RANGE) & (abs(lines.mean(1) - lines[0].mean()) <= FRAME_RANGE)
    return 0 if is_even.all() else int(is_even.argmin())


def open_rgb(images: ImageDataset, index: int) -> Image.Image:
    """Image `index` in RGB; a deep grey one from its darkest to its lightest value. Raises `BadImage`."""
    return _to_rgb(images.load_stored(images.read_bytes(index), index))


def _to_rgb(image: Image.Image | DeepGrey) -> Image.Image:
    if isinstance(image, DeepGrey):
        lowest, largest = image.extent()
        return to_rgb(image, GreyRange(lowest, max(largest, lowest + 1)))
    return image


@dataclass(frozen=True)
class _View:
    """What is left of an image when it has been looked at; the rest is computed for many at once.

    Attributes:
        pixels: Digest of the decoded pixels.
        size: Width and height in pixels.
        levels: How many pixels have each level of grey (256).
        sharpness: That of `FACTS`.
        small: The image, uint8 (32, 32, 3).
        inner: The image without its frame or a margin, in grey, float32 (32, 32).
    """

    pixels: int
    size: tuple[int, int]
    levels: list[int]
    sharpness: float
    small: NDArray[np.uint8]
    inner: NDArray[np.float32]


def _look(image: Image.Image) -> _View:
    """Look at an RGB image."""
    width, height = image.size
    factor = max(1, -(-max(width, height) // REDUCED_PX))
    reduced = image.reduce((min(factor, width), min(factor, height))) if factor > 1 else image
    small = reduced.resize((SIDE_PX, SIDE_PX), Image.Resampling.BILINEAR, reducing_gap=2.0)
    grey = reduced.convert("L")
    levels = np.asarray(grey)
    return _View(
        content_digest(f"{width}x{height}".encode() + image.tobytes()),
        image.size,
        grey.histogram(),
        sharpness(levels if max(width, height) <= MIDDLE_PX else _middle(image)),
        np.asarray(small),
        thumbnail(reduced, _inner_box(levels)),
    )


def _facts(views: list[_View]) -> Facts:
    """The facts of some images; `ident`, `check` and `marks` are left 0."""
    facts = np.zeros(len(views), FACTS)
    facts["pixels"] = [view.pixels for view in views]
    facts["width"], facts["height"] = np.array([view.size for view in views]).T
    facts["sharpness"] = [view.sharpness for view in views]
    counts, levels = np.array([view.levels for view in views], np.float64), np.arange(256)
    shares = counts / counts.sum(axis=1, keepdims=True)
    mean = shares @ levels
    facts["mean"], facts["spread"] = mean, np.sqrt(np.maximum(0, shares @ levels**2 - mean**2))
    facts["bright"] = (np.cumsum(shares, axis=1) < 0.99).sum(axis=1)
    small = np.stack([view.small for view in views])
    differences = np.ptp(small, axis=-1).reshape(len(views), -1)
    facts["colour"] = np.percentile(differences, 99, axis=1)
    facts["phash"], facts["mirror"] = hash_images(small.astype(np.float32) @ GREY)
    facts["inner"], _ = hash_images(np.stack([view.inner for view in views]))
    return facts


def _middle(image: Image.Image) -> NDArray[np.uint8]:
    """The middle of an RGB image in grey, at most `MIDDLE_PX` of each side."""
    left, top = max(0, image.width - MIDDLE_PX) // 2, max(0, image.height - MIDDLE_PX) // 2
    box = (left, top, min(image.width, left + MIDDLE_PX), min(image.height, top + MIDDLE_PX))
    return np.asarray(image.crop(box).convert("L"))


def sharpness(levels: NDArray[np.uint8]) -> float:
    """Deviation of the Laplacian over that of the levels (H, W); 0 where all is even."""
    values = levels.astype(np.float32)
    if min(values.shape) < 3 or (deviation := _deviation(values)) == 0:
        return 0.0
    inner = values[1:-1, 1:-1]
    around = values[:-2, 1:-1] + values[2:, 1:-1] + values[1:-1, :-2] + values[1:-1, 2:]
    return _deviation(4 * inner - around) / deviation


def _deviation(values: NDArray[np.float32]) -> float:
    """Standard deviation, without the copies that numpy makes for it."""
    flat = values.ravel() - values.mean(dtype=np.float64).astype(np.float32)
    return math.sqrt(float(flat @ flat) / flat.size)


def marks_of(encoded: bytes, key: str) -> int:
    """What the header of a file that can be decoded says, as bits in the order of `MARKS`."""
    suffix = os.path.splitext(key)[1].lower()
    found = _marks_of_jpeg(encoded, suffix) if is_installed() else None
    if found is None:
        found = _marks_of_any(encoded, suffix)
    return sum(1 << bit for bit, name in enumerate(MARKS) if found.get(name))


def _marks_of_jpeg(encoded: bytes, suffix: str) -> dict[str, bool] | None:
    """The marks of an ordinary JPEG file, which can have no others; None for other files."""
    if (jpeg := Jpeg.open(encoded)) is None:
        return None
    return {"wrong_extension": _is_wrong(suffix, "JPEG"), "exif_rotated": jpeg.orientation != 1}


def _marks_of_any(encoded: bytes, suffix: str) -> dict[str, bool]:
    with open_image(io.BytesIO(encoded)) as image:
        stored = next(iter(getattr(image, "tile", ())), None)
        return {
            "wrong_extension": _is_wrong(suffix, str(image.format)),
            "several_frames": image.format != "MPO" and getattr(image, "n_frames", 1) > 1,
            "cmyk": image.mode == "CMYK",
            "deep_16_bit": is_deep(image) or "16" in str(getattr(stored, "args", "")),
            "palette_transparency": image.mode == "P" and "transparency" in image.info,
            "exif_rotated": exif_orientation(image) != 1,
        }


def _is_wrong(suffix: str, kind: str) -> bool:
    """Whether a suffix is that of another format than `kind`, as Pillow calls it."""
    return suffix in IMAGE_SUFFIXES and suffix not in FORMATS.get(LIKE_JPEG.get(kind, kind), ())


def _missing_end(encoded: bytes) -> int:
    """How many zeros stand where the rest of a file should be; 0 if it has its end."""
    zeros = len(encoded) - len(encoded.rstrip(b"\0"))
    if zeros < max(LEAST_ZEROS, LEAST_ZERO_SHARE * len(encoded)):
        return 0
    end = next((end for start, end in ENDS.items() if encoded.startswith(start)), None)
    return 0 if end is None or encoded[:-zeros].endswith(end) else zeros


def _why_broken(encoded: bytes | None, error: BadImage) -> str:
    """Name of the finding on an image that cannot be read."""
    if encoded == b"" or "has no bytes" in error.reason:
        return "empty_file"
    end = next((end for start, end in ENDS.items() if encoded and encoded.startswith(start)), None)
    lacks_end = end is not None and encoded is not None and end not in encoded[-64:]
    return "truncated" if lacks_end or "truncated" in error.reason else "unreadable"
