"""The `config.json` of timm's hub folders: written for a contract, and read as one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from resnext.arch import STEMS, TIMM_NAMES, Architecture
from resnext.arch.architecture import MAX_INPUT_CHANNELS
from resnext.catalogue import OUR_NAMES, imagenet_classes
from resnext.contract import MAX_CLASSES, Contract, Input, Provenance, Resize, licence_meant
from resnext.parsing import Extensible, Range, build, show
from resnext.weights.errors import WeightsError

#: What timm takes where its config leaves a field out.
DEFAULT_CROP = 0.875
#: Classes of ImageNet-1K, which nobody names.
CLASSES = 1000


def timm_config(arch: Architecture, contract: Contract) -> dict[str, Any]:
    """What timm and transformers look for (timm's `push_to_hf_hub` layout).

    The architecture has timm's name where timm has the network; of the others it knows our names where
    `resnext.timm_models` has registered them, and else refuses them.
    """
    size, resize = contract.input, contract.resize
    shape = (size.channels, size.height_px, size.width_px)
    described = dict(zip(contract.classes, contract.descriptions, strict=False))
    return {
        "architecture": TIMM_NAMES.get(arch.name, arch.name),
        "num_classes": arch.classes,
        "num_features": arch.features,
        "global_pool": "avg",
        "label_names": list(contract.classes),
        **({"label_descriptions": described} if described else {}),
        "pretrained_cfg": {
            "input_size": shape,
            "interpolation": resize.interpolation,
            "crop_pct": resize.crop_px / resize.shorter_px,
            "crop_mode": "center",
            "mean": contract.mean,
            "std": contract.std,
            "num_classes": arch.classes,
            "first_conv": "conv1.0" if len(STEMS[arch.stem].convolutions) > 1 else "conv1",
            "classifier": "fc",
            "license": contract.provenance.weights_licence,
        },
    }


#: Bounds of the share of an image that is cut out.
Share = Annotated[float, Range(0.01, 10)]


@dataclass(frozen=True)
class _PretrainedConfig(Extensible):
    """The fields of timm's `pretrained_cfg` that say how images are prepared."""

    input_size: tuple[int, int, int] = (3, 224, 224)
    test_input_size: tuple[int, int, int] | None = None
    interpolation: str = "bicubic"
    crop_pct: Share | None = None
    test_crop_pct: Share | None = None
    crop_mode: str = "center"
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    license: str | None = None


@dataclass(frozen=True)
class _Config(Extensible):
    """The fields of timm's config.json that are read."""

    architecture: str
    num_classes: Annotated[int, Range(0, MAX_CLASSES)] = CLASSES
    in_chans: Annotated[int, Range(1, MAX_INPUT_CHANNELS)] | None = None
    pretrained_cfg: _PretrainedConfig = _PretrainedConfig()


def is_timm_config(config: dict[str, Any]) -> bool:
    """Whether `config` is one that timm wrote."""
    return "architecture" in config and ("pretrained_cfg" in config or "num_classes" in config)


def parse_timm_config(config: dict[str, Any], source: Path) -> tuple[Architecture, Contract | None]:
    """The network and the contract in a config.json of timm.

    Images are evaluated at timm's test size, where it has one: its training size is smaller, and the
    published accuracy is not that of it. A thousand classes without names are those of ImageNet-1K; of other
    classes without names there is no contract.

    Raises:
        WeightsError: A field has a wrong value, the network is not made here, or the number of names is not
            that of the classes.
    """
    try:
        given = build(_Config, config, "config.json")
        arch = _architecture(given)
        names = _class_names(given, config)
        return arch, None if names is None else _contract(given, arch, *names)
    except ValueError as error:
        raise WeightsError(f"{source}: {error}") from None


def _architecture(given: _Config) -> Architecture:
    name = OUR_NAMES.get(given.architecture, given.architecture)
    channels = given.in_chans or given.pretrained_cfg.input_size[0]
    return Architecture.from_name(name, given.num_classes or CLASSES, channels)


def _class_names(given: _Config, config: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Names and descriptions of the classes; None if nobody says them."""
    listed = _texts(config, "label_names")
    if listed is None:
        if given.num_classes != CLASSES:
            return None
        synsets, words = zip(*imagenet_classes(), strict=True)
        return synsets, words
    names = tuple(listed) if isinstance(listed, list) else tuple(listed[k] for k in sorted(listed, key=int))
    if len(names) != given.num_classes:
        raise ValueError(f"label_names: {len(names)} names for {given.num_classes} classes")
    return names, _descriptions(_texts(config, "label_descriptions"), names)


def _texts(config: dict[str, Any], field: str) -> list[str] | dict[str, str] | None:
    """A field that timm writes as a list, or as an object where numbers have gaps. Raises `ValueError`."""
    value = config.get(field)
    if value is None:
        return None
    return build(dict[str, str], value, field) if isinstance(value, dict) else build(list[str], value, field)


def _descriptions(texts: list[str] | dict[str, str] | None, names: tuple[str, ...]) -> tuple[str, ...]:
    if isinstance(texts, dict):
        return tuple(texts.get(name, "") for name in names) if set(texts) & set(names) else ()
    return tuple(texts) if texts and len(texts) == len(names) else ()


def _contract(
    given: _Config, arch: Architecture, names: tuple[str, ...], descriptions: tuple[str, ...]
) -> Contract:
    config = given.pretrained_cfg
    if config.crop_mode != "center":
        raise ValueError(f"pretrained_cfg.crop_mode: {show(config.crop_mode)}; only center is known here")
    _, height, width = config.test_input_size or config.input_size
    if height != width:
        raise ValueError(f"pretrained_cfg.input_size: {height}x{width}; only squares are known here")
    crop = config.test_crop_pct if config.test_crop_pct is not None else config.crop_pct
    return Contract(
        classes=names,
        input=Input(arch.in_channels, height, width),
        resize=Resize(math.floor(height / (crop or DEFAULT_CROP)), height, config.interpolation),
        mean=config.mean,
        std=config.std,
        provenance=Provenance(arch.name, weights_licence=licence_meant(config.license)),
        descriptions=descriptions,
    )
