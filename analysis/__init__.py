"""From seeds to verdicts: comparisons, filter length, seeds, memory, and the report. Never imports ray or torch at import time.

What is public is loaded when it is first used, so that ``import analysis`` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from analysis.columns import Columns
    from analysis.seeds import Recommendation, compare, recommend, report, study_of, summarise
    from analysis.studies.best import may_be_best
    from analysis.studies.compare import Comparison, pairs_of
    from analysis.studies.filter_length import by_filter_length
    from analysis.studies.published import published
    from analysis.studies.verdicts import Verdicts, judge
    from analysis.study import Condition, Rule, Study
    from analysis.table import frame

_HOME = {
    **dict.fromkeys(("Condition", "Rule", "Study"), "analysis.study"),
    **dict.fromkeys(("Recommendation", "compare", "recommend", "report", "study_of", "summarise"), "analysis.seeds"),
    **dict.fromkeys(("Verdicts", "judge"), "analysis.studies.verdicts"),
    **dict.fromkeys(("Comparison", "pairs_of"), "analysis.studies.compare"),
    "Columns": "analysis.columns", "by_filter_length": "analysis.studies.filter_length", "frame": "analysis.table",
    "may_be_best": "analysis.studies.best", "published": "analysis.studies.published",
}  # fmt: skip

__all__ = [
    "Columns", "Comparison", "Condition", "Recommendation", "Rule", "Study", "Verdicts", "by_filter_length", "compare", "frame", "judge", "may_be_best",
    "pairs_of", "published", "recommend", "report", "study_of", "summarise",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'analysis' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOME[name]), name)
