"""The report of a benchmark: Markdown, one HTML page, and pictures, from rows of results.

It computes no features and runs no model. Start reading in ``page``; ``section`` says which scores
are shown, ``inputs`` what may lie beside the results.
"""

from dawnchorus.benchmark.report.page import ReportFiles, benchmark_report

__all__ = ["ReportFiles", "benchmark_report"]
