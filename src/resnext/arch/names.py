"""Names worth listing, and what timm calls the same networks."""

from __future__ import annotations

import re

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

#: What the letter after the depth means in timm's names.
_LETTERS = {
    "": "",
    "c": "+stem=deep_imagenet",
    "d": "+shortcut=average_projection+stem=deep_imagenet",
    "s": "+stem=wide_imagenet",
    "t": "+shortcut=average_projection+stem=tiered_imagenet",
}
_TIMM_NAME = re.compile(r"(se|)(resnet|resnext)(\d+)([cdst]?)(_\d+x\d+d)?")


def _our_name(timm_name: str) -> str:
    """Our name of the network that timm calls so.

    >>> _our_name("seresnext101d_32x8d")
    'resnext101_32x8d+attention=se+shortcut=average_projection+stem=deep_imagenet'
    """
    match = _TIMM_NAME.fullmatch(timm_name)
    assert match is not None, timm_name
    se, family, depth, letter, paths = match.groups("")
    return f"{family}{depth}{paths}{'+attention=se' * bool(se)}{_LETTERS[letter]}"


#: Our name -> timm's name of the same network, tensor for tensor (tests/oracles/test_networks.py).
TIMM_NAMES = {
    _our_name(name): name
    for name in (
        "resnet18 resnet18d resnet26 resnet26d resnet26t resnet34 resnet34d resnet50 "
        "resnet50c resnet50d resnet50s resnet50t resnet101 resnet101c resnet101d resnet101s resnet152 "
        "resnet152c resnet152d resnet152s resnet200 resnet200d resnext50_32x4d resnext50d_32x4d "
        "resnext101_32x4d resnext101_32x8d resnext101_32x16d resnext101_32x32d resnext101_64x4d "
        "seresnet18 seresnet34 seresnet50 seresnet50t seresnet101 seresnet152 seresnet152d "
        "seresnext26d_32x4d seresnext26t_32x4d seresnext50_32x4d seresnext101_32x4d seresnext101_32x8d "
        "seresnext101_64x4d seresnext101d_32x8d"
    ).split()
} | {
    f"resnet10+blocks=1-1-1-1+transform=basic{_LETTERS['t']}": "resnet10t",
    f"resnet14+blocks=1-1-1-1{_LETTERS['t']}": "resnet14t",
    "resnext50_1x128d": "wide_resnet50_2",
    "resnext101_1x128d": "wide_resnet101_2",
    "resnext50_8x4d+transform=multi_resolution": "res2next50",
}
