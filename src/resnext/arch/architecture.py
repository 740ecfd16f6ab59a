"""`Architecture`: a network as a frozen value, its template rules, and its name."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from numbers import Integral
from typing import Annotated, Any

from resnext.arch.attentions import ATTENTIONS
from resnext.arch.errors import ArchitectureError, check_known, nearest
from resnext.arch.names import KNOWN_NAMES, TIMM_NAMES
from resnext.arch.shortcuts import SHORTCUTS
from resnext.arch.stems import FOUR_STAGES, STEMS
from resnext.arch.transforms import TRANSFORMS, StageTemplate, Transform
from resnext.parsing import Range, build

#: Fields that take the name of a row, and the names there are.
CHOICES: dict[str, Collection[str]] = {
    "transform": TRANSFORMS,
    "attention": ATTENTIONS,
    "shortcut": SHORTCUTS,
    "stem": STEMS,
}
#: Options of a name (`+key=value`), in the order in which they are printed.
OPTIONS = ("blocks", "template", *CHOICES)
#: Depths that mean the CIFAR stem and its three stages unless the name has +stem=.
CIFAR_DEPTHS = (11, 20, 29, 38, 47)

#: Largest network that a name can mean: a file that somebody made up must not fill the memory.
MAX_CLASSES, MAX_INPUT_CHANNELS, MAX_STAGES, MAX_BLOCKS = 1_000_000, 1024, 16, 1000
#: Most paths of all blocks together, and most channels of a layer.
MAX_PATHS, MAX_CHANNELS = 50_000, 2**20
#: Longest name, in characters.
LONGEST_NAME = 200

_COUNT = "[1-9][0-9]{0,8}"
_NAME = re.compile(rf"(resnet|resnext)({_COUNT})(?:_({_COUNT})x({_COUNT})d)?((?:\+[^+]*)*)")


@dataclass(frozen=True)
class Architecture:
    """A ResNet or ResNeXt, described in full by its values.

    Args:
        blocks: Number of blocks in each stage.
        cardinality: C, the number of parallel paths in a block.
        base_width: d, the channels of one path in the first stage.
        template_width: The width that stages are measured by: stage s (from 0) has
            `template_width * 2**s` output channels, times the expansion of the transformation.
        transform: What each block applies, a key of `resnext.arch.TRANSFORMS`.
        attention: What scales the output of each transformation, a key of `resnext.arch.ATTENTIONS`.
        shortcut: What each block adds, one of `resnext.arch.SHORTCUTS`.
        stem: What comes before the first stage, a key of `resnext.arch.STEMS`.
        in_channels: Channels of the images.
        classes: Number of logits.

    Raises:
        ArchitectureError: The values describe no network; the message names the nearest that do.

    >>> arch = Architecture.from_name("resnext50_32x4d", classes=10)
    >>> arch.blocks, arch.cardinality, arch.base_width
    ((3, 4, 6, 3), 32, 4)
    >>> [stage.inner_channels for stage in arch.stages]
    [128, 256, 512, 1024]
    >>> replace(arch, attention="se").name
    'resnext50_32x4d+attention=se'
    """

    blocks: tuple[int, ...]
    cardinality: int = 1
    base_width: int = 64
    template_width: int = 64
    transform: str = "grouped"
    attention: str = "none"
    shortcut: str = "projection"
    stem: str = "imagenet"
    in_channels: int = 3
    classes: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))  # a list is welcome
        for field, known in CHOICES.items():
            check_known(field, getattr(self, field), known)
        for field in ("cardinality", "base_width", "template_width", "in_channels", "classes"):
            if not isinstance(getattr(self, field), Integral):
                raise ArchitectureError(f"{field} must be a whole number, not {getattr(self, field)!r}")
            if getattr(self, field) < 1:
                raise ArchitectureError(f"{field} must be at least 1, not {getattr(self, field)}")
        if not self.blocks or min(self.blocks) < 1:
            raise ArchitectureError(f"blocks must all be at least 1, not {self.blocks}")
        self._check_size()
        rule, first = self._transform.cardinality, self.stages[0]
        if not rule.allows(self.cardinality, first.out_channels):
            raise ArchitectureError(rule.reason.format(stage=first, depth=self.depth))

    def _check_size(self) -> None:
        blocks, stages = sum(self.blocks), len(self.blocks)
        last = self.stages[min(stages, MAX_STAGES) - 1]
        for what, count, most in (
            ("classes", self.classes, MAX_CLASSES),
            ("input channels", self.in_channels, MAX_INPUT_CHANNELS),
            ("stages", stages, MAX_STAGES),
            ("blocks", blocks, MAX_BLOCKS),
            ("paths", blocks * self.cardinality, MAX_PATHS),
            ("channels", max(last.inner_channels, last.out_channels), MAX_CHANNELS),
        ):
            if count > most:
                raise ArchitectureError(f"it would have {count:,} {what}; the most are {most:,}")

    @property
    def _transform(self) -> Transform:
        return TRANSFORMS[self.transform]

    @property
    def depth(self) -> int:
        """Layers with weights on the main path: those of the blocks, one for stem and head each."""
        return self._transform.layers * sum(self.blocks) + 2

    @property
    def features(self) -> int:
        """Channels that the head receives."""
        return self.stages[-1].out_channels

    @property
    def size_px(self) -> int:
        """Side of the images that the stem was made for, in pixels."""
        return STEMS[self.stem].size_px

    @property
    def stages(self) -> tuple[StageTemplate, ...]:
        """The template of each stage: rule 1 within it, rule 2 (half the map, twice the width) between."""
        return tuple(
            StageTemplate(
                blocks=blocks,
                cardinality=self.cardinality,
                path_width=self.base_width * 2**s,
                out_channels=self.template_width * self._transform.expansion * 2**s,
                stride=1 if s == 0 else 2,
            )
            for s, blocks in enumerate(self.blocks)
        )

    def last_map_px(self, side_px: int) -> int:
        """Side of the map that the last stage computes from images of side `side_px`.

        >>> Architecture.from_name("resnext50_32x4d").last_map_px(224)
        7
        """
        for layer in STEMS[self.stem].layers:
            side_px = layer.map_px(side_px)
        for stage in self.stages:  # a stride takes the first pixel of every so many
            side_px = -(-side_px // stage.stride)
        return side_px

    @property
    def name(self) -> str:
        """The one name of this network; classes and input channels are not part of it."""
        depth, options = self.depth, self._options()
        name = f"resnext{depth}_{self.cardinality}x{self.base_width}d"
        if self.cardinality == 1 and self.base_width == self.template_width:
            name = f"resnet{depth}"
        implied = implied_options(depth)
        if self._blocks_are_implied():
            implied["blocks"] = options["blocks"]
        return name + "".join(f"+{key}={options[key]}" for key in OPTIONS if options[key] != implied.get(key))

    def _options(self) -> dict[str, str]:
        """Every option of the name, spelt out."""
        choices = {field: getattr(self, field) for field in CHOICES}
        return {"blocks": "-".join(map(str, self.blocks)), "template": str(self.template_width)} | choices

    def _blocks_are_implied(self) -> bool:
        try:
            return self.blocks == implied_blocks(self.depth, self.transform, self.stem)
        except ArchitectureError:
            return False

    @classmethod
    def from_name(cls, name: str, classes: int = 1000, in_channels: int = 3) -> Architecture:
        """The network called `name`.

        Args:
            name: `resnet{depth}` or `resnext{depth}_{C}x{d}d`, then `+key=value` for what is unusual.
            classes: Number of logits.
            in_channels: Channels of the images.

        Raises:
            ArchitectureError: No network is called so; the message has the nearest names.

        >>> Architecture.from_name("resnext29_8x4d+template=16", classes=10).stem
        'cifar'
        """
        if not isinstance(name, str):
            raise ArchitectureError(f"a network is called by its name, such as resnext50_32x4d, not {name!r}")
        if len(name) > LONGEST_NAME:
            raise ArchitectureError(f"the name of a network has at most {LONGEST_NAME} characters")
        try:
            arch = _parse(name)
        except ArchitectureError as error:
            near = "" if "Nearest:" in str(error) else _nearest_names(name)
            raise ArchitectureError(f"{name!r}: {error}{near}") from None
        return replace(arch, classes=classes, in_channels=in_channels)

    def to_json(self) -> dict[str, Any]:
        """`{"name", "classes", "in_channels"}`: the name holds all the rest."""
        return {"name": self.name, "classes": self.classes, "in_channels": self.in_channels}

    @classmethod
    def from_json(cls, value: Any) -> Architecture:
        """Inverse of `to_json`. Raises `ArchitectureError`."""
        try:
            given = build(_NamedNetwork, value, "architecture")
        except ValueError as error:
            raise ArchitectureError(str(error)) from None
        return cls.from_name(given.name, given.classes, given.in_channels)


@dataclass(frozen=True)
class _NamedNetwork:
    """An architecture in JSON."""

    name: str
    classes: Annotated[int, Range(1, MAX_CLASSES)]
    in_channels: Annotated[int, Range(1, MAX_INPUT_CHANNELS)]


def implied_options(depth: int) -> dict[str, str]:
    """The options that a name may leave out at this depth; implied `blocks` depend on other options too."""
    return {
        "template": "64",
        "transform": "basic" if depth in FOUR_STAGES[2] else "grouped",
        "attention": "none",
        "shortcut": "projection",
        "stem": "cifar" if depth in CIFAR_DEPTHS else "imagenet",
    }


def implied_blocks(depth: int, transform: str, stem: str) -> tuple[int, ...]:
    """Blocks of each stage where only the depth is known. Raises `ArchitectureError`."""
    return STEMS[stem].blocks(depth, TRANSFORMS[transform])


def implied_depths(transform: str, stem: str) -> tuple[int, ...]:
    """The depths up to 200 that imply their numbers of blocks."""
    depths = []
    for depth in range(201):
        try:
            implied_blocks(depth, transform, stem)
        except ArchitectureError:
            continue
        depths.append(depth)
    return tuple(depths)


def _nearest_names(name: str) -> str:
    for ours, timms in TIMM_NAMES.items():
        if name == timms != ours:
            return f". Nearest: {ours}, which is the network that timm calls {timms}"
    return nearest(name, KNOWN_NAMES)


def _parse(name: str) -> Architecture:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ArchitectureError(
            "no network has such a name; names are resnet{depth} or resnext{depth}_{C}x{d}d, then +key=value"
        )
    family, depth_text, cardinality, width, options_text = match.groups()
    depth = int(depth_text)
    _check_family(family, depth, cardinality, width)
    options = implied_options(depth) | _parse_options(options_text)
    for field, known in CHOICES.items():
        check_known(field, options[field], known)
    template = _positive("template", options["template"])
    arch = Architecture(
        blocks=_blocks(depth, options),
        cardinality=int(cardinality or 1),
        base_width=int(width or template),
        template_width=template,
        transform=options["transform"],
        attention=options["attention"],
        shortcut=options["shortcut"],
        stem=options["stem"],
    )
    if arch.depth != depth:
        layers = TRANSFORMS[arch.transform].layers
        raise ArchitectureError(
            f"blocks {options['blocks']} make depth {arch.depth} "
            f"({layers} x {sum(arch.blocks)} + 2), not {depth}"
        )
    return arch


def _check_family(family: str, depth: int, cardinality: str | None, width: str | None) -> None:
    if family == "resnext" and cardinality is None:
        raise ArchitectureError(
            f"a resnext is named with its cardinality C and path width d, as in resnext{depth}_32x4d"
        )
    if family == "resnet" and cardinality is not None:
        raise ArchitectureError(f"with a cardinality it is called resnext{depth}_{cardinality}x{width}d")


def _blocks(depth: int, options: dict[str, str]) -> tuple[int, ...]:
    if "blocks" not in options:
        return implied_blocks(depth, options["transform"], options["stem"])
    return tuple(_positive("blocks", text) for text in options["blocks"].split("-"))


def _parse_options(text: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for item in text.split("+")[1:]:
        key, equals, value = item.partition("=")
        if not equals or key not in OPTIONS:
            raise ArchitectureError(f"+{item} is not one of {', '.join(f'+{k}=' for k in OPTIONS)}")
        if key in options:
            raise ArchitectureError(f"+{key}= is given twice; leave one out")
        options[key] = value
    return options


def _positive(key: str, text: str) -> int:
    if not re.fullmatch(_COUNT, text):
        raise ArchitectureError(f"+{key}= takes whole numbers from 1, not {text!r}")
    return int(text)
