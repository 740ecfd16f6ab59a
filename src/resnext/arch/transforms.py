"""The transformations that a block can apply: one row for each.

A new one is a row here and a class in `resnext.models.blocks` (docs/extending.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class StageTemplate:
    """What the blocks of one stage share (template rule 1, paper section 3.1).

    `path_width` is d in this stage; `stride` belongs to the first block of the stage only.
    """

    blocks: int
    cardinality: int
    path_width: int
    out_channels: int
    stride: int

    @property
    def inner_channels(self) -> int:
        """Channels of all paths together, C * d: the widest layer inside a block."""
        return self.cardinality * self.path_width


@dataclass(frozen=True)
class CardinalityRule:
    """Which cardinalities a transformation can have.

    `allows` takes a cardinality and the output channels of a block of the first stage. `reason` is the
    error message for one that is not allowed; `{stage}` (of the first stage) and `{depth}` are filled in.
    """

    allows: Callable[[int, int], bool]
    reason: str


ANY_CARDINALITY = CardinalityRule(lambda cardinality, out: True, "")


@dataclass(frozen=True)
class Transform:
    """One kind of transformation.

    `layers` are those a block adds to the depth of the network. `expansion` is the output width of a
    block as a multiple of the template width. `text` gives the layers of a block in the words of the
    paper's table 1. `letter` is the letter in the paper's figure 3 of three equal forms, if it has one.
    """

    name: str
    layers: int
    expansion: int
    text: Callable[[StageTemplate], tuple[str, ...]]
    cardinality: CardinalityRule = ANY_CARDINALITY
    letter: str = ""


#: Shares of the channels in a multi-resolution block.
SCALES = 4


def _paths(stage: StageTemplate) -> str:
    return f", C={stage.cardinality}" if stage.cardinality > 1 else ""


def _grouped(stage: StageTemplate) -> tuple[str, ...]:
    inner = stage.inner_channels
    return f"1x1, {inner}", f"3x3, {inner}{_paths(stage)}", f"1x1, {stage.out_channels}"


def _concatenated(stage: StageTemplate) -> tuple[str, ...]:
    paths, d = stage.cardinality, stage.path_width
    return f"{paths} x (1x1, {d}; 3x3, {d})", f"concatenated: 1x1, {stage.out_channels}"


def _branches(stage: StageTemplate) -> tuple[str, ...]:
    paths, d = stage.cardinality, stage.path_width
    return f"{paths} x (1x1, {d}; 3x3, {d}; 1x1, {stage.out_channels})", "summed"


def _multi_resolution(stage: StageTemplate) -> tuple[str, ...]:
    inner, out = stage.inner_channels, stage.out_channels
    middle = f"{SCALES} shares of {inner}: 0 to {SCALES - 1} x (3x3, {inner}{_paths(stage)})"
    return f"1x1, {SCALES * inner}", middle, f"1x1, {out}"


def _separable(stage: StageTemplate) -> tuple[str, ...]:
    inner, out = stage.inner_channels, stage.out_channels
    return f"1x1, {inner}", f"3x3, {inner}, depthwise", f"1x1, {inner}", f"1x1, {out}"


def _inception(stage: StageTemplate) -> tuple[str, ...]:
    inner, out, paths = stage.inner_channels, stage.out_channels, _paths(stage)
    return f"1x1, {inner}", f"3x3, {inner}{paths}", f"1x1, {out}{paths}"


def _basic(stage: StageTemplate) -> tuple[str, ...]:
    return f"3x3, {stage.inner_channels}", f"3x3, {stage.out_channels}"


NOT_IN_TWO_LAYERS = CardinalityRule(
    lambda cardinality, out: cardinality == 1,
    "the basic transformation (depths 18 and 34) has no cardinality: with two layers a sum of paths is one "
    "wide dense block (paper, figure 4). Use a bottleneck depth. "
    "Nearest: resnext26_{stage.cardinality}x{stage.path_width}d",
)
ONE_PATH_PER_CHANNEL = CardinalityRule(
    lambda cardinality, out: cardinality == 1,
    "the separable transformation has as many paths as channels, so a name gives its width alone. "
    "Nearest: resnext{depth}_1x{stage.inner_channels}d+transform=separable",
)
EQUAL_SHARES = CardinalityRule(
    lambda cardinality, out: out % cardinality == 0,
    "{stage.cardinality} paths cannot share the {stage.out_channels} output channels of an inception block; "
    "use a cardinality that divides them",
)

TRANSFORMS = {
    row.name: row
    for row in (
        Transform("grouped", layers=3, expansion=4, text=_grouped, letter="(c)"),
        Transform("concatenated", layers=3, expansion=4, text=_concatenated, letter="(b)"),
        Transform("branches", layers=3, expansion=4, text=_branches, letter="(a)"),
        Transform("multi_resolution", layers=3, expansion=4, text=_multi_resolution),
        Transform("separable", layers=3, expansion=4, text=_separable, cardinality=ONE_PATH_PER_CHANNEL),
        Transform("inception", layers=3, expansion=4, text=_inception, cardinality=EQUAL_SHARES),
        Transform("basic", layers=2, expansion=1, text=_basic, cardinality=NOT_IN_TWO_LAYERS),
    )
}
#: The paper's three equal forms of one transformation: (c), (b) and (a) of its figure 3.
FORMS = tuple(name for name, row in TRANSFORMS.items() if row.letter)
