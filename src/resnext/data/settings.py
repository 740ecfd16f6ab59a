"""Settings of the data path, as plain data. None means: chosen from the data and the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class DataSettings:
    """How pictures become training and evaluation input."""

    size_px: int | None = None
    """Side of the square that the network sees."""
    resize_px: int | None = None
    """Evaluation resizes the shorter side to this, then takes the centre `size_px`."""
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    """Filter of every resize, always with antialiasing."""
    mean: tuple[float, float, float] | None = None
    """Subtracted from each channel (scale 0 to 1)."""
    std: tuple[float, float, float] | None = None
    """Divides each channel (scale 0 to 1)."""
    crop: Literal["pad", "resized"] | None = None
    """Training crop: `pad` takes a random square of the picture with a margin of the mean colour, at its
    own scale (CIFAR); `resized` takes a random part and stretches it (Inception)."""
    pad_px: int | None = None
    """Margin of the `pad` crop on each side."""
    min_area: float = 0.35
    """Least share of the picture that a `resized` crop keeps."""
    max_aspect: float = 4 / 3
    """Most that a `resized` crop's sides may differ, as a ratio."""
    decoder: Literal["exact", "fast"] | None = None
    """Of `resized` crops: `fast` (extra `fast`) gives the pixels of `exact` to within one level, three by
    bicubic; of pictures much larger than the crop fewer are decoded."""
    flip: float | None = None
    """Probability of a left-right flip."""
    train_px: int | None = None
    """Side of the squares to train on, where it is not `size_px`: smaller ones are faster."""
    policy: Literal["none", "rand", "trivial"] = "none"
    """Random operations on pictures: RandAugment, or TrivialAugment (one of any strength)."""
    operations: int = 2
    """How many operations RandAugment applies."""
    magnitude: int = 9
    """How strong they are, from 0 to 30."""
    jitter: float = 0.0
    """Most that brightness, contrast and saturation change, as a share."""
    lighting: float = 0.0
    """Standard deviation of the colour shift along the principal axes of colours (PCA lighting)."""
    erasing: float = 0.0
    """Probability that a random box is erased."""
    mixup: float = 0.0
    """Alpha of MixUp; 0 is off. With `cutmix` on too, each step takes one of the two."""
    cutmix: float = 0.0
    """Alpha of CutMix; 0 is off."""
    balance: Literal["none", "sampler", "weights"] = "none"
    """Against classes of unequal size: draw all equally often, or let rare ones weigh more in the loss. The
    best epoch is then that of the lowest mean error of the classes."""
