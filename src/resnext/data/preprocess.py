"""The exact path from a decoded picture to the network's input, as the contract says it."""

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


#: Pictures longer than this many times their shorter side lose their ends before they are resized.
LONGEST = 16


def resize_and_crop(image: Image.Image, resize: Resize) -> Image.Image:
    """Shorter side to `shorter_px` with antialiasing, then the centre `crop_px` square.

    The pixels are those of torchvision's `Resize` and `CenterCrop` on a Pillow image.
    """
    image = _resize(image, resize)
    (width, height), crop = image.size, resize.crop_px
    if image.size == (crop, crop):
        return image
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return image.crop((left, top, left + crop, top + crop))


def _resize(image: Image.Image, resize: Resize) -> Image.Image:
    if max(image.size) > LONGEST * min(image.size):
        image = _middle(image)
    width, height = image.size
    short = min(width, height)
    # The longer side is cut to whole pixels, as torchvision does.
    size = int(resize.shorter_px * width / short), int(resize.shorter_px * height / short)
    return image if size == image.size else image.resize(size, FILTERS[resize.interpolation])


def five_crops(image: Image.Image, resize: Resize) -> list[Image.Image]:
    """The corners in reading order and the centre of the resized picture, `crop_px` squares each.

    The pixels are those of torchvision's `Resize` and `FiveCrop`.
    """
    whole = _resize(image, resize)
    (width, height), crop = whole.size, resize.crop_px
    corners = [(0, 0), (width - crop, 0), (0, height - crop), (width - crop, height - crop)]
    boxes = [*corners, (round((width - crop) / 2), round((height - crop) / 2))]
    return [whole.crop((left, top, left + crop, top + crop)) for left, top in boxes]


def _middle(image: Image.Image) -> Image.Image:
    """The middle of a very long picture: resized whole, one pixel's height could fill the memory."""
    width, height = image.size
    longest = LONGEST * min(width, height)
    x, y = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return image.crop((x, y, min(width, x + longest), min(height, y + longest)))


def to_tensor(image: Image.Image) -> Tensor:
    """RGB picture -> uint8 tensor (3, H, W) whose memory lies in channels-last order."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalise(pictures: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (B, 3, H, W) -> float32 on the same device, `(pictures / 255 - mean) / std`."""
    mean_255, std_255 = (_levels(tuple(values), pictures.device) for values in (mean, std))
    return pictures.float().sub_(mean_255).div_(std_255)  # in place: most of the time would go to new memory


@cache
def _levels(values: tuple[float, ...], device: torch.device) -> Tensor:
    """A value for each channel on the scale 0 to 255, made once: bringing it to a GPU would wait for it."""
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1) * 255
