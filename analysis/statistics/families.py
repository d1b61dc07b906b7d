"""Many tests at once: their correction, the seeds that it takes, who may be the best, and ranks across series."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from analysis.statistics import Outcome
from ltm.errors import unknown

CORRECTIONS = {"holm": "Holm", "bh": "Benjamini and Hochberg", "none": "uncorrected"}
ALPHA = 0.05


def adjust(p: np.ndarray, method: str = "holm") -> np.ndarray:
    """p-values adjusted over their family: Holm (1979, family-wise error) or Benjamini and Hochberg (1995, false discovery rate).

    Args:
        p: shape ``(n,)``; NaN (no test) stays NaN and is not counted.
        method: ``holm``, ``bh`` or ``none``.
    """
    if method not in CORRECTIONS:
        raise unknown("correction", method, CORRECTIONS)
    adjusted = np.array(p, dtype=float)
    there = np.flatnonzero(~np.isnan(adjusted))
    if method == "none" or not len(there):
        return adjusted
    if method == "bh":
        adjusted[there] = stats.false_discovery_control(adjusted[there])
        return adjusted
    order = there[np.argsort(adjusted[there], kind="stable")]
    steps = adjusted[order] * (len(order) - np.arange(len(order)))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def adjust_in_turn(p: np.ndarray, then: np.ndarray, method: str = "holm") -> tuple[np.ndarray, np.ndarray]:
    """p-values adjusted over their family, some with a second test that is asked only once the first has rejected, with the same share of the error.

    By Holm's rule a test with a second one leaves the family only when both have rejected, so the family-wise error holds for all of them (a
    gatekeeping graph of Bretz et al. 2009). The other methods ask a family in which the larger of both p stands for them.

    Args:
        p: of the first tests, ``(n,)``; NaN where there is none.
        then: of the second ones; NaN where there is none.

    Returns:
        Both, adjusted; NaN where there is no test.
    """
    if method != "holm":
        return adjust(p, method), np.where(np.isnan(then), np.nan, adjust(np.where(np.isnan(then), p, np.maximum(p, then)), method))
    first, second = np.full(len(p), np.nan), np.full(len(p), np.nan)
    waiting = [(value, i, False) for i, value in enumerate(p) if not np.isnan(value)]
    heapq.heapify(waiting)
    left, least = len(waiting), 0.0
    while waiting:
        value, i, again = heapq.heappop(waiting)
        least = max(least, min(left * value, 1.0))
        (second if again else first)[i] = least
        if again or np.isnan(then[i]):
            left -= 1
        else:
            heapq.heappush(waiting, (float(then[i]), i, True))
    return first, second


def least_seeds(tests: int, sides: int = 2, alpha: float = ALPHA) -> int:
    """Seeds of the smaller sample from which a verdict is possible among so many tests: no right p is below 2^(1 - seeds), or half of it one-sided."""
    return math.floor(math.log2(max(tests, 1) / alpha) + (sides - 1)) + 1


def beaten(wins: np.ndarray, p: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Which of k conditions another beats: by whom, ``(k,)``, -1 where by none. Whoever is not beaten may be the best.

    Args:
        wins: theta of each row's condition against each column's, ``(k, k)``.
        p: two-sided, corrected over all pairs (of all series), ``(k, k)``, symmetric.
    """
    against = np.where((wins > 0.5) & (p < alpha), p, np.inf)
    np.fill_diagonal(against, np.inf)
    return np.where(np.isfinite(against.min(0)), against.argmin(0), -1)


def among(wins: np.ndarray, p: np.ndarray, alpha: float = ALPHA) -> np.ndarray:
    """Which of k conditions the best is among, ``(k,)`` bool: left out is what another beats one-sided at alpha / (k - 1).

    The promise is Hsu's (Edwards and Hsu 1983), one a series: the best is left out at most with probability alpha. It has more power than :func:`beaten`
    and says less: of equal conditions it leaves some out more often than that.

    Args:
        p: two-sided and not corrected, ``(k, k)``.
    """
    out = (wins > 0.5) & (p / 2 < alpha / max(len(p) - 1, 1))
    np.fill_diagonal(out, False)
    return np.asarray(~out.any(0))


def ranks_across(table: np.ndarray) -> np.ndarray:
    """Mean rank of every column over rows, ties averaged, 1 the best (smallest): ``(blocks, k)`` to ``(k,)``."""
    return np.asarray(stats.rankdata(table, axis=1).mean(0))


def friedman(table: np.ndarray | Sequence[Sequence[float]]) -> Outcome:
    """Friedman's test (1937), by scipy. Null hypothesis: the k columns rank alike over the blocks (series).

    Args:
        table: an error for each block and condition, ``(blocks, k)``, k of at least 3. Estimate: Kendall's W.
    """
    blocks, k = np.shape(table)
    if blocks < 2 or k < 3:
        return Outcome(np.nan)
    found = stats.friedmanchisquare(*np.transpose(table))
    return Outcome(float(found.statistic) / (blocks * (k - 1)), statistic=float(found.statistic), dof=k - 1, p=float(found.pvalue))


def critical_difference(k: int, blocks: int, alpha: float = ALPHA) -> float:
    """Nemenyi's critical difference of mean ranks (Demsar 2006): k conditions over this many series."""
    return float(stats.studentized_range.ppf(1 - alpha, k, np.inf) / np.sqrt(2) * np.sqrt(k * (k + 1) / (6 * blocks)))
