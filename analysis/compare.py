"""Comparisons of conditions: does one recurrent cell really beat another?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.summary import finished
from ltm.errors import UserError, unknown

BASELINES = ("rnn", "lstm")

COLUMNS = ["dataset", "a", "b", "n_a", "n_b", "difference", "low", "high", "t", "dof", "p", "p_holm"]


def welch(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """Welch's two-sample t-test (1947). Null hypothesis: both have the same mean; variances may differ.

    Args:
        a, b: independent samples, shapes ``(n,)`` and ``(m,)``, each of at least two values.

    Returns:
        ``difference`` of the means (a - b), its interval ``low``, ``high``, ``t``, ``dof`` and the two-sided ``p``;
        all but the difference NaN where a sample is smaller than two or both are constant.
    """
    out = {"difference": float(np.mean(a) - np.mean(b)) if len(a) and len(b) else np.nan}
    missing = dict.fromkeys(("low", "high", "t", "dof", "p"), np.nan)
    if min(len(a), len(b)) < 2 or (np.ptp(a) == 0 and np.ptp(b) == 0):
        return out | missing
    result = stats.ttest_ind(a, b, equal_var=False)
    interval = result.confidence_interval(confidence)
    return out | {
        "low": float(interval.low), "high": float(interval.high),
        "t": float(result.statistic), "dof": float(result.df), "p": float(result.pvalue),
    }  # fmt: skip


def holm(p: np.ndarray) -> np.ndarray:
    """Holm's step-down adjustment (1979) of the p-values that are there; NaN stays NaN."""
    adjusted = np.full(len(p), np.nan)
    there = ~np.isnan(p)
    if there.any():
        adjusted[there] = multipletests(p[there], method="holm")[1]
    return adjusted


def against_baselines(runs: pd.DataFrame, metric: str = "test_rmse", baselines: tuple[str, ...] = BASELINES) -> pd.DataFrame:
    """Welch's test of every condition against RNN and LSTM on the same series, each pair once; Holm over all tests of the table."""
    rows: list[dict[str, object]] = []
    seen: set[frozenset[str]] = set()
    for dataset, group in runs.groupby("dataset", sort=False):
        for a in group["condition"].unique():
            for b in group.loc[group["model"].isin(baselines), "condition"].unique():
                if a != b and frozenset((a, b)) not in seen:
                    seen.add(frozenset((a, b)))
                    rows.append({"dataset": dataset, **pair(group, a, b, metric)})
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return table.assign(p_holm=holm(table["p"].to_numpy(float)))


def pair(runs: pd.DataFrame, a: str, b: str, metric: str) -> dict[str, object]:
    """Welch's test of two conditions by label."""
    first, second = (finished(runs[runs["condition"] == name], metric).to_numpy(float) for name in (a, b))
    return {"a": a, "b": b, "n_a": len(first), "n_b": len(second), **welch(first, second)}


def compare(runs: pd.DataFrame, a: str, b: str, metric: str = "test_rmse") -> pd.DataFrame:
    """Compare two models (``mrnn``) or two conditions (``mrnn K=100 / tree``) on every series both were trained on.

    Holm over the rows of the table.

    Raises:
        UserError: an unknown name (the known are listed), or no series in common.
    """
    for name in (a, b):
        if name not in {*runs["model"], *runs["condition"]}:
            raise unknown("model or condition", name, {*runs["model"], *runs["condition"]})
    rows = []
    for dataset, group in runs.groupby("dataset", sort=False):
        labels = [group.loc[(group["model"] == name) | (group["condition"] == name), "condition"].unique() for name in (a, b)]
        rows += [{"dataset": dataset, **pair(group, x, y, metric)} for x in labels[0] for y in labels[1] if x != y]
    if not rows:
        raise UserError(f"'{a}' and '{b}' share no series in this study; nothing can be compared.")
    table = pd.DataFrame(rows, columns=COLUMNS[:-1])
    return table.assign(p_holm=holm(table["p"].to_numpy(float)))
