"""The cost of a network as cells of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from resnext.cost import Cost

COST_COLUMNS = ("parameters", "multiply-adds (M)", "activations (M)", "traffic (MB)")


def cost_cells(cost: Cost) -> tuple[str, str, str, str]:
    """`cost` for `COST_COLUMNS`."""
    return (
        f"{cost.params:,}",
        f"{cost.macs / 1e6:,.1f}",
        f"{cost.activations / 1e6:.2f}",
        f"{cost.bytes / 1e6:,.1f}",
    )
