"""The stems: what comes before the first stage. One row for each.

A new stem is a row here. Its torch modules (`resnext.models.stems`) and its text are made from the row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from resnext.arch.errors import ArchitectureError
from resnext.arch.transforms import Transform


@dataclass(frozen=True)
class Convolution:
    """A square convolution to `channels`, padded so that stride 1 keeps the size of the map."""

    kernel: int
    channels: int
    stride: int = 1

    def map_px(self, side_px: int) -> int:
        """Side of its map for a map of side `side_px`."""
        return _map_px(self.kernel, self.stride, self.kernel // 2, side_px)

    @property
    def text(self) -> str:
        return f"{self.kernel}x{self.kernel}, {self.channels}" + _stride(self.stride)


@dataclass(frozen=True)
class MaxPooling:
    """The maximum of each square window of `kernel` pixels."""

    kernel: int
    stride: int

    def map_px(self, side_px: int) -> int:
        """Side of its map for a map of side `side_px`."""
        return _map_px(self.kernel, self.stride, (self.kernel - 1) // 2, side_px)

    @property
    def text(self) -> str:
        return f"{self.kernel}x{self.kernel} max pool" + _stride(self.stride)


@dataclass(frozen=True)
class Stem:
    """One kind of stem.

    `size_px` is the side of the images it was made for and `classes` the usual number of classes there.
    `blocks` gives the blocks of each stage for a depth. Each convolution is followed by a batch norm and
    a ReLU. `pooling` comes last; `early_pooling` comes between the last convolution and its norm.
    """

    name: str
    size_px: int
    classes: int
    blocks: Callable[[int, Transform], tuple[int, ...]]
    convolutions: tuple[Convolution, ...]
    pooling: MaxPooling | None = None
    early_pooling: MaxPooling | None = None

    @property
    def channels(self) -> int:
        """Channels that the first stage receives."""
        return self.convolutions[-1].channels

    @property
    def layers(self) -> tuple[Convolution | MaxPooling, ...]:
        """The layers with windows, from input to output."""
        layers = (*self.convolutions, self.early_pooling, self.pooling)
        return tuple(layer for layer in layers if layer is not None)

    @property
    def text(self) -> tuple[str, ...]:
        """Its layers in the words of the paper's table 1."""
        return tuple(layer.text for layer in self.layers)


def _map_px(kernel: int, stride: int, padding: int, side_px: int) -> int:
    return (side_px + 2 * padding - kernel) // stride + 1


def _stride(stride: int) -> str:
    return f", stride {stride}" if stride > 1 else ""


#: Blocks of each of four stages, by layers per block and depth, where no formula gives them.
FOUR_STAGES = {
    2: {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)},
    3: {26: (2, 2, 2, 2), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)},
}


def four_stages(depth: int, transform: Transform) -> tuple[int, ...]:
    """Blocks of the ImageNet networks. Raises `ArchitectureError` for a depth that implies none."""
    table = FOUR_STAGES.get(transform.layers, {})
    if depth in table:
        return table[depth]
    if transform.layers == 3 and 35 <= depth <= 200 and (depth - 2) % 3 == 0:
        return (3, 4, (depth - 2) // 3 - 10, 3)
    raise ArchitectureError(
        f"depth {depth} implies no numbers of blocks for the {transform.name} transformation; "
        "give them, as in +blocks=3-4-6-3"
    )


def three_equal_stages(depth: int, transform: Transform) -> tuple[int, ...]:
    """Blocks of the CIFAR networks. Raises `ArchitectureError` for a depth that implies none."""
    layers = 3 * transform.layers
    if depth > 2 and (depth - 2) % layers == 0:
        return ((depth - 2) // layers,) * 3
    raise ArchitectureError(
        f"depth {depth} does not make three equal stages; depths {layers}n + 2 do. "
        "For other depths give the blocks, as in +blocks=3-4-3"
    )


def _three_convolutions(name: str, first: int, second: int, third: int) -> Stem:
    """Three 3x3 in place of the 7x7 of the ImageNet networks, with so many channels."""
    return Stem(
        name,
        size_px=224,
        classes=1000,
        blocks=four_stages,
        convolutions=(Convolution(3, first, stride=2), Convolution(3, second), Convolution(3, third)),
        pooling=MaxPooling(3, stride=2),
    )


STEMS = {
    row.name: row
    for row in (
        Stem(
            "imagenet",
            size_px=224,
            classes=1000,
            blocks=four_stages,
            convolutions=(Convolution(7, 64, stride=2),),
            pooling=MaxPooling(3, stride=2),
        ),
        Stem("cifar", size_px=32, classes=10, blocks=three_equal_stages, convolutions=(Convolution(3, 64),)),
        # For small images where time is short: all stages at half the size, twice as wide for the same
        # time. Two convolutions see the whole map before it is pooled. A maximum passes through norm and
        # ReLU unchanged, so it is taken before them: a quarter of their work.
        Stem(
            "deep",
            size_px=32,
            classes=10,
            blocks=three_equal_stages,
            convolutions=(Convolution(3, 24), Convolution(3, 64)),
            early_pooling=MaxPooling(2, stride=2),
        ),
        # ResNet-D (He et al. 2019, "Bag of tricks", figure 2), then what timm calls a tiered stem ("t") and
        # Gluon a ResNet of kind "s".
        _three_convolutions("deep_imagenet", 32, 32, 64),
        _three_convolutions("tiered_imagenet", 24, 32, 64),
        _three_convolutions("wide_imagenet", 64, 64, 128),
    )
}
