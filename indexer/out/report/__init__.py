"""Reports for people who were not there: one folder that opens offline in any browser and prints well."""

from indexer.out.report.html import ReportConfig, write_report

__all__ = ["ReportConfig", "write_report"]
