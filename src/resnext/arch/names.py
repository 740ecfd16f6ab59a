"""Names worth listing, and what timm calls the same networks."""

from __future__ import annotations

#: The paper's networks, its baselines, the sizes with public weights, and two improvements of them.
KNOWN_NAMES = tuple(
    (
        "resnet18 resnet26 resnet34 resnet50 resnet101 resnet152 resnet200 resnext26_32x4d "
        "resnext50_2x40d resnext50_4x24d resnext50_8x14d resnext50_32x4d resnext101_1x100d "
        "resnext101_2x40d resnext101_2x64d resnext101_4x24d resnext101_8x14d resnext101_32x4d "
        "resnext101_32x8d resnext101_32x16d resnext101_64x4d resnext152_32x4d "
        "resnext50_32x4d+attention=se resnext101_32x4d+attention=se resnext101_32x8d+attention=se "
        "resnext50_32x4d+shortcut=average_projection+stem=deep_imagenet "
        "resnext11_8x4d+template=16 resnext20_8x4d+template=16 resnext29_8x4d+template=16 resnet29 "
        "resnext29_2x40d resnext29_4x24d resnext29_8x14d resnext29_32x4d resnext29_2x64d "
        "resnext29_4x64d resnext29_8x64d resnext29_16x64d"
    ).split()
)

#: Our name -> timm's name of the same network, tensor for tensor (tests/oracles/test_networks.py).
TIMM_NAMES = {
    name: name
    for name in (
        "resnet18 resnet26 resnet34 resnet50 resnet101 resnet152 resnet200 resnext50_32x4d "
        "resnext101_32x4d resnext101_32x8d resnext101_32x16d resnext101_64x4d"
    ).split()
} | {
    "resnext50_32x4d+attention=se": "seresnext50_32x4d",
    "resnext101_32x4d+attention=se": "seresnext101_32x4d",
    "resnext101_32x8d+attention=se": "seresnext101_32x8d",
    "resnext50_32x4d+shortcut=average_projection+stem=deep_imagenet": "resnext50d_32x4d",
    "resnext50_8x4d+transform=multi_resolution": "res2next50",
}
