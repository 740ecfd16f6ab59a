"""Reports for people: of runs, and of what is wrong with data, one HTML file that needs no network; of
designed networks, a plot."""

from resnext.reporting.comparison import Comparison, compare
from resnext.reporting.data_page import training_command, write_data_page
from resnext.reporting.design_plot import write_design_plot
from resnext.reporting.report import write_report

__all__ = [
    "Comparison",
    "compare",
    "training_command",
    "write_data_page",
    "write_design_plot",
    "write_report",
]
