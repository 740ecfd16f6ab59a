"""Networks described, drawn, and designed for a budget.

>>> import resnext
>>> resnext.design.describe("resnext50_32x4d").cost.params
25028904
"""

from resnext.design.budget import Budget, Design, DesignError
from resnext.design.description import Description, StageRow, describe
from resnext.design.drawing import draw_block
from resnext.design.engine_meter import EngineMeter
from resnext.design.latency import LatencyMeter
from resnext.design.search import design_networks, sample_networks, time_designs
from resnext.design.space import DesignSpace, Dimension

__all__ = [
    "Budget",
    "Description",
    "Design",
    "DesignError",
    "DesignSpace",
    "Dimension",
    "EngineMeter",
    "LatencyMeter",
    "StageRow",
    "describe",
    "design_networks",
    "draw_block",
    "sample_networks",
    "time_designs",
]
