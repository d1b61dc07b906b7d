"""Which conditions may be the best of a series? A condition is left out only if another one beats it."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from analysis.statistics import families
from analysis.studies.compare import tested
from analysis.study import Study

COLUMNS = ["dataset", "condition", "n", "diverged", "median", "may_be_best", "beaten_by", "theta", "p_adjusted", "among"]


def may_be_best(study: Study, correction: str = "holm") -> tuple[pd.DataFrame, int]:
    """All pairs of every series, corrected over all of them together.

    Returns:
        A row a condition: ``may_be_best`` unless another one beats it, then ``beaten_by`` with its ``theta`` (the other's) and ``p_adjusted``; ``among``: whether
        Hsu's weaker promise keeps it, "the best is among", one a series (:func:`analysis.statistics.families.among`). And how many tests there were.
    """
    series = {name: conditions for name, conditions in study.series.items() if len(conditions) > 1}
    pairs = [pair for conditions in series.values() for pair in itertools.combinations(conditions, 2)]
    theta, p = tested(pairs)
    adjusted = families.adjust(p, correction)
    rows, at = [], 0
    for dataset, conditions in series.items():
        k = len(conditions)
        above = np.triu_indices(k, 1)
        here = slice(at, at + len(above[0]))
        wins, raw, corrected = np.full((k, k), 0.5), np.ones((k, k)), np.ones((k, k))
        wins[above], wins.T[above] = theta[here], 1 - theta[here]
        raw[above] = raw.T[above] = p[here]
        corrected[above] = corrected.T[above] = adjusted[here]
        by, kept = families.beaten(wins, corrected), families.among(wins, raw)
        for i, one in enumerate(conditions):
            other = conditions[by[i]].label if by[i] >= 0 else None
            rows.append(
                {
                    "dataset": dataset, "condition": one.label, "n": len(one.errors), "diverged": one.diverged, "median": one.median,
                    "may_be_best": other is None, "beaten_by": other, "theta": wins[by[i], i] if other else np.nan,
                    "p_adjusted": corrected[by[i], i] if other else np.nan, "among": bool(kept[i]),
                }
            )  # fmt: skip
        at += len(above[0])
    return pd.DataFrame(rows, columns=COLUMNS), len(pairs)


def wins_matrix(study: Study) -> pd.DataFrame:
    """Probability that a seed of the row's condition beats one of the column's (one series): ``(k, k)``, 0.5 on the diagonal."""
    conditions = list(study)
    theta, _ = tested([(a, b) for a, b in itertools.combinations(conditions, 2)])
    matrix = np.full((len(conditions), len(conditions)), 0.5)
    above = np.triu_indices(len(conditions), 1)
    matrix[above], matrix.T[above] = theta, 1 - theta
    labels = [one.label for one in conditions]
    return pd.DataFrame(matrix, index=labels, columns=labels)


def ranks(study: Study) -> tuple[pd.Series, float]:
    """Mean ranks of conditions, by their medians (diverged seeds last), over the series that have all of them, and Nemenyi's critical difference.

    Returns:
        Ranks by name without the series; empty for fewer than 2 series or 3 conditions.
    """
    medians = pd.DataFrame([{"dataset": one.dataset, "name": one.name, "median": one.median} for one in study])
    names = medians["name"].unique()
    table = medians.pivot_table(index="dataset", columns="name", values="median", sort=False).reindex(columns=names).dropna(axis=1)
    if table.shape[0] < 2 or table.shape[1] < 3:
        return pd.Series(dtype=float), np.nan
    return pd.Series(families.ranks_across(table.to_numpy(float)), index=table.columns), families.critical_difference(
        table.shape[1], table.shape[0]
    )
