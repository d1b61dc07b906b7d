"""Shares of seeds that succeed: their intervals, and tests of two of them and of an ordered series of them. No distribution is assumed: a seed
succeeds or it does not. Diverged seeds failed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import special, stats

from analysis.statistics import Outcome
from ltm.errors import UserError

Z = float(stats.norm.ppf(0.975))

NUISANCE = (1 - np.cos(np.linspace(0, np.pi, 1_001))) / 2
"""Probabilities of success over which an exact test takes the largest p: closer to one another near 0 and 1, where p changes fast."""


def checked(k: int, n: int) -> None:
    """Raises UserError where k is no number of successes among n."""
    if not 0 <= k <= n or n < 1:
        raise UserError(f"{k} of {n} seeds succeeded; expected 0 to n of at least 1.")


def wilson(k: int, n: int) -> Outcome:
    """The share k / n with Wilson's 95 % interval (1927)."""
    checked(k, n)
    share, centre, z2 = k / n, k + Z**2 / 2, Z**2
    half = Z * np.sqrt(n * share * (1 - share) + z2 / 4)
    low, high = (centre - half) / (n + z2), (centre + half) / (n + z2)
    return Outcome(share, 0.0 if k == 0 else float(low), 1.0 if k == n else float(high))


def newcombe(k: int, n: int, l: int, m: int) -> Outcome:
    """The difference of the shares k / n - l / m of independent seeds, with Newcombe's 95 % interval (1998, method 10): Wilson's intervals, squared and added."""
    a, b = wilson(k, n), wilson(l, m)
    gap = a.estimate - b.estimate
    low = gap - np.hypot(a.estimate - a.low, b.high - b.estimate)
    high = gap + np.hypot(a.high - a.estimate, b.estimate - b.low)
    return Outcome(gap, float(low), float(high))


def newcombe_paired(first: np.ndarray, second: np.ndarray) -> Outcome:
    """The same where seeds belong together (Newcombe 1998, method 10 of his paper on paired data): the correlation of both is taken off.

    Args:
        first, second: successes ``(n,)``, 0 or 1.
    """
    n, first, second = len(first), np.asarray(first, bool), np.asarray(second, bool)
    a, b = wilson(int(first.sum()), n), wilson(int(second.sum()), n)
    both, one, other, none = (int((x & y).sum()) for x, y in ((first, second), (first, ~second), (~first, second), (~first, ~second)))
    margins, product = (both + one) * (other + none) * (both + other) * (one + none), both * none - one * other
    corrected = max(product - n / 2, 0.0) if product > 0 else float(product)
    phi = corrected / np.sqrt(margins) if margins else 0.0
    gap = a.estimate - b.estimate

    def side(x: float, y: float) -> float:
        return float(np.sqrt(max(x**2 - 2 * phi * x * y + y**2, 0.0)))

    low = gap - side(a.estimate - a.low, b.high - b.estimate)
    high = gap + side(a.high - a.estimate, b.estimate - b.low)
    return Outcome(gap, low, high)


def barnard(k: int, n: int, l: int, m: int) -> Outcome:
    """Barnard's exact test (1945) of two independent shares. Null hypothesis: k / n and l / m come from one probability of success.

    The statistic is that of the pooled z-test, and p the largest over all probabilities, two-sided; as :func:`scipy.stats.barnard_exact`, but of all
    outcomes of n and m seeds at once, so that a study of many pairs costs no more than one of one.

    Returns:
        The difference of shares with :func:`newcombe`'s interval, z and p.
    """
    gap = newcombe(k, n, l, m)
    z = float(pooled_z(n, m)[k, l])
    return Outcome(gap.estimate, gap.low, gap.high, z, np.nan, float(barnard_table(n, m)[k, l]))


def pooled_z(n: int, m: int) -> np.ndarray:
    """z of every outcome of n and m seeds, ``(n + 1, m + 1)``; 0 where all or none of them succeeded."""
    a, b = np.arange(n + 1)[:, None] / n, np.arange(m + 1)[None, :] / m
    share = (n * a + m * b) / (n + m)
    variance = share * (1 - share) * (1 / n + 1 / m)
    return np.divide(a - b, np.sqrt(variance), out=np.zeros((n + 1, m + 1)), where=variance > 1e-15)


@lru_cache(maxsize=64)
def barnard_table(n: int, m: int) -> np.ndarray:
    """p of every outcome, ``(n + 1, m + 1)``."""
    return largest_p(np.abs(pooled_z(n, m)), NUISANCE, NUISANCE)


