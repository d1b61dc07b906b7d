"""Which conditions may be the best of a series? A condition is left out only if another one beats it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import families
from analysis.studies.compare import tested
from analysis.study import Condition, Study


@dataclass(frozen=True, eq=False)
class Place:
    """A condition's place among those of its series.

    Attributes:
        beaten_by: the condition that beats it, None where none does; with the probability ``theta`` that a seed of that has the smaller error,
            and ``p_adjusted``, corrected over all pairs of all series.
        among: whether Hsu's weaker promise keeps it, "the best is among", one a series (:func:`analysis.statistics.families.among`).
    """

    condition: Condition
    beaten_by: Condition | None
    theta: float
    p_adjusted: float
    among: bool

    @property
    def dataset(self) -> str:
        return self.condition.dataset

    @property
    def may_be_best(self) -> bool:
        return self.beaten_by is None

    def row(self) -> dict[str, Any]:
        one, other = self.condition, self.beaten_by
        return {
            "dataset": one.dataset, "condition": one.label, "n": len(one.errors), "diverged": one.diverged, "median": one.median,
            "may_be_best": self.may_be_best, "beaten_by": other.label if other else None, "theta": self.theta, "p_adjusted": self.p_adjusted,
            "among": self.among,
        }  # fmt: skip


def may_be_best(study: Study) -> tuple[list[Place], int]:
    """The place of every condition, and how many tests there were: all pairs of every series, corrected over all of them together."""
    series = {name: conditions for name, conditions in study.series.items() if len(conditions) > 1}
    pairs = [pair for conditions in series.values() for pair in itertools.combinations(conditions, 2)]
    theta, p = tested(pairs)
    adjusted = families.adjust(p, study.rule.correction)
    places, at = [], 0
    for conditions in series.values():
        k = len(conditions)
        above = np.triu_indices(k, 1)
        here = slice(at, at + len(above[0]))
        wins, raw, corrected = np.full((k, k), 0.5), np.ones((k, k)), np.ones((k, k))
        wins[above], wins.T[above] = theta[here], 1 - theta[here]
        raw[above] = raw.T[above] = p[here]
        corrected[above] = corrected.T[above] = adjusted[here]
        by, kept = families.beaten(wins, corrected), families.among(wins, raw)
        for i, one in enumerate(conditions):
            j = int(by[i])
            theta_of, p_of = (float(wins[j, i]), float(corrected[j, i])) if j >= 0 else (np.nan, np.nan)
            places.append(Place(one, conditions[j] if j >= 0 else None, theta_of, p_of, bool(kept[i])))
        at += len(above[0])
    return places, len(pairs)


def wins_matrix(study: Study) -> pd.DataFrame:
    """Probability that a seed of the row's condition beats one of the column's (one series), by name: ``(k, k)``, 0.5 on the diagonal."""
    conditions = list(study)
    theta, _ = tested([(a, b) for a, b in itertools.combinations(conditions, 2)])
    matrix = np.full((len(conditions), len(conditions)), 0.5)
    above = np.triu_indices(len(conditions), 1)
    matrix[above], matrix.T[above] = theta, 1 - theta
    names = [one.name for one in conditions]
    return pd.DataFrame(matrix, index=names, columns=names)


def ranks(study: Study) -> tuple[pd.Series, float]:
    """Mean ranks of conditions, by their medians (diverged seeds last), over the series that have all of them, and Nemenyi's critical difference.

    Returns:
        Ranks by name without the series; empty for fewer than 2 series or 3 conditions.
    """
    medians = pd.DataFrame([{"dataset": one.dataset, "name": one.name, "median": one.level} for one in study])
    names = medians["name"].unique()
    table = medians.pivot_table(index="dataset", columns="name", values="median", sort=False).reindex(columns=names).dropna(axis=1)
    if table.shape[0] < 2 or table.shape[1] < 3:
        return pd.Series(dtype=float), np.nan
    return pd.Series(families.ranks_across(table.to_numpy(float)), index=table.columns), families.critical_difference(
        table.shape[1], table.shape[0]
    )
