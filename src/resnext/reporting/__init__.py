"""What came out of runs, for people: one HTML file that needs no network."""

from resnext.reporting.page import write_report

__all__ = ["write_report"]
