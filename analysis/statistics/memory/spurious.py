"""Qu's test against spurious long memory: level shifts and trends look like long memory, and this tells them apart."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from analysis.statistics import Outcome
from analysis.statistics.memory.spectral import bandwidth, local_whittle_each, periodograms, series_of

QU_POWER = 0.7
"""Frequencies n^0.7, as Qu (2011, section 5) has them."""

CRITICAL = {0.02: {0.10: 1.118, 0.05: 1.252, 0.01: 1.517}, 0.05: {0.10: 1.022, 0.05: 1.155, 0.01: 1.426}}
"""Critical values by trimming and level (Qu 2011, Table 1)."""

PATHS = 5_000
"""Draws of the simulated law."""


def trim_of(n: int) -> float:
    """The share of frequencies below which no sum ends: 0.02 for a series of more than 500 values, else 0.05 (Qu 2011)."""
    return 0.02 if n > 500 else 0.05


def qu(x: np.ndarray, m: int | None = None, trim: float | None = None) -> Outcome:
    """Qu's test (2011). Null hypothesis: a stationary process of long (or short) memory; against level shifts, or a smooth trend, on top of short memory.

    W = sup_{r from trim to 1} |sum_{j <= m r} nu_j (I_j / (G f_j^(-2d)) - 1)| / sqrt(sum nu_j^2), nu_j = log j - mean log j, d and G by local Whittle
    (eq. 5). Reject where W is large; :data:`CRITICAL` has the published values.

    Args:
        x: the series ``(n,)``.
        m: frequencies (default n^0.7).
        trim: 0 to 1 (default :func:`trim_of`).

    Returns:
        d by local Whittle at m frequencies, W as ``statistic``, and p by simulation at m frequencies. The published values are those of m without end, so
        that they reject a little less often (0.04 of the time instead of 0.05 at a few hundred frequencies).
    """
    x = series_of(x)
    trim = trim_of(len(x)) if trim is None else trim
    m = bandwidth(len(x), QU_POWER) if m is None else m
    d, w = qu_each(x[None], m, trim)
    law = law_of_qu(trim, min(m, 1_000))
    above = len(law) - int(np.searchsorted(law, w[0]))
    return Outcome(float(d[0]), statistic=float(w[0]), p=(1 + above) / (1 + len(law)))


def qu_each(x: np.ndarray, m: int | None = None, trim: float | None = None) -> tuple[np.ndarray, np.ndarray]:
    """d and W of many series of one length, ``(S, n)``; each ``(S,)``."""
    m = bandwidth(x.shape[1], QU_POWER) if m is None else m
    frequency, power = periodograms(x, m)
    d, _ = local_whittle_each(x, m)
    weighted = power * frequency ** (2 * d[:, None])
    return d, largest_sum(weighted / weighted.mean(1, keepdims=True) - 1, trim_of(x.shape[1]) if trim is None else trim)


def largest_sum(score: np.ndarray, trim: float) -> np.ndarray:
    """sup over r of |sum_{j <= m r} nu_j score_j| / sqrt(sum nu_j^2), ``(S, m)`` to ``(S,)``."""
    m = score.shape[1]
    nu = np.log(np.arange(1, m + 1))
    nu -= nu.mean()
    sums = np.cumsum(nu * score, 1)[:, max(int(trim * m), 1) - 1 :]
    return np.asarray(np.abs(sums).max(1) / np.sqrt(nu @ nu))


@lru_cache(maxsize=16)
def law_of_qu(trim: float, m: int, paths: int = PATHS) -> np.ndarray:
    """Draws of W under the null hypothesis at m frequencies, sorted, ``(paths,)``, the same at every call; as m grows, of its limit (Qu 2011, Theorem 1).

    The scores are white noise without what G and d take off: its mean, and its projection on nu.
    """
    rng = np.random.default_rng(0)
    nu = np.log(np.arange(1, m + 1))
    nu -= nu.mean()
    found = []
    for first in range(0, paths, 500):
        noise = rng.standard_normal((min(500, paths - first), m))
        noise -= noise.mean(1, keepdims=True)
        found.append(largest_sum(noise - np.outer(noise @ nu, nu) / (nu @ nu), trim))
    return np.sort(np.concatenate(found))
