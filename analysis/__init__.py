"""From the ledger to verdicts: summaries, comparisons, filter length, plots and the report. Never imports ray or torch."""

from analysis.compare import compare, welch
from analysis.filter_length import by_filter_length
from analysis.summary import mean_interval, summarise

__all__ = ["by_filter_length", "compare", "mean_interval", "summarise", "welch"]
