"""The network that tensors belong to, told from their names and shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from resnext.arch import STEMS, Architecture, ArchitectureError
from resnext.weights.errors import WeightsError
from resnext.weights.matching import blueprint

#: Networks that are not made here, by a tensor that only they have.
OTHERS = {
    "ConvNeXt": r"stages\.0\.blocks\.0\.conv_dw\.weight|features\.1\.0\.block\.0\.weight",
    "a vision transformer": r"blocks\.0\.attn\.qkv\.weight|.*layers?\.encoder_layer_0\..*|cls_token",
    "Swin": r"layers\.0\.blocks\.0\.attn\.relative_position_bias_table",
    "EfficientNet": r"conv_stem\.weight|features\.1\.0\.block\.0\.0\.weight",
    "DenseNet": r"features\.denseblock1\..*|denseblock1\..*",
    "VGG or AlexNet": r"classifier\.6\.weight",
    "MobileNet": r"features\.1\.conv\.0\.0\.weight",
    "RegNet": r"s1\.b1\.conv1\.conv\.weight|trunk_output\..*",
    "ECA-ResNet": r"layer1\.0\.se\.conv\.weight",
    "an older SE-ResNeXt, whose stem is layer0": r"layer0\.conv1\.weight",
    "Res2Net with its own stem": r"layer1\.0\.convs\.\d+\.weight",
    "a ResNet with blur pooling": r"layer2\.0\.aa\..*|layer2\.0\.downsample\.\d+\.filt",
}


def recognise(tensors: Mapping[str, Tensor], source: str) -> Architecture:
    """The network whose tensors these are, by our names.

    Args:
        tensors: Tensors by name; those of the head may be missing.
        source: Name of the file, for errors.

    Raises:
        WeightsError: They are of no network that can be made here; the message says which one it may be.

    >>> from resnext.models import create
    >>> arch = Architecture.from_name("resnext26_8x4d+attention=se+template=16", classes=7)
    >>> recognise(create(arch).state_dict(), "x.pth") == arch
    True
    """
    try:
        candidates = _candidates(tensors)
    except (KeyError, ArchitectureError, IndexError, ZeroDivisionError):
        raise WeightsError(_unknown(tensors, source)) from None
    for arch in candidates:
        if _is_of(arch, tensors):
            return arch
    raise WeightsError(_unknown(tensors, source))


def _candidates(tensors: Mapping[str, Tensor]) -> list[Architecture]:
    """The networks that the shapes leave open, the likeliest first."""
    blocks = _count_blocks(tensors)
    is_basic = "layer1.0.conv3.weight" not in tensors
    several_scales = "layer1.0.convs.0.weight" in tensors
    grouped = tensors["layer1.0.convs.0.weight" if several_scales else "layer1.0.conv2.weight"]
    inner = tensors["layer1.0.conv1.weight"].shape[0] if is_basic else grouped.shape[0]
    cardinality = 1 if is_basic else inner // grouped.shape[1]
    out = tensors["layer1.0.conv2.weight" if is_basic else "layer1.0.conv3.weight"].shape[0]
    transform = "basic" if is_basic else "multi_resolution" if several_scales else "grouped"
    return [
        Architecture(
            blocks,
            cardinality=cardinality,
            base_width=inner // cardinality,
            template_width=out if is_basic else out // 4,
            transform=transform,
            attention="se" if "layer1.0.se.fc1.weight" in tensors else "none",
            shortcut=shortcut,
            stem=stem,
            in_channels=_first_convolution(tensors).shape[1],
            classes=tensors["fc.weight"].shape[0] if "fc.weight" in tensors else 1000,
        )
        for shortcut in _shortcuts(tensors)
        for stem in _stems(tensors)
    ]


def _count_blocks(tensors: Mapping[str, Tensor]) -> tuple[int, ...]:
    last: dict[int, int] = {}
    for name in tensors:
        if match := re.match(r"layer(\d{1,3})\.(\d{1,4})\.", name):
            stage, block = int(match[1]), int(match[2])
            last[stage] = max(last.get(stage, 0), block + 1)
    return tuple(last[stage] for stage in range(1, len(last) + 1))


def _first_convolution(tensors: Mapping[str, Tensor]) -> Tensor:
    return tensors["conv1.weight"] if "conv1.weight" in tensors else tensors["conv1.0.weight"]


def _stems(tensors: Mapping[str, Tensor]) -> list[str]:
    """Stems whose convolutions have these shapes."""
    one = tensors.get("conv1.weight")
    names = ["conv1.weight"] if one is not None else [f"conv1.{i}.weight" for i in (0, 3, 6)]
    shapes = [tuple(tensors[name].shape[::2]) for name in names if name in tensors]  # channels, kernel
    return [
        stem.name
        for stem in STEMS.values()
        if [(conv.channels, conv.kernel) for conv in stem.convolutions] == shapes
    ]


def _shortcuts(tensors: Mapping[str, Tensor]) -> list[str]:
    """Shortcuts that have these tensors, the usual one first."""
    names = [name for name in tensors if ".downsample." in name]
    if not names:
        return ["projection", "zero_pad", "none"]
    if any(name.endswith("downsample.2.weight") for name in names):
        return ["average_projection"]
    return ["projection", "projection_all"]


def _is_of(arch: Architecture, tensors: Mapping[str, Tensor]) -> bool:
    """Whether `arch` has these tensors and no others, the head and old counters aside."""
    own = blueprint(arch)
    aside = {name for name in own if name.endswith("num_batches_tracked") or name.startswith("fc.")}
    if set(own) - set(tensors) - aside or set(tensors) - set(own):
        return False
    return all(own[name].shape == tensor.shape for name, tensor in tensors.items())


def _unknown(tensors: Mapping[str, Tensor], source: str) -> str:
    for what, pattern in OTHERS.items():
        if any(re.fullmatch(pattern, name) for name in tensors):
            return f"{source}: its tensors are those of {what}, which is not made here"
    if not tensors:
        return f"{source}: holds no tensors by name"
    shown = ", ".join(list(tensors)[:4])
    return (
        f"{source}: its {len(tensors)} tensors ({shown}, ...) are of no ResNet or ResNeXt that is made here; "
        "if they are meant for one, --model NAME lists those that do not fit"
    )
