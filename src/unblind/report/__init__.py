"""From finished folders to one self-contained HTML page; never loads a model."""

from unblind.report.page import write_report

__all__ = ["write_report"]
