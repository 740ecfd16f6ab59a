"""`FeaturePyramid`: the feature maps of a network at several resolutions, for detection and segmentation."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from torch import Tensor, nn

from resnext.arch import STEMS, Architecture
from resnext.errors import UsageError
from resnext.models.network import Network

#: The modules before the first feature map, whose end is that map, and those between it and `layer1`.
BEFORE_FIRST_MAP, AFTER_FIRST_MAP = ("conv1", "early_maxpool", "bn1", "relu"), ("maxpool",)


@dataclass(frozen=True)
class FeatureMap:
    """One feature map that a network computes.

    Attributes:
        module_name: The module whose output it is.
        channels: Its channels.
        reduction: Side of the image as a multiple of its side.
    """

    module_name: str
    channels: int
    reduction: int


def feature_maps(arch: Architecture) -> tuple[FeatureMap, ...]:
    """The feature maps of a network: that of the stem before its last pooling, then one for each stage.

    >>> [(one.channels, one.reduction) for one in feature_maps(Architecture.from_name("resnext50_32x4d"))]
    [(64, 2), (256, 4), (512, 8), (1024, 16), (2048, 32)]
    """
    stem = STEMS[arch.stem]
    last_pooling = stem.pooling.stride if stem.pooling else 1
    reduction = prod(layer.stride for layer in stem.layers) // last_pooling
    maps = [FeatureMap(BEFORE_FIRST_MAP[-1], stem.channels, reduction)]
    reduction *= last_pooling
    for number, stage in enumerate(arch.stages, start=1):
        reduction *= stage.stride
        maps.append(FeatureMap(f"layer{number}", stage.out_channels, reduction))
    return tuple(maps)


@dataclass(frozen=True)
class FeatureInfo:
    """What a `FeaturePyramid` returns, with timm's names.

    Attributes:
        maps: All feature maps of the network.
        out_indices: Indices of those that are returned, ascending from 0.
    """

    maps: tuple[FeatureMap, ...]
    out_indices: tuple[int, ...]

    def channels(self) -> list[int]:
        """Channels of each map that is returned."""
        return [self.maps[i].channels for i in self.out_indices]

    def reduction(self) -> list[int]:
        """Reduction of each map that is returned: 8 means an eighth of the sides of the image."""
        return [self.maps[i].reduction for i in self.out_indices]

    def module_name(self) -> list[str]:
        """Name of the module whose output each map that is returned is."""
        return [self.maps[i].module_name for i in self.out_indices]


class FeaturePyramid(nn.Module):
    """The stem and stages of a network, which return their feature maps as a list.

    Tensors have the names that they have in the network. Modules are shared with it, not copied. What is
    needed for none of the maps, such as the head, is left out, so that every parameter gets a gradient.

    Shapes: (B, in_channels, H, W) -> (B, channels, H / reduction, W / reduction) for each map, sides
    rounded up (the stem `deep` halves them rounded down).

    Args:
        network: The network.
        out_indices: Indices of the maps, ascending: 0 is that of the stem before its last pooling, 1 that of
            `layer1`, and so on; negative ones count from the last. A number means so many of the last, None
            all.

    Raises:
        UsageError: There is no such map, or the indices are not ascending.

    >>> import torch
    >>> from resnext.models import create
    >>> network = create(Architecture.from_name("resnext50_4x4d+template=8"))
    >>> pyramid = FeaturePyramid(network, out_indices=(2, -1))
    >>> pyramid.feature_info.module_name(), pyramid.feature_info.reduction()
    (['layer2', 'layer4'], [8, 32])
    >>> [tuple(one.shape) for one in pyramid(torch.zeros(1, 3, 64, 64))]
    [(1, 64, 8, 8), (1, 256, 2, 2)]
    """

    def __init__(self, network: Network, out_indices: int | Sequence[int] | None = None) -> None:
        super().__init__()
        maps = feature_maps(network.arch)
        self.feature_info = FeatureInfo(maps, _absolute(out_indices, len(maps)))
        stages = [one.module_name for one in maps[1 : self.feature_info.out_indices[-1] + 1]]
        for name in (*BEFORE_FIRST_MAP, *((*AFTER_FIRST_MAP, *stages) if stages else ())):
            self.add_module(name, network.get_submodule(name))
        self.training = network.training

    def forward(self, x: Tensor) -> list[Tensor]:
        wanted, maps = self.feature_info.module_name(), []
        for name, module in self.named_children():  # in the order in which the network calls them
            x = module(x)
            if name in wanted:
                maps.append(x)
        return maps


def _absolute(indices: int | Sequence[int] | None, count: int) -> tuple[int, ...]:
    """`indices` of `count` maps, counted from 0. Raises `UsageError`."""
    if indices is None:
        return tuple(range(count))
    given: tuple[object, ...] = tuple(indices) if isinstance(indices, Sequence) else ()
    if type(indices) is int:
        given = tuple(range(-indices, 0))
    whole = [i for i in given if type(i) is int]
    absolute = tuple(i + count if i < 0 else i for i in whole)
    if not given or len(whole) < len(given) or not all(0 <= i < count for i in absolute):
        raise UsageError(
            f"out_indices {indices!r}: must be indices of the {count} feature maps, 0 (the stem) to "
            f"{count - 1} or -{count} to -1, or how many of the last"
        )
    if any(this >= after for this, after in itertools.pairwise(absolute)):
        raise UsageError(
            f"out_indices {indices!r}: must be ascending, each map once; say {tuple(sorted(set(absolute)))}"
        )
    return absolute
