"""The torch modules of a stem, made from its row in `resnext.arch.STEMS`."""

from __future__ import annotations

from torch import nn

from resnext.arch import MaxPooling, Stem


def make_convolutions(stem: Stem, in_channels: int) -> nn.Module:
    """(B, in_channels, H, W) -> (B, stem.channels, H', W'): the convolutions, a norm and a ReLU between two.

    The norm and the ReLU of the last one belong to the network (`bn1`, `relu`). A single convolution is
    not wrapped; of several the names are `0`, `3`, `6` and of their norms `1`, `4`, as in timm.
    """
    layers: list[nn.Module] = []
    channels = in_channels
    for one in stem.convolutions:
        if layers:
            layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
        layers.append(nn.Conv2d(channels, one.channels, one.kernel, one.stride, one.kernel // 2, bias=False))
        channels = one.channels
    return layers[0] if len(layers) == 1 else nn.Sequential(*layers)


def make_pooling(pooling: MaxPooling | None) -> nn.Module:
    """(B, C, H, W) -> (B, C, H / stride, W / stride), rounded up for odd kernels; nothing for None."""
    if pooling is None:
        return nn.Identity()
    return nn.MaxPool2d(pooling.kernel, pooling.stride, padding=(pooling.kernel - 1) // 2)
