"""The claims of a report, judged together. Two families, each Holm's at 0.05 over all series of the study: what a condition, a filter length or a
forecast without a network is held against, and who may be the best."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import families, wins
from analysis.studies import baselines, best, compare, filter_length
from analysis.studies.compare import MARGIN, Pair
from analysis.study import Study

ALPHA = families.ALPHA

DISAGREE = {"better": "worse on average, better in most seeds", "worse": "better on average, worse in most seeds"}
"""What is said where the typical seed and the mean point in opposite directions, both of them shown; by the typical seed's verdict."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Every claim with its corrected p and its verdict.

    Attributes:
        comparisons: a row a pair: :class:`analysis.studies.compare.Comparison`, ``p_adjusted``, ``p_no_worse_adjusted``, ``p_equivalent_adjusted``,
            ``verdict``: better, worse, one of :data:`DISAGREE`, equivalent, no worse, too few seeds, undecided.
        shares: a row a condition against the best baseline of its series: :func:`analysis.studies.baselines.against`, ``p_adjusted``, ``verdict``.
        trends: a row a model and series whose K varies: :func:`analysis.studies.filter_length.trends`, ``p_adjusted``, ``recommended``, ``p_recommended``.
        lengths: a row a K of these: ``p``, ``p_adjusted`` of no worse than every other.
        best: a row a condition: :func:`analysis.studies.best.may_be_best`.
        tests, best_tests: how many p-values are in either family.
    """

    comparisons: pd.DataFrame
    shares: pd.DataFrame
    trends: pd.DataFrame
    lengths: pd.DataFrame
    best: pd.DataFrame
    tests: int
    best_tests: int
    correction: str
    margin: float

    @cached_property
    def needed(self) -> int:
        """Seeds of each condition from which a verdict is possible among so many tests."""
        return families.least_seeds(self.tests if self.correction == "holm" else 1)

    @cached_property
    def needed_best(self) -> int:
        return families.least_seeds(self.best_tests if self.correction == "holm" else 1)


def judge(
    study: Study, held: pd.DataFrame | None = None, pairs: Iterable[Pair] | None = None, correction: str = "holm", margin: float = MARGIN,
    whole: bool = True,
) -> Verdicts:  # fmt: skip
    """Judge the claims of a study.

    Args:
        held: baselines of its series (:meth:`sweeps.ledger.Ledger.baselines`).
        pairs: which conditions to compare; every one against RNN and LSTM where None.
        correction: a key of :data:`analysis.statistics.families.CORRECTIONS`.
        margin: of "no worse", in per cent of an error.
        whole: whether to ask about filter lengths and the best, too.
    """
    comparisons = compare.table(compare.pairs_against(study) if pairs is None else pairs, margin)
    shares = baselines.against(study, baselines.NONE if held is None else held)
    nothing = study.only([])
    trends, lengths = filter_length.trends(study if whole else nothing), filter_length.no_worse_lengths(study if whole else nothing, margin)
    tables = [(comparisons, "p"), (comparisons, "p_no_worse"), (shares, "p"), (trends, "p"), (lengths, "p")]
    family = np.concatenate([table[column].to_numpy(float) for table, column in tables])
    tests = int((~np.isnan(family)).sum())
    n, either = len(comparisons), np.full(len(family), np.nan)
    either[n : 2 * n] = comparisons["p_equivalent"]  # asked only where "no worse" is shown
    adjusted, in_turn = families.adjust_in_turn(family, either, correction)
    first, second, third, fourth, fifth = np.split(adjusted, np.cumsum([len(table) for table, _ in tables])[:-1])
    factor = tests if correction == "holm" else 1
    comparisons = comparisons.assign(p_adjusted=first, p_no_worse_adjusted=second, p_equivalent_adjusted=in_turn[n : 2 * n])
    comparisons["verdict"] = [verdict(row, factor) for row in comparisons.to_dict("records")]
    shares = shares.assign(p_adjusted=third)
    shares["verdict"] = [baselines.verdict(row["share"], row["p_adjusted"], row["n"], factor) for row in shares.to_dict("records")]
    lengths = lengths.assign(p_adjusted=fifth)
    trends = with_recommendations(trends.assign(p_adjusted=fourth), lengths)
    candidates, best_tests = best.may_be_best(study if whole else nothing, correction)
    return Verdicts(comparisons, shares, trends, lengths, candidates, tests, best_tests, correction, margin)


def verdict(row: Mapping[Hashable, Any], tests: int, alpha: float = ALPHA) -> str:
    """The verdict on a row of :attr:`Verdicts.comparisons`; corrected p-values against alpha."""
    if row["p_adjusted"] < alpha:
        side = "better" if row["theta"] > 0.5 else "worse"
        mean = row["mean_difference"]
        shown = row["mean_low"] > 0 or row["mean_high"] < 0
        return DISAGREE[side] if shown and (mean > 0) == (side == "better") else side
    if row["p_equivalent_adjusted"] < alpha:
        return "equivalent"
    if row["p_no_worse_adjusted"] < alpha:
        return "no worse"
    return "too few seeds" if wins.floor(int(row["n_a"]), int(row["n_b"])) * tests >= alpha else "undecided"


def with_recommendations(trends: pd.DataFrame, lengths: pd.DataFrame) -> pd.DataFrame:
    """Trends with the ``recommended`` K of each and its ``p_recommended``."""
    found = []
    for row in trends.to_dict("records"):
        mine = lengths[(lengths["dataset"] == row["dataset"]) & (lengths["model"] == row["model"])]
        found.append(filter_length.recommended(mine))
    return trends.assign(
        recommended=pd.array([K for K, _ in found], dtype="Int64"), p_recommended=np.array([p for _, p in found], dtype=float)
    )
