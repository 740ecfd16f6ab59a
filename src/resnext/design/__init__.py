"""Networks described, drawn, and solved for a budget."""

from resnext.design.describe import Description, describe
from resnext.design.drawing import draw_block
from resnext.design.latency import Clock
from resnext.design.solve import Budget, Design, DesignError, design_networks, sample_networks, time_designs
from resnext.design.space import Dimension, Space

__all__ = [
    "Budget",
    "Clock",
    "Description",
    "Design",
    "DesignError",
    "Dimension",
    "Space",
    "describe",
    "design_networks",
    "draw_block",
    "sample_networks",
    "time_designs",
]
