"""Grouped convolutions with fewer, wider groups, block-diagonal in them: zeros are added, nothing else.

Some libraries have slow kernels for narrow groups and fast ones for wider groups, so that more products, with
zeros, can take less time.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

from torch import Tensor, nn

from resnext.engine import ModelError
from resnext.models import Network


def pack_groups(network: Network, packing: Mapping[str, int]) -> Network:
    """A copy of `network` that computes the same with wider groups; itself if there is nothing to pack.

    Args:
        network: It is not changed.
        packing: How many times as wide the groups of a convolution become, by its name.

    Raises:
        ModelError: A name is none of a grouped convolution, or its groups cannot be packed so.

    >>> import torch
    >>> from resnext.arch import Architecture
    >>> from resnext.models import create
    >>> network = create(Architecture.from_name("resnext11_4x4d+template=16", 3)).eval()
    >>> packed = pack_groups(network, {"layer1.0.conv2": 2})
    >>> packed.get_submodule("layer1.0.conv2").groups
    2
    >>> images = torch.ones(1, 3, 32, 32)
    >>> torch.allclose(packed(images), network(images), atol=1e-5)
    True
    """
    if not packing:
        return network
    packed = copy.deepcopy(network)
    modules = dict(packed.named_modules())
    for name, times in packing.items():
        layer = modules.get(name)
        if not isinstance(layer, nn.Conv2d) or times < 1 or layer.groups % times:
            raise ModelError(f"packing: {name}: is no convolution whose groups can be {times} times as wide")
        layer.weight = nn.Parameter(pack_weight(layer.weight.detach(), layer.groups, times))
        layer.groups //= times
    return packed


def pack_weight(weight: Tensor, groups: int, times: int) -> Tensor:
    """The weights of a grouped convolution as those of groups `times` as wide, with zeros between paths.

    Args:
        weight: (out, d, height, width), for d channels of each group.
        groups: Number of groups; a multiple of `times`.
        times: How many times as wide they become.

    Returns:
        (out, times * d, height, width).
    """
    out, d, *kernel = weight.shape
    apart = weight.reshape(groups // times, times, out // groups, d, *kernel)
    packed = weight.new_zeros(groups // times, times, out // groups, times, d, *kernel)
    for path in range(times):
        packed[:, path, :, path] = apart[:, path]
    return packed.reshape(out, times * d, *kernel)
