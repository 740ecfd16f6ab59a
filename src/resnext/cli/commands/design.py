"""`resnext design`."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from tyro.conf import FlagCreatePairsOff

import resnext
from resnext.arch import Architecture
from resnext.cli.build_progress import BuildProgress
from resnext.cli.command import Command
from resnext.cli.costs import COST_COLUMNS, cost_cells
from resnext.cli.option_checks import check_folder, check_not_negative, check_positive, check_suffix
from resnext.cli.screen import say, say_text
from resnext.errors import UsageError

if TYPE_CHECKING:
    from resnext.design import Budget, Design, DesignSpace, LatencyMeter

#: The network that gives what does not vary, unless --base or --like names another.
BASE = "resnext50_32x4d"
#: Cardinalities of --like, unless --cardinality lists others: those of the paper, and 64.
LIKE_CARDINALITIES = (1, 2, 4, 8, 16, 32, 64)
#: Change of the machine's speed while networks were timed that is reported.
NOTABLE_DRIFT = 0.1
UNITS = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}


@dataclass(frozen=True)
class DesignCommand(Command):
    """Find networks for a budget: --like NAME, or --params, --macs, --activations, --latency-ms."""

    name: ClassVar[str] = "design"

    like: str | None = None
    """Keep the parameters of this network's stage-1 block, with the nearest width for each cardinality."""
    base: str | None = None
    """Network that gives what does not vary; resnext50_32x4d, or that of --like, if left out."""
    vary: tuple[Literal["cardinality", "width", "depth"], ...] = ("cardinality", "width")
    """What may vary: cardinality (1 to 64), width of a path (to 128, with --like to 2048), depth (to 200)."""
    cardinality: tuple[int, ...] = ()
    """Only these cardinalities."""
    params: str | None = None
    """Parameters to aim at, such as 25M."""
    macs: str | None = None
    """Multiply-adds of an image to aim at, such as 4.2G."""
    activations: str | None = None
    """Outputs of convolutions for an image to aim at, such as 14M."""
    latency_ms: float | None = None
    """Time on this machine to aim at, in milliseconds."""
    tolerance: float = 0.03
    """Largest share that a target may be missed by; a time by 6 % at most."""
    batch: int = 1
    """Images that are timed together."""
    engine: Literal["torch", "onnx", "onnx-int8", "openvino", "openvino-int8"] = "torch"
    """What computes what is timed. Building networks for others than torch takes minutes; times of blocks are
    kept."""
    classes: int = 1000
    """Number of classes of the networks."""
    size_px: int | None = None
    """Side of the images; 224, or 32 with the CIFAR stem, if left out."""
    limit: int = 10
    """Most rows to show; with --like all."""
    sample: int | None = None
    """Instead of the nearest, draw this many random networks that cost no more."""
    seed: int = 0
    """Seed of --sample."""
    time: Annotated[bool, FlagCreatePairsOff] = False
    """Measure the time of each network shown."""
    plot: Path | None = None
    """Draw time against cost, coloured by cardinality, into this .svg file."""
    json: Annotated[bool, FlagCreatePairsOff] = False
    """As JSON."""

    @property
    def memory_hint(self) -> str:
        return "try a smaller --batch"

    def run(self) -> None:
        from resnext.design import DesignSpace

        self._check()
        base = Architecture.from_name(self.like or self.base or BASE, self.classes)
        budget = self._budget(base)
        cardinalities = self.cardinality or (LIKE_CARDINALITIES if self.like else None)
        space = DesignSpace(base, frozenset(self.vary), self.size_px, cardinalities)
        with BuildProgress(f"timing in {self.engine}") as progress:
            meter = resnext.latency_meter(
                base, self.engine, size_px=self.size_px, images=self.batch, progress=progress.show
            )
            found = self._found(space, budget, meter)
        self._show(found)

    def _found(self, space: DesignSpace, budget: Budget, meter: LatencyMeter) -> list[Design]:
        try:
            return self._find(space, budget, meter)
        finally:  # where nothing was found, this may be why
            if meter.drift > NOTABLE_DRIFT:
                change = f"{100 * meter.drift:.0f} %"
                say(
                    f"the machine's speed changed by {change} meanwhile; times are as at the start",
                    file=sys.stderr,
                )

    def _check(self) -> None:
        check_positive(self, "classes", "size_px", "batch", "limit", "sample")
        check_not_negative(self, "seed", "tolerance")
        check_suffix("--plot", self.plot, [".svg"])
        check_folder("--plot", self.plot)
        targets = ("params", "macs", "activations", "latency_ms")
        given = [name for name in targets if getattr(self, name) is not None]
        if self.latency_ms is not None and not 0 < self.latency_ms < math.inf:
            raise UsageError(f"--latency-ms {self.latency_ms}: a time in milliseconds, above 0")
        if self.like is not None and self.base is not None:
            raise UsageError("--like says what does not vary too; leave out --base")
        if not given and self.like is None:
            raise UsageError("design needs a budget: --like, --params, --macs, --activations or --latency-ms")
        if given and self.like is not None:
            raise UsageError(f"--like sets the budget; leave out --{given[0].replace('_', '-')}")
        if self.sample is not None and (self.like is not None or self.latency_ms is not None):
            raise UsageError("--sample draws under --params, --macs and --activations only")
        if self.engine != "torch" and not self._times:
            raise UsageError(f"--engine {self.engine}: nothing is timed; add --latency-ms, --time or --plot")

    @property
    def _times(self) -> bool:
        """Whether networks are timed."""
        return self.time or self.plot is not None or self.latency_ms is not None

    def _budget(self, base: Architecture) -> Budget:
        from resnext.design import Budget, DesignSpace

        for cardinality in self.cardinality:
            replace(base, cardinality=cardinality)  # raises where the network cannot have it
        if self.like is not None:
            own = DesignSpace(base, frozenset(), self.size_px)
            return Budget(block_params=int(own.block_params[0]))
        return Budget(
            params=parse_count("--params", self.params),
            macs=parse_count("--macs", self.macs),
            activations=parse_count("--activations", self.activations),
            latency_ms=self.latency_ms,
            tolerance=self.tolerance,
        )

    def _find(self, space: DesignSpace, budget: Budget, meter: LatencyMeter) -> list[Design]:
        if self.sample is not None:
            found = resnext.design.sample_networks(space, budget, self.sample, self.seed)
        else:
            found = resnext.design.design_networks(space, budget, self.limit, meter)
        # A search by latency has timed them already.
        if self._times and self.latency_ms is None:
            return resnext.design.time_designs(found, meter)
        return found

    def _show(self, found: Sequence[Design]) -> None:
        if self.plot is not None:
            write_plot(found, self.plot)
        if self.json:
            say_text(json.dumps([to_json(design) for design in found], indent=2))
        else:
            print_designs(found, with_deviation=self.sample is None)


