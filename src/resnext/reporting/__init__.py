"""What came out, for people: of runs, one HTML file that needs no network; of experiments, a page; of
designs, a plot."""

from resnext.reporting.claims_page import write_findings
from resnext.reporting.comparison import Comparison, compare
from resnext.reporting.page import write_report
from resnext.reporting.plots import write_design_plot

__all__ = ["Comparison", "compare", "write_design_plot", "write_findings", "write_report"]
