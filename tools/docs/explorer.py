"""The data of the explorer: what the networks of three families cost, and what was measured of some of them.

Every figure that the page shows is counted here by `resnext.cost`; its JavaScript computes none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from resnext.arch import STEMS, Architecture
from resnext.cost import PartCost, count_parts, sum_costs
from resnext.design import Budget, DesignSpace, design_networks
from resnext.design.description import block_layers
from resnext.design.space import WIDE
from resnext.experiments import EXPERIMENTS, Ledger, Scale, judge
from resnext.experiments.findings import ERROR

RESULTS = Path(__file__).parents[2] / "results" / "experiments"
CARDINALITIES = (1, 2, 4, 8, 16, 32, 64)
#: The scale of the experiments that are shown.
SCALE: Scale = "laptop"


@dataclass(frozen=True)
class Family:
    """Networks that differ in depth, cardinality and width only.

    `start` is what the page shows first: depth, cardinality and width.
    """

    title: str
    base: str
    size_px: int
    classes: int
    depths: tuple[int, ...]
    widths: tuple[int, ...]
    start: tuple[int, int, int]
    cardinalities: tuple[int, ...] = CARDINALITIES

    @property
    def arch(self) -> Architecture:
        """Any member."""
        return Architecture.from_name(self.base, self.classes)


FAMILIES = (
    Family(
        "ImageNet: 224 px, 1,000 classes",
        base="resnet50",
        size_px=224,
        classes=1000,
        depths=(26, 50, 77, 101, 152, 200),
        widths=(1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 100, 128),
        start=(50, 32, 4),
    ),
    Family(
        "CIFAR: 32 px, 10 classes",
        base="resnet29",
        size_px=32,
        classes=10,
        depths=(11, 20, 29, 38, 47),
        widths=(1, 2, 4, 8, 12, 14, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128),
        start=(29, 8, 64),
    ),
    Family(
        "The experiments: CIFAR-10 at 16 px, template 24",
        base="resnet20+template=24",
        size_px=16,
        classes=10,
        depths=(11, 20, 29, 38, 47),
        widths=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15, 18, 24, 32, 41, 48, 64),
        start=(20, 8, 5),
    ),
)


def explorer_data(families: tuple[Family, ...] = FAMILIES, results: Path = RESULTS) -> dict[str, Any]:
    """Everything that the page shows.

    Args:
        families: The networks to choose among.
        results: Folder of the result lines of the experiments.
    """
    return {"families": [family_data(one) for one in families], "studies": list(studies(results))}


def family_data(family: Family) -> dict[str, Any]:
    """The networks of one family.

    `networks[depth][cardinality][width]`, all by index, has the name and the costs as [parameters,
    multiply-adds]: of the whole, of the stem, of each stage and of the head, and of the ResNet with the
    nearest number of multiply-adds (`like`, which also has its name and its width).
    """
    blocks = {depth: _member(family, depth, 1, 1).blocks for depth in family.depths}
    space = DesignSpace(family.arch, frozenset({"width"}), family.size_px, cardinalities=(1,), widths=WIDE)
    parts = {(c, d): _counted(family, c, d) for c in family.cardinalities for d in family.widths}
    alike = {depth: replace(space, base=_member(family, depth, 1, 1)) for depth in family.depths}
    return {
        "title": family.title,
        "size_px": family.size_px,
        "start": family.start,
        "depths": family.depths,
        "blocks": list(blocks.values()),
        "cardinalities": family.cardinalities,
        "widths": family.widths,
        "maps_px": _maps_px(parts[family.cardinalities[0], family.widths[0]]),
        "stem": STEMS[family.arch.stem].text,
        "blocks_of": [
            [_block(family, c, d, parts[c, d]) for d in family.widths] for c in family.cardinalities
        ],
        "networks": [
            [
                [_network(family, depth, c, d, parts[c, d], alike[depth]) for d in family.widths]
                for c in family.cardinalities
            ]
            for depth in family.depths
        ],
    }


def studies(results: Path) -> Iterator[dict[str, Any]]:
    """The experiments with trained networks: error in percent and its interval, against cost.

    `confidence` is that of the intervals, in percent; `error` is mean, low and high.
    """
    ledger = Ledger.read(results)
    for experiment in EXPERIMENTS.values():
        for findings in judge(experiment, SCALE, ledger):
            points = [
                {
                    "arm": arm.name,
                    "model": arm.model,
                    "cost": [arm.params, arm.macs],
                    "error": [round(v, 6) for v in (ours.mean, ours.low, ours.high)],
                    "runs": ours.n,
                }
                for arm in findings.arms
                if (ours := arm.ours.get(ERROR)) is not None and arm.params is not None
            ]
            if len(points) > 1:
                yield {
                    "name": findings.experiment.replace("_", " "),
                    "setting": findings.setting,
                    "command": findings.command,
                    "confidence": round(100 * findings.confidence, 2),
                    "points": points,
                }


def _member(family: Family, depth: int, cardinality: int, width: int) -> Architecture:
    _, _, options = family.base.partition("+")
    name = f"resnext{depth}_{cardinality}x{width}d" + f"+{options}" * bool(options)
    stem = family.arch.stem
    if Architecture.from_name(name).stem != stem:  # a depth may imply another one
        name += f"+stem={stem}"
    return Architecture.from_name(name, family.classes)


def _counted(family: Family, cardinality: int, width: int) -> dict[str, PartCost]:
    """The parts of the network with two blocks a stage: the one that opens it, and one like all others."""
    arch = replace(family.arch, cardinality=cardinality, base_width=width)
    two = replace(arch, blocks=(2,) * len(arch.blocks))
    return {part.name: part for part in count_parts(two, family.size_px)}


def _maps_px(parts: dict[str, PartCost]) -> list[int]:
    """The sides of the maps: of the stem, then of each stage."""
    return [part.output[1] for name, part in parts.items() if name == "stem" or name.endswith(".1")]


def _block(family: Family, cardinality: int, width: int, parts: dict[str, PartCost]) -> dict[str, Any]:
    """What the drawings and the table say of the blocks: the channels of the first stage, the parameters of a
    block there that does not open it, and the layers of every stage."""
    arch = replace(family.arch, cardinality=cardinality, base_width=width)
    return {
        "out": arch.stages[0].out_channels,
        "inner": arch.stages[0].inner_channels,
        "params": parts["layer1.1"].cost.params,
        "layers": [block_layers(arch, stage) for stage in arch.stages],
    }


def _network(
    family: Family,
    depth: int,
    cardinality: int,
    width: int,
    parts: dict[str, PartCost],
    alike: DesignSpace,
) -> dict[str, Any]:
    arch = _member(family, depth, cardinality, width)
    stages = [
        sum_costs([parts[f"layer{s}.0"].cost, *[parts[f"layer{s}.1"].cost] * (blocks - 1)])
        for s, blocks in enumerate(arch.blocks, start=1)
    ]
    rows = [parts["stem"].cost, *stages, parts["head"].cost]
    whole = sum_costs(rows)
    (like,) = design_networks(alike, Budget(macs=whole.macs, tolerance=float("inf")), limit=1)
    return {
        "name": arch.name,
        "cost": [whole.params, whole.macs],
        "rows": [[row.params, row.macs] for row in rows],
        "like": [like.arch.name, like.arch.base_width, like.cost.params, like.cost.macs],
    }


def script() -> str:
    """The data as the script that the page loads: pages that are read as files cannot fetch JSON."""
    return f"const EXPLORER = {json.dumps(explorer_data(), separators=(',', ':'))};\n"


if __name__ == "__main__":
    print(script())
