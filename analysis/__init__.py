"""From the ledger to verdicts: comparisons, filter length, seeds, memory, and the report. Never imports ray or torch at import time."""

from analysis.studies.best import may_be_best
from analysis.studies.compare import pairs_of
from analysis.studies.filter_length import by_filter_length
from analysis.studies.published import published
from analysis.studies.summary import summarise
from analysis.studies.verdicts import Verdicts, judge
from analysis.study import Condition, Study

__all__ = ["Condition", "Study", "Verdicts", "by_filter_length", "judge", "may_be_best", "pairs_of", "published", "summarise"]
