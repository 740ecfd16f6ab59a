"""Preprocessing at evaluation: from a decoded image to the input of the network, as the contract says."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from resnext.contract import Resize

FILTERS = {
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}

#: Largest ratio of the longer to the shorter side; longer images lose their ends before they are resized.
MAX_ASPECT = 16


def resize_and_crop(image: Image.Image, resize: Resize) -> Image.Image:
    """The centre square of the resized image.

    The pixels are those of torchvision's `Resize` and `CenterCrop` on a Pillow image.

    Args:
        image: RGB image.
        resize: Length of the shorter side after resizing (`shorter_px`), filter (with antialiasing), and side
            of the square (`crop_px`).

    >>> resize_and_crop(Image.new("RGB", (40, 30)), Resize(20, 16)).size
    (16, 16)
    """
    image = _resize(image, resize)
    (width, height), crop = image.size, resize.crop_px
    if image.size == (crop, crop):
        return image
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))


def _resize(image: Image.Image, resize: Resize) -> Image.Image:
    image = _middle(image)
    width, height = image.size
    shorter = min(width, height)
    # The longer side is rounded down, as torchvision does.
    size = int(resize.shorter_px * width / shorter), int(resize.shorter_px * height / shorter)
    return image if size == image.size else image.resize(size, FILTERS[resize.interpolation])


def five_crops(image: Image.Image, resize: Resize) -> list[Image.Image]:
    """Five squares of the resized image: the corners in reading order, then the centre.

    The pixels are those of torchvision's `Resize` and `FiveCrop`.

    >>> [square.size for square in five_crops(Image.new("RGB", (40, 30)), Resize(20, 16))]
    [(16, 16), (16, 16), (16, 16), (16, 16), (16, 16)]
    """
    resized = _resize(image, resize)
    (width, height), crop = resized.size, resize.crop_px
    corners = [(0, 0), (width - crop, 0), (0, height - crop), (width - crop, height - crop)]
    boxes = [*corners, (round((width - crop) / 2), round((height - crop) / 2))]
    return [resized.crop((left, top, left + crop, top + crop)) for left, top in boxes]


def _middle(image: Image.Image) -> Image.Image:
    """The middle of a very long image. Resizing all of a line one pixel high could fill the memory."""
    width, height = image.size
    longest = MAX_ASPECT * min(width, height)
    kept_width, kept_height = min(width, longest), min(height, longest)
    if (kept_width, kept_height) == image.size:
        return image
    left, top = (width - kept_width) // 2, (height - kept_height) // 2
    return image.crop((left, top, left + kept_width, top + kept_height))


def to_tensor(image: Image.Image) -> Tensor:
    """An RGB image as a uint8 tensor (3, H, W) in channels-last memory order."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalise(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """`(images / 255 - mean) / std` as float32 on the same device.

    Args:
        images: uint8 (B, 3, H, W).
        mean: Mean of each channel, on the scale 0 to 1.
        std: Standard deviation of each channel, on the scale 0 to 1.

    >>> normalise(torch.full((1, 3, 1, 1), 255), (0.5, 0.5, 0.5), (0.25, 0.5, 1.0)).flatten().tolist()
    [2.0, 1.0, 0.5]
    """
    mean_255, std_255 = (_levels(tuple(values), images.device) for values in (mean, std))
    return images.float().sub_(mean_255).div_(std_255)  # in place: new memory would take most of the time


@cache
def _levels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A value for each channel on the scale 0 to 255, (1, 3, 1, 1).

    It is cached, because each copy to a GPU would wait for the GPU.
    """
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1) * 255
