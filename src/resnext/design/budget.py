"""What a network may cost, and a network that was found for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from resnext.arch import Architecture
from resnext.cost import Cost
from resnext.errors import ResnextError


class DesignError(ResnextError):
    """A budget that no member of the space meets; the message names the nearest."""

    exit_code = 4


@dataclass(frozen=True)
class Budget:
    """What a network may cost. None leaves a measure free.

    Args:
        params: Trainable values.
        macs: Multiply-adds of one image.
        activations: Output values of convolutions for one image.
        block_params: Parameters of a block of the first stage. As in the paper's table 2, the nearest width
            is taken for each cardinality, whatever the tolerance.
        latency_ms: Median time on this machine of one call of a `LatencyMeter`, in milliseconds.
        tolerance: Largest share by which a target may be missed.
        latency_tolerance: The same for the time; two measurements of one network differ by several percent.

    >>> Budget(params=25_000_000, macs=4_200_000_000).tolerance
    0.03
    """

    params: int | None = None
    macs: int | None = None
    activations: int | None = None
    block_params: int | None = None
    latency_ms: float | None = None
    tolerance: float = 0.03
    latency_tolerance: float = 0.06


@dataclass(frozen=True)
class Design:
    """A network that misses a budget by the share `deviation`; `latency_ms` if it was timed."""

    arch: Architecture
    cost: Cost
    deviation: float
    latency_ms: float | None = None


def no_design(nearest: Sequence[Design]) -> DesignError:
    """The error that names the `nearest` networks and what they cost."""
    return DesignError("nothing meets the budget; nearest:", *map(_line, nearest))


def _line(design: Design) -> str:
    cost = design.cost
    measures = [
        f"{cost.params / 1e6:.2f} M parameters",
        f"{cost.macs / 1e6:,.0f} M multiply-adds",
        f"{cost.activations / 1e6:.2f} M activations",
    ]
    if design.latency_ms is not None:
        measures.append(f"{design.latency_ms:.2f} ms")
    return f"  {design.arch.name}: {', '.join(measures)}"
