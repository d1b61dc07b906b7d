"""Many conditions at once: corrections of p-values, omnibus tests, ranks across series, and the model confidence set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import stats
from statsmodels.stats.multitest import multipletests

from analysis.sample import finite
from analysis.two_samples import Outcome
from ltm.errors import UserError, unknown

CORRECTIONS = {"holm": "holm", "bh": "fdr_bh", "none": None}


def adjust(p: np.ndarray, method: str = "holm") -> np.ndarray:
    """p-values adjusted over their family: Holm (1979, family-wise error) or Benjamini and Hochberg (1995, false discovery rate).

    Args:
        p: shape ``(n,)``; NaN (no test) stays NaN and is not counted.
        method: ``holm``, ``bh`` or ``none``.
    """
    if method not in CORRECTIONS:
        raise unknown("correction", method, CORRECTIONS)
    adjusted = np.array(p, dtype=float)
    there = ~np.isnan(adjusted)
    if CORRECTIONS[method] and there.any():
        adjusted[there] = multipletests(adjusted[there], method=CORRECTIONS[method])[1]
    return adjusted


def kruskal_wallis(groups: Sequence[np.ndarray]) -> Outcome:
    """Kruskal and Wallis (1952), by scipy. Null hypothesis: all samples come from one distribution. Estimate: epsilon squared."""
    groups = [finite(group, 1) for group in groups]
    if len(groups) < 2 or np.ptp(np.concatenate(groups)) == 0:
        return Outcome(np.nan)
    found = stats.kruskal(*groups)
    n = sum(map(len, groups))
    share = float(found.statistic) / (n - 1)
    return Outcome(share, statistic=float(found.statistic), dof=len(groups) - 1, p=float(found.pvalue))


def ranks_across(table: np.ndarray) -> np.ndarray:
    """Mean rank of every column over rows, ties averaged, 1 the best (smallest): ``(blocks, k)`` to ``(k,)``."""
    return stats.rankdata(table, axis=1).mean(0)


def friedman(table: np.ndarray) -> Outcome:
    """Friedman's test (1937), by scipy. Null hypothesis: the k columns rank alike over the blocks (series).

    Args:
        table: a mean error for each block and condition, ``(blocks, k)``, k of at least 3. Estimate: Kendall's W.
    """
    blocks, k = np.shape(table)
    if blocks < 2 or k < 3:
        return Outcome(np.nan)
    found = stats.friedmanchisquare(*np.transpose(table))
    return Outcome(float(found.statistic) / (blocks * (k - 1)), statistic=float(found.statistic), dof=k - 1, p=float(found.pvalue))


def critical_difference(k: int, blocks: int, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of mean ranks (Demsar 2006): k conditions over this many series."""
    return float(stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * blocks)))


def model_confidence_set(
    groups: Mapping[str, np.ndarray], rng: np.random.Generator, paired: bool = False, resamples: int = 1000
) -> pd.Series:
    """Model confidence set of Hansen, Lunde and Nason (2011), statistic T_R (all pairs), bootstrapped over seeds.

    Null hypothesis of each step: the conditions still in have the same mean error; if it is rejected the worst is dropped.
    The conditions whose p is above alpha contain the best with probability 1 - alpha: it is corrected for the selection.

    Args:
        groups: errors by condition; counts may differ unless ``paired``.
        paired: seeds share data or noise: whole seeds are resampled.

    Returns:
        p-value of every condition, by label, in the order given.
    """
    names, values = list(groups), [finite(group, 2) for group in groups.values()]
    if len({len(value) for value in values}) > 1 and paired:
        raise UserError("a paired model confidence set needs the same seeds in every condition.")
    means = np.array([value.mean() for value in values])
    drawn = np.empty((resamples, len(values)))
    pick = rng.integers(len(values[0]), size=(resamples, len(values[0]))) if paired and values else None
    for j, value in enumerate(values):
        index = pick if pick is not None else rng.integers(len(value), size=(resamples, len(value)))
        drawn[:, j] = (value - means[j])[index].mean(1)

    def over(i: int, others: list[int]) -> tuple[np.ndarray, np.ndarray]:
        """t of condition i against others, observed ``(m,)`` and resampled ``(resamples, m)``."""
        star = drawn[:, [i]] - drawn[:, others]
        error = np.sqrt((star**2).mean(0))
        gap = means[i] - means[others]
        there = error > 0
        t = np.where(there, gap / np.where(there, error, 1), np.where(gap == 0, 0.0, np.copysign(np.inf, gap)))
        return np.asarray(t), np.asarray(star / np.where(there, error, np.inf))

    everyone = list(range(len(values)))
    observed = np.stack([over(i, everyone)[0] for i in everyone]) if values else np.zeros((0, 0))
    order, left = [], everyone.copy()
    while len(left) > 1:  # the worst of those left does not depend on the resamples
        worst = int(np.argmax(observed[np.ix_(left, left)].max(1)))
        order.append((left[worst], float(observed[left[worst], left].max())))
        del left[worst]
    p, largest, inside = np.ones(len(values)), np.zeros(resamples), left
    steps: list[tuple[int, float]] = []
    for i, statistic in reversed(order):  # so the maxima over pairs grow by one condition at a time
        largest = np.maximum(largest, np.abs(over(i, inside)[1]).max(1))
        steps.append((i, float((statistic <= largest).mean()) if np.isfinite(statistic) else 0.0))
        inside = [*inside, i]
    smallest = 0.0  # a condition's p is at least that of every one dropped before it
    for i, share in reversed(steps):
        smallest = max(smallest, share)
        p[i] = smallest
    return pd.Series(p, index=names, name="p")
