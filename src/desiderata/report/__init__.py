"""The report: one HTML file that says what a classifier asked for, what came back, and what it was worth."""

from desiderata.report.data import Asked, Confusion, Curve, FeatureMap, Report
from desiderata.report.page import write_report

__all__ = ["Asked", "Confusion", "Curve", "FeatureMap", "Report", "write_report"]
