"""A network as a table like the paper's first: stage, output, template, repeats, and what each costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from resnext.arch import ATTENTIONS, STEMS, TRANSFORMS, Architecture, StageTemplate
from resnext.cost import Cost, PartCost, count_parts, sum_costs


@dataclass(frozen=True)
class StageRow:
    """One row: the stem, a stage, or the head.

    `output_px` is the side of the output map and `channels` its channels; `template` are the layers of one
    block, which is repeated `repeats` times; `cost` is that of all repeats.
    """

    stage: str
    output_px: int
    channels: int
    template: tuple[str, ...]
    repeats: int
    cost: Cost


@dataclass(frozen=True)
class Description:
    """A network at one image size: its rows from input to output, and the cost of the whole."""

    name: str
    size_px: int
    rows: tuple[StageRow, ...]
    cost: Cost

    def to_json(self) -> dict[str, Any]:
        """The same as nested dicts."""
        return asdict(self)


def describe(network: str | Architecture, size_px: int | None = None) -> Description:
    """Every stage of a network with its layers and its cost, as in the paper's table 1.

    Args:
        network: The name of a network (with 1000 classes), or an architecture.
        size_px: Side of the images; None for the side that its stem was made for.

    Raises:
        ArchitectureError: No network has this name; the message has the nearest names.

    >>> table = describe("resnext50_32x4d")
    >>> [(row.output_px, row.template, row.repeats) for row in table.rows][1]
    (56, ('1x1, 128', '3x3, 128, C=32', '1x1, 256'), 3)
    >>> table.cost.params
    25028904
    """
    arch = as_architecture(network)
    size_px = size_px or arch.size_px
    parts = count_parts(arch, size_px)
    stem, *blocks, head = parts
    rows = [
        _row("stem", STEMS[arch.stem].text, [stem]),
        *_stage_rows(arch, blocks),
        _row("head", ("global average pool", f"{arch.classes}-d fc"), [head]),
    ]
    return Description(arch.name, size_px, tuple(rows), sum_costs(part.cost for part in parts))


def as_architecture(network: str | Architecture) -> Architecture:
    """`network`, or the architecture of that name. Raises `ArchitectureError`."""
    return network if isinstance(network, Architecture) else Architecture.from_name(network)


def block_layers(arch: Architecture, stage: StageTemplate) -> tuple[str, ...]:
    """The layers of a block of `stage`, in the words of the paper's table 1 and figure 3."""
    attention = ATTENTIONS[arch.attention]
    return (*TRANSFORMS[arch.transform].text(stage), *attention.text(stage.out_channels))


def _stage_rows(arch: Architecture, blocks: list[PartCost]) -> list[StageRow]:
    rows = []
    for number, stage in enumerate(arch.stages, start=1):
        own = [part for part in blocks if part.name.split(".")[0] == f"layer{number}"]
        rows.append(_row(f"stage {number}", block_layers(arch, stage), own))
    return rows


def _row(name: str, template: tuple[str, ...], parts: list[PartCost]) -> StageRow:
    channels, side, _ = parts[-1].output
    return StageRow(name, side, channels, template, len(parts), sum_costs(part.cost for part in parts))