def parse_count(option: str, text: str | None) -> int | None:
    """The number that `text` means; None if there is no text.

    Raises:
        UsageError: If it is no number above 0.

    >>> parse_count("--params", "25M"), parse_count("--macs", "4.2G")
    (25000000, 4200000000)
    """
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)", text)
    if match is None or float(match[1]) == 0:
        raise UsageError(f"{option} {text}: say a number such as 25M, 4.2G or 25028904")
    return round(float(match[1]) * UNITS[match[2]])


def to_json(design: Design) -> dict[str, object]:
    """A network with its cost, as `--json` prints it."""
    row = {"name": design.arch.name, "deviation": design.deviation, "latency_ms": design.latency_ms}
    return row | asdict(design.cost)


def write_plot(found: Sequence[Design], path: Path) -> None:
    """Draw time against cost, coloured by cardinality."""
    from resnext.reporting.design_plot import write_design_plot

    write_design_plot(
        names=[design.arch.name for design in found],
        macs=[design.cost.macs for design in found],
        ms=[design.latency_ms or 0.0 for design in found],
        cardinality=[design.arch.cardinality for design in found],
        out=path,
    )


def print_designs(found: Sequence[Design], with_deviation: bool) -> None:
    """Print a row for each network, by the name that `train --model` takes."""
    from resnext.cli.output import number_table, print_table

    timed = any(design.latency_ms is not None for design in found)
    table = number_table(["network"], [*COST_COLUMNS, "off", *["ms"] * timed])
    table.columns[0].no_wrap = True
    for design in found:
        off = f"{100 * design.deviation:.2f} %" if with_deviation else ""
        ms = [] if design.latency_ms is None else [f"{design.latency_ms:.2f}"]
        table.add_row(design.arch.name, *cost_cells(design.cost), off, *ms)
    print_table(table)
