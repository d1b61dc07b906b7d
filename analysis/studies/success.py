"""Which seeds succeed, and after how many sequences? By a task's own criterion, where the ledger has it, else by their accuracy; or of anybody's table
of either."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from analysis.columns import finite
from analysis.statistics.success.shares import wilson
from analysis.statistics.success.survival import kaplan_meier
from analysis.study import Rule, Study

SUCCESS, SEQUENCES, ACCURACY = "test_success", "test_sequences", "test_accuracy"

LEARNED = 0.95
"""Test accuracy above which a seed succeeds where its study names no criterion (``training.until``): two classes by chance have 0.5."""


def by_accuracy(runs: pd.DataFrame) -> bool:
    """Whether success is that of :data:`LEARNED`: no criterion is known, and by this one some seeds succeed and some do not."""
    if ACCURACY not in runs or (SUCCESS in runs and runs[SUCCESS].notna().any()):
        return False
    return 0 < int((runs[ACCURACY] > LEARNED).sum()) < len(runs)


def studies(runs: pd.DataFrame, study: Study) -> tuple[Study | None, Study | None]:
    """The study of the seeds' success, and of the sequences that they read until then; None where nothing is known of it.

    Args:
        study: judged by any metric; one that is judged by either stays as it is.
    """
    kind = study.rule.what.kind
    if kind in ("success", "time") and study.metric not in runs:
        return (study, None) if kind == "success" else (None, study)
    if by_accuracy(runs):
        runs = runs.assign(**{SUCCESS: (runs[ACCURACY] > LEARNED).astype(float).where(runs[ACCURACY].notna())})
    return by(runs, study.rule, SUCCESS), by(runs, study.rule, SEQUENCES)


def by(runs: pd.DataFrame, rule: Rule, metric: str) -> Study | None:
    if metric not in runs or not finite(runs[metric]).any():
        return None
    return Study.of(runs, replace(rule, metric=metric, higher_is_better=None))


def summarise(success: Study | None, sequences: Study | None) -> pd.DataFrame:
    """A row a condition.

    Returns:
        ``dataset, name, condition, seeds``; where success is known ``succeeded`` and their ``share`` with Wilson's 95 % interval (``low, high``); where the
        sequences are, ``median`` by Kaplan and Meier with its 95 % interval (``median_low, median_high``), infinite where it was not reached.
    """
    found: dict[str, dict[str, object]] = {}
    for one in success or ():
        share = wilson(int(-one.errors.sum()), len(one.errors))
        told = {"succeeded": int(-one.errors.sum()), "share": share.estimate, "low": share.low, "high": share.high}
        found[one.label] = {"dataset": one.dataset, "name": one.name, "condition": one.label, "seeds": len(one.errors), **told}
    for one in sequences or ():
        row = found.setdefault(one.label, {"dataset": one.dataset, "name": one.name, "condition": one.label, "seeds": len(one.errors)})
        median = kaplan_meier(one.errors).median
        share = wilson(len(one.finished), len(one.errors))
        if success is None:
            row |= {"succeeded": len(one.finished), "share": share.estimate, "low": share.low, "high": share.high}
        row |= {"median": median.estimate, "median_low": median.low, "median_high": median.high}
    return pd.DataFrame(list(found.values()))