def largest_p(statistic: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of every outcome the largest probability of a statistic at least as large, over pairs of probabilities of success ``(P,)``.

    Args:
        statistic: ``(n + 1, m + 1)``.
    """
    n, m = (size - 1 for size in statistic.shape)
    order = np.argsort(-statistic, axis=None, kind="stable")
    values = statistic.ravel()[order]
    last = np.searchsorted(-values, -values + 1e-10, "right") - 1  # equal ones, but for rounding, count together
    largest = np.zeros(len(values))
    for p, q in zip(first.tolist(), second.tolist(), strict=True):
        outcome = np.outer(chances(n, p), chances(m, q)).ravel()[order]
        np.maximum(largest, outcome.cumsum()[last], out=largest)
    found = np.empty(len(values))
    found[order] = np.minimum(largest, 1.0)
    return found.reshape(statistic.shape)


def chances(n: int, p: float) -> np.ndarray:
    """Probabilities of 0 to n successes."""
    k = np.arange(n + 1)
    return np.asarray(
        np.exp(
            special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1) + special.xlogy(k, p) + special.xlog1py(n - k, -p)
        )
    )


def no_worse(k: int, n: int, l: int, m: int, margin: float) -> float:
    """p of "the first share is no lower than the second by more than the margin", exact (Chan 1998). Null hypothesis: lower by the margin or more.

    Outcomes are ordered by Farrington and Manning's (1990) z, and p is the largest over the edge of the null hypothesis.

    Args:
        margin: of a share, above 0 and below 1: 0.02 is two percentage points.
    """
    checked(k, n)
    checked(l, m)
    if not 0 < margin < 1:
        raise UserError(f"the margin of a share is {margin:g}; expected a number between 0 and 1.")
    return float(no_worse_table(n, m, margin)[k, l])


@lru_cache(maxsize=64)
def no_worse_table(n: int, m: int, margin: float) -> np.ndarray:
    second = margin + (1 - margin) * NUISANCE
    return largest_p(restricted_z(n, m, margin), second - margin, second)


def restricted_z(n: int, m: int, margin: float) -> np.ndarray:
    """(a - b + margin) over its standard error where a - b = -margin, of every outcome (Farrington and Manning 1990), ``(n + 1, m + 1)``."""
    a, b = np.arange(n + 1)[:, None] / n, np.arange(m + 1)[None, :] / m
    s0, ratio = -margin, m / n
    one, two = 1 + ratio, -(1 + ratio + a + ratio * b + s0 * (ratio + 2))
    three, four = s0**2 + s0 * (2 * a + ratio + 1) + a + ratio * b, -a * s0 * (1 + s0)
    v = two**3 / (3 * one) ** 3 - two * three / (6 * one**2) + four / (2 * one)
    u = np.where(v >= 0, 1.0, -1.0) * np.sqrt(np.maximum(two**2 / (3 * one) ** 2 - three / (3 * one), 0.0))
    cosine = np.clip(np.divide(v, u**3, out=np.ones_like(v + u), where=np.abs(u) > 1e-12), -1, 1)
    of_a = np.clip(2 * u * np.cos((np.pi + np.arccos(cosine)) / 3) - two / (3 * one), 0.0, 1 - margin)
    of_b = of_a + margin
    variance = of_a * (1 - of_a) / n + of_b * (1 - of_b) / m
    return np.asarray((a - b + margin) / np.sqrt(np.maximum(variance, 1e-12)))


def trend(successes: Sequence[int], seeds: Sequence[int]) -> Outcome:
    """Cochran (1954) and Armitage's (1955) test of shares over an ordered key, its levels equally far apart. Null hypothesis: one probability of success.

    p is the larger of z's and, up to :data:`MOST_SEEDS`, that of all ways in which as many successes may fall on the seeds, which is exact.

    Returns:
        The slope of the share per level, z, the number of levels as ``dof``, and p; NaN where all or none succeeded.
    """
    k, n = np.asarray(successes, int), np.asarray(seeds, int)
    if len(k) < 2 or len(k) != len(n) or (n < 1).any() or (k < 0).any() or (k > n).any():
        raise UserError(f"a trend over {len(k)} levels of {len(n)} counts of seeds; expected two or more, each with 0 to n successes.")
    level, N, share = np.arange(len(k)), int(n.sum()), k.sum() / n.sum()
    centre = (n * level).sum() / N
    spread = (n * (level - centre) ** 2).sum()
    if share in (0.0, 1.0):
        return Outcome(np.nan)
    T = float((k * (level - centre)).sum())
    z = T / np.sqrt(share * (1 - share) * spread)
    p = float(2 * stats.norm.sf(abs(z)))
    exact = by_ways(n, int(k.sum()), centre, abs(T)) if N <= MOST_SEEDS else 0.0
    return Outcome(T / spread, statistic=float(z), dof=len(k), p=min(max(p, exact), 1.0))


MOST_SEEDS = 1_000
"""Of all levels, up to which the law of a trend is found by counting every way."""


def by_ways(n: np.ndarray, successes: int, centre: float, least: float) -> float:
    """P(|sum of levels over the successes - its mean| >= least) where each ``successes`` of all seeds are as likely; level by level."""
    law = np.zeros((successes + 1, successes * (len(n) - 1) + 1))  # by successes so far, and the sum of their levels
    law[0, 0] = 1.0
    for level, count in enumerate(n.tolist()):
        grown = np.zeros_like(law)
        ways = special.comb(count, np.arange(count + 1))
        for k in range(min(count, successes) + 1):
            step = k * level
            grown[k:, step:] += ways[k] * law[: successes + 1 - k, : law.shape[1] - step]
        law = grown / grown.max()
    of_all = law[successes]
    return float(of_all[np.abs(np.arange(len(of_all)) - successes * centre) >= least - 1e-8].sum() / of_all.sum())
