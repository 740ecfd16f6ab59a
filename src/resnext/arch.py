"""What a network is: a frozen value, its two template rules, and its name.

Words follow the paper (Xie et al., arXiv 1611.05431): a *block* splits its input into `cardinality`
paths of width `d`, transforms each, merges them and adds the *shortcut*. Standard library only.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from typing import Any

#: The paper's three equal forms of one transformation (figure 3): (c), (b) and (a).
FORMS = ("grouped", "concatenated", "branches")
BOTTLENECKS = (*FORMS, "multi_resolution", "separable", "inception")
TRANSFORMS = (*BOTTLENECKS, "basic")
#: Layers that one block of each transformation adds to the depth.
LAYERS = dict.fromkeys(BOTTLENECKS, 3) | {"basic": 2}
#: Output width of a block as a multiple of its template width.
EXPANSION = dict.fromkeys(BOTTLENECKS, 4) | {"basic": 1}
SHORTCUTS = ("projection", "projection_all", "zero_pad", "none")
STEMS = ("imagenet", "cifar", "deep")
STEM_CHANNELS = 64
#: Side of the pictures that each stem was made for.
USUAL_PX = {"imagenet": 224, "cifar": 32, "deep": 32}

#: Depths that mean the CIFAR stem and its three stages unless the name says otherwise.
CIFAR_DEPTHS = (11, 20, 29, 38, 47)
BASIC_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}
BOTTLENECK_BLOCKS = {26: (2, 2, 2, 2), 152: (3, 8, 36, 3), 200: (3, 24, 36, 3)}

#: Names worth listing: the paper's networks, its baselines and the sizes with public weights.
KNOWN_NAMES = tuple(
    (
        "resnet18 resnet26 resnet34 resnet50 resnet101 resnet152 resnet200 resnext26_32x4d "
        "resnext50_2x40d resnext50_4x24d resnext50_8x14d resnext50_32x4d resnext101_1x100d "
        "resnext101_2x40d resnext101_2x64d resnext101_4x24d resnext101_8x14d resnext101_32x4d "
        "resnext101_32x8d resnext101_32x16d resnext101_64x4d resnext152_32x4d "
        "resnext11_8x4d+template=16 resnext20_8x4d+template=16 resnext29_8x4d+template=16 resnet29 "
        "resnext29_2x40d resnext29_4x24d resnext29_8x14d resnext29_32x4d resnext29_2x64d "
        "resnext29_4x64d resnext29_8x64d resnext29_16x64d"
    ).split()
)

_NAME = re.compile(r"(resnet|resnext)([1-9][0-9]*)(?:_([1-9][0-9]*)x([1-9][0-9]*)d)?((?:\+[^+]*)*)")


class ArchitectureError(ValueError):
    """A name or a set of values that describes no network; the message says what would."""


@dataclass(frozen=True)
class StageTemplate:
    """What the blocks of one stage share (template rule 1, paper section 3.1).

    `path_width` is d at this stage; the widest layer inside a block has `inner_channels` = C * d.
    `stride` belongs to the stage's first block only.
    """

    blocks: int
    cardinality: int
    path_width: int
    out_channels: int
    stride: int

    @property
    def inner_channels(self) -> int:
        return self.cardinality * self.path_width


@dataclass(frozen=True)
class Architecture:
    """A ResNet or ResNeXt.

    `base_width` is d, the width of one path in the first stage. `template_width` is the width the
    stages are measured by: stage s puts out `template_width * 2**s` channels times the expansion
    of the transformation. Raises `ArchitectureError` for values that describe no network.
    """

    blocks: tuple[int, ...]
    cardinality: int = 1
    base_width: int = 64
    template_width: int = 64
    transform: str = "grouped"
    shortcut: str = "projection"
    stem: str = "imagenet"
    in_channels: int = 3
    classes: int = 1000

    def __post_init__(self) -> None:
        object.__setattr__(self, "blocks", tuple(self.blocks))  # a list is welcome
        for field, known in (
            ("transform", TRANSFORMS),
            ("shortcut", SHORTCUTS),
            ("stem", STEMS),
        ):
            if getattr(self, field) not in known:
                raise ArchitectureError(
                    f"{field}={getattr(self, field)} is not known{_nearest(getattr(self, field), known)}"
                )
        for field in ("cardinality", "base_width", "template_width", "in_channels", "classes"):
            if getattr(self, field) < 1:
                raise ArchitectureError(f"{field} must be at least 1, not {getattr(self, field)}")
        if not self.blocks or min(self.blocks) < 1:
            raise ArchitectureError(f"blocks must all be at least 1, not {self.blocks}")
        if self.transform == "basic" and self.cardinality > 1:
            raise ArchitectureError(
                "the basic transformation (depths 18 and 34) has no cardinality: with two layers a "
                "sum of paths is one wide dense block (paper, figure 4). Use a bottleneck depth, "
                f"such as resnext26_{self.cardinality}x{self.base_width}d"
            )
        if self.transform == "separable" and self.cardinality > 1:
            raise ArchitectureError(
                "the separable transformation has as many paths as channels, so only its width can be "
                f"said: resnext{self.depth}_1x{self.cardinality * self.base_width}d"
                "+transform=separable"
            )
        if self.transform == "inception" and self.stages[0].out_channels % self.cardinality:
            raise ArchitectureError(
                f"{self.cardinality} paths cannot share the {self.stages[0].out_channels} channels that an "
                "inception block puts out; the cardinality must divide them"
            )

    @property
    def depth(self) -> int:
        """Layers with weights on the main path: those of the blocks, one for stem and head each."""
        return LAYERS[self.transform] * sum(self.blocks) + 2

    @property
    def features(self) -> int:
        """Channels that the head receives."""
        return self.stages[-1].out_channels

    @property
    def stages(self) -> tuple[StageTemplate, ...]:
        """The template of each stage: rule 1 within it, rule 2 (half the map, twice the width) between."""
        return tuple(
            StageTemplate(
                blocks=blocks,
                cardinality=self.cardinality,
                path_width=self.base_width * 2**s,
                out_channels=self.template_width * EXPANSION[self.transform] * 2**s,
                stride=1 if s == 0 else 2,
            )
            for s, blocks in enumerate(self.blocks)
        )

    @property
    def name(self) -> str:
        """The one name of this network; classes and input channels are not part of it."""
        depth = self.depth
        if self.cardinality == 1 and self.base_width == self.template_width:
            name = f"resnet{depth}"
        else:
            name = f"resnext{depth}_{self.cardinality}x{self.base_width}d"
        said = {
            "blocks": ("-".join(map(str, self.blocks)), self._blocks_are_implied()),
            "template": (str(self.template_width), self.template_width == 64),
            "transform": (self.transform, self.transform == _implied_transform(depth)),
            "shortcut": (self.shortcut, self.shortcut == "projection"),
            "stem": (self.stem, self.stem == _implied_stem(depth)),
        }
        return name + "".join(f"+{k}={v}" for k, (v, implied) in said.items() if not implied)

    def _blocks_are_implied(self) -> bool:
        try:
            return self.blocks == implied_blocks(self.depth, self.transform, self.stem)
        except ArchitectureError:
            return False

    @classmethod
    def from_name(cls, name: str, classes: int = 1000, in_channels: int = 3) -> Architecture:
        """The network called `name`, e.g. `resnext50_32x4d` or `resnext29_8x4d+template=16`.

        Raises `ArchitectureError` with the nearest good names.
        """
        try:
            arch = _parse(name)
        except ArchitectureError as error:
            near = "" if "Nearest:" in str(error) else _nearest(name, KNOWN_NAMES)
            raise ArchitectureError(f"{name!r}: {error}{near}") from None
        return replace(arch, classes=classes, in_channels=in_channels)

    def to_json(self) -> dict[str, Any]:
        """`{"name", "classes", "in_channels"}`: the name says all the rest."""
        return {"name": self.name, "classes": self.classes, "in_channels": self.in_channels}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Architecture:
        """Inverse of `to_json`."""
        return cls.from_name(value["name"], value["classes"], value["in_channels"])


def _parse(name: str) -> Architecture:
    match = _NAME.fullmatch(name)
    if match is None:
        raise ArchitectureError(
            "no network has such a name; names are resnet{depth} or resnext{depth}_{C}x{d}d, then +key=value"
        )
    family, depth_text, cardinality, width, options_text = match.groups()
    depth = int(depth_text)
    if family == "resnext" and cardinality is None:
        raise ArchitectureError(
            f"a resnext is named with its cardinality C and path width d, as in resnext{depth}_32x4d"
        )
    if family == "resnet" and cardinality is not None:
        raise ArchitectureError(f"with a cardinality it is called resnext{depth}_{cardinality}x{width}d")
    options = _parse_options(options_text)
    template = _positive("template", options.get("template", "64"))
    transform = options.get("transform", _implied_transform(depth))
    stem = options.get("stem", _implied_stem(depth))
    if transform not in LAYERS:
        raise ArchitectureError(f"transform={transform} is not known{_nearest(transform, TRANSFORMS)}")
    if "blocks" in options:
        blocks = tuple(_positive("blocks", n) for n in options["blocks"].split("-"))
    else:
        blocks = implied_blocks(depth, transform, stem)
    arch = Architecture(
        blocks=blocks,
        cardinality=int(cardinality or 1),
        base_width=int(width or template),
        template_width=template,
        transform=transform,
        shortcut=options.get("shortcut", "projection"),
        stem=stem,
    )
    if arch.depth != depth:
        raise ArchitectureError(
            f"blocks {options['blocks']} make depth {arch.depth} "
            f"({LAYERS[transform]} x {sum(blocks)} + 2), not {depth}"
        )
    return arch


def _parse_options(text: str) -> dict[str, str]:
    known = ("blocks", "template", "transform", "shortcut", "stem")
    options: dict[str, str] = {}
    for item in text.split("+")[1:]:
        key, equals, value = item.partition("=")
        if not equals or key not in known:
            raise ArchitectureError(f"+{item} is not one of {', '.join(f'+{k}=' for k in known)}")
        if key in options:
            raise ArchitectureError(f"+{key}= stands twice")
        options[key] = value
    return options


def _positive(key: str, text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]*", text):
        raise ArchitectureError(f"+{key}= takes whole numbers from 1, not {text!r}")
    return int(text)


def _implied_transform(depth: int) -> str:
    return "basic" if depth in BASIC_BLOCKS else "grouped"


def _implied_stem(depth: int) -> str:
    return "cifar" if depth in CIFAR_DEPTHS else "imagenet"


def implied_depths(transform: str, stem: str) -> tuple[int, ...]:
    """The depths up to 200 that say their numbers of blocks."""
    depths = []
    for depth in range(201):
        try:
            implied_blocks(depth, transform, stem)
        except ArchitectureError:
            continue
        depths.append(depth)
    return tuple(depths)


def implied_blocks(depth: int, transform: str, stem: str) -> tuple[int, ...]:
    """Blocks of each stage where only the depth is said. Raises `ArchitectureError`."""
    if stem != "imagenet":
        layers = 3 * LAYERS[transform]
        if depth > 2 and (depth - 2) % layers == 0:
            return ((depth - 2) // layers,) * 3
        raise ArchitectureError(
            f"depth {depth} does not make three equal stages; depths {layers}n + 2 do, or say +blocks=..."
        )
    table = BASIC_BLOCKS if transform == "basic" else BOTTLENECK_BLOCKS
    if depth in table:
        return table[depth]
    if transform != "basic" and 35 <= depth <= 200 and (depth - 2) % 3 == 0:
        return (3, 4, (depth - 2) // 3 - 10, 3)
    raise ArchitectureError(
        f"depth {depth} implies no numbers of blocks for the {transform} transformation; "
        "say them, as in +blocks=3-4-6-3"
    )


def _nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    near = difflib.get_close_matches(word.lower(), known, n=3, cutoff=0.5) or list(known)[:4]
    return f". Nearest: {', '.join(near)}"
