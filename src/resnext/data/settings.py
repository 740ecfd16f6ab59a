"""Settings of the data path. None means that the value is chosen from the data and the machine.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Images up to this side show one object that is already cut out, so random parts of them would lose it.
PAD_CROP_UP_TO_PX = 40
#: Filter of resizing where neither the recipe nor the weights say another.
USUAL_FILTER: Literal["bilinear"] = "bilinear"


@dataclass(frozen=True)
class DataSettings:
    """How images become the input of the network in training and evaluation."""

    size_px: int | None = None
    """Side of the square image that the network sees, in pixels."""
    resize_px: int | None = None
    """Evaluation resizes the shorter side to this many pixels, then takes the centre square of `size_px`."""
    interpolation: Literal["bilinear", "bicubic", "lanczos"] | None = None
    """Filter of all resizing, always with antialiasing."""
    mean: tuple[float, float, float] | None = None
    """Mean of each channel, subtracted (scale 0 to 1)."""
    std: tuple[float, float, float] | None = None
    """Standard deviation of each channel, by which it is divided (scale 0 to 1)."""
    grey: tuple[float, float] | None = None
    """Values that are black and white in all grey images of more than 8 bits; what lies outside is cut off.
    Open, it is chosen from the training images; where they are signed or floats it may have to be said
    (`-1000 3000` for CT)."""
    crop: Literal["pad", "resized"] | None = None
    """Training crop: `pad` takes a random square of the image with a margin of the mean colour, without
    resizing it (CIFAR); `resized` takes a random box and resizes it (Inception)."""
    pad_px: int | None = None
    """Margin of the `pad` crop on each side, in pixels."""
    min_area: float = 0.35
    """Least share of the image's area that a `resized` crop keeps."""
    max_aspect: float = 4 / 3
    """Largest ratio of the longer to the shorter side of a `resized` crop's box."""
    decoder: Literal["exact", "fast"] | None = None
    """Decoder of `resized` crops: `fast` (extra `fast`) gives the pixels of `exact` to within one level
    (bicubic: three); images much larger than the crop are decoded at a lower resolution."""
    flip: float | None = None
    """Probability of a left-right flip."""
    train_px: int | None = None
    """Side of the square images in training, in pixels, if not `size_px`; smaller ones are faster."""
    policy: Literal["none", "rand", "trivial"] = "none"
    """Random operations on images: `rand` is RandAugment, `trivial` TrivialAugment (one operation of any
    strength)."""
    operations: int = 2
    """Number of operations of RandAugment."""
    magnitude: int = 9
    """Strength of the operations of RandAugment, from 0 to 30."""
    jitter: float = 0.0
    """Largest change of brightness, contrast and saturation, as a share."""
    lighting: float = 0.0
    """Standard deviation of the colour shift along ImageNet's principal axes of colour (PCA lighting)."""
    erasing: float = 0.0
    """Probability that a random box of the image is erased."""
    mixup: float = 0.0
    """Alpha of MixUp; 0 is off. If `cutmix` is on too, each step uses one of the two."""
    cutmix: float = 0.0
    """Alpha of CutMix; 0 is off."""
    balance: Literal["none", "sampler", "weights"] = "none"
    """For classes of unequal size: `sampler` draws all classes equally often, `weights` gives rare ones more
    weight in the loss. The best epoch is then the one with the lowest mean error of the classes."""


def usual_resize_px(size_px: int) -> int:
    """The `resize_px` that is chosen for `size_px`: an eighth is cut off, unless small images are seen whole.

    >>> usual_resize_px(224), usual_resize_px(32)
    (256, 32)
    """
    return round(size_px / 0.875) if size_px > PAD_CROP_UP_TO_PX else size_px
