"""The exact path from a decoded picture to the network's input, as the contract says it."""

from __future__ import annotations

from collections.abc import Sequence

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


def resize_and_crop(image: Image.Image, resize: Resize) -> Image.Image:
    """Shorter side to `shorter_px` with antialiasing, then the centre `crop_px` square.

    Sizes are rounded as torchvision's `Resize` and `CenterCrop` do. Only the pixels of the crop are
    computed, which makes pictures of any shape affordable.
    """
    if not resize.antialias:
        raise ValueError("contract: resize.antialias: only true is supported")
    width, height = image.size
    short = min(width, height)
    # The longer side is cut to whole pixels, as torchvision does.
    new_width = int(resize.shorter_px * width / short)
    new_height = int(resize.shorter_px * height / short)
    crop = resize.crop_px
    left, top = round((new_width - crop) / 2), round((new_height - crop) / 2)
    x, y = width / new_width, height / new_height
    box = (left * x, top * y, min((left + crop) * x, width), min((top + crop) * y, height))
    if image.size == (crop, crop) and box == (0, 0, crop, crop):
        return image
    return image.resize((crop, crop), FILTERS[resize.interpolation], box=box)


def to_tensor(image: Image.Image) -> Tensor:
    """RGB picture -> uint8 tensor (3, H, W) whose memory lies in channels-last order."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)


def normalise(pictures: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """uint8 (B, 3, H, W) -> float32 on the same device, `(pictures / 255 - mean) / std`."""
    mean_255 = torch.tensor(mean, dtype=torch.float32, device=pictures.device).view(1, -1, 1, 1) * 255
    std_255 = torch.tensor(std, dtype=torch.float32, device=pictures.device).view(1, -1, 1, 1) * 255
    return (pictures.float() - mean_255) / std_255
