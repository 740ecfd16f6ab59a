"""What came out, for people: of runs, one HTML file that needs no network; of designs, a plot."""

from resnext.reporting.page import write_design_plot, write_report

__all__ = ["write_design_plot", "write_report"]
