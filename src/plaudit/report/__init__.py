"""The report of a run, from its event log to one page, and the doctor's look at it."""

from plaudit.report.summary import Summary
from plaudit.report.write import examine, write_report

__all__ = ["Summary", "examine", "write_report"]
