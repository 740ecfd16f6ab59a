"""A network as a table like the paper's first: stage, output, template, repeats, and what each costs."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from resnext.arch import STEM_CHANNELS, USUAL_PX, Architecture, StageTemplate
from resnext.cost import Cost, count_parts, sum_costs
from resnext.models.blocks import MultiResolution


@dataclass(frozen=True)
class Row:
    """A stage: the map that it puts out (side in pixels; channels), its block's layers, how often."""

    stage: str
    output_px: int
    channels: int
    template: tuple[str, ...]
    repeats: int
    cost: Cost


@dataclass(frozen=True)
class Description:
    """A network at one size of picture."""

    name: str
    size_px: int
    rows: tuple[Row, ...]
    cost: Cost

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


#: In the words of the paper's table 1.
STEM_LAYERS = {
    "imagenet": ("7x7, 64, stride 2", "3x3 max pool, stride 2"),
    "cifar": ("3x3, 64",),
    "deep": ("3x3, 24", "3x3, 64", "2x2 max pool, stride 2"),
}


def describe(arch: Architecture, size_px: int | None = None) -> Description:
    """Every stage of `arch` at `size_px` (the side that its stem was made for if None)."""
    size_px = size_px or USUAL_PX[arch.stem]
    parts = count_parts(arch, size_px)
    stem, *blocks, head = parts
    rows = [Row("stem", stem.output[1], STEM_CHANNELS, STEM_LAYERS[arch.stem], 1, stem.cost)]
    for number, stage in enumerate(arch.stages, start=1):
        own = [part for part in blocks if part.name.split(".")[0] == f"layer{number}"]
        cost = sum_costs(part.cost for part in own)
        shape = own[-1].output
        rows.append(Row(f"stage {number}", shape[1], shape[0], layers(arch.transform, stage), len(own), cost))
    last = ("global average pool", f"{arch.classes}-d fc")
    rows.append(Row("head", 1, arch.classes, last, 1, head.cost))
    return Description(arch.name, size_px, tuple(rows), sum_costs(part.cost for part in parts))


def layers(transform: str, stage: StageTemplate) -> tuple[str, ...]:
    """The layers of a block of `stage`, in the words of the paper's table 1 and figure 3."""
    paths, d, inner, out = stage.cardinality, stage.path_width, stage.inner_channels, stage.out_channels
    grouped = f", C={paths}" if paths > 1 else ""
    scales = MultiResolution.SCALES
    return {
        "grouped": (f"1x1, {inner}", f"3x3, {inner}{grouped}", f"1x1, {out}"),
        "concatenated": (f"{paths} x (1x1, {d}; 3x3, {d})", f"concatenated: 1x1, {out}"),
        "branches": (f"{paths} x (1x1, {d}; 3x3, {d}; 1x1, {out})", "summed"),
        "multi_resolution": (
            f"1x1, {scales * inner}",
            f"{scales} shares of {inner}: 0 to {scales - 1} x (3x3, {inner}{grouped})",
            f"1x1, {out}",
        ),
        "separable": (f"1x1, {inner}", f"3x3, {inner}, depthwise", f"1x1, {inner}", f"1x1, {out}"),
        "inception": (f"1x1, {inner}", f"3x3, {inner}{grouped}", f"1x1, {out}{grouped}"),
        "basic": (f"3x3, {inner}", f"3x3, {out}"),
    }[transform]
