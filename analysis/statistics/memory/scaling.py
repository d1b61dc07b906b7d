"""Long memory by how a range or a fluctuation grows with the length of a stretch: rescaled range, Lo's test, DFA.

For those who compare with others: they are biased and less precise than the spectral estimates, and have no usable theory of their error, so their
intervals take the spread over simulated ARFIMA(0, d, 0) paths (exact, Davies & Harte 1987) at the estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from analysis.statistics import Outcome
from analysis.statistics.memory.spectral import by_normal, series_of
from ltm.data.arfima import fractional_noise
from ltm.errors import UserError

LEAST = 8
"""Steps of the shortest stretch."""

PATHS = 200
"""Simulated paths behind an interval."""

LONGEST = 4_000
"""Steps of a simulated path at most; the interval of a longer series is that of one of these, which is wider."""


def rescaled_range(x: np.ndarray, confidence: float = 0.95) -> Outcome:
    """d = H - 1/2 by rescaled range (Hurst 1951; Mandelbrot and Wallis 1969): the slope of log mean R/S on the log of the stretch's length, 8 to n / 2 steps.

    The series ``(n,)``, n at least 64; its interval by simulation, around an estimate that is not corrected for bias.
    """
    return simulated(rescaled_range_each, series_of(x, 64), confidence)


def rescaled_range_each(x: np.ndarray) -> np.ndarray:
    """:func:`rescaled_range` of many series of one length, ``(S, n)`` to ``(S,)``."""

    def size(pieces: np.ndarray) -> np.ndarray:
        centred = pieces - pieces.mean(2, keepdims=True)
        sd = centred.std(2)
        ratio = np.divide(np.ptp(np.cumsum(centred, 2), 2), sd, out=np.full_like(sd, np.nan), where=sd > 0)  # a stretch may be constant
        return np.asarray(np.log(np.nanmean(ratio, 1)))

    return slope(x, size, x.shape[1] // 2) - 0.5


def dfa(x: np.ndarray, confidence: float = 0.95) -> Outcome:
    """d = alpha - 1/2 by detrended fluctuation analysis (Peng et al. 1994), linear trends, stretches of 8 to n / 4 steps.

    F(s)^2 is the mean square of the cumulated series about a line in each stretch of s steps; alpha is the slope of log F on log s.
    The series ``(n,)``, n at least 64; its interval by simulation.
    """
    return simulated(dfa_each, series_of(x, 64), confidence)


def dfa_each(x: np.ndarray) -> np.ndarray:
    """:func:`dfa` of many series of one length, ``(S, n)`` to ``(S,)``."""

    def size(pieces: np.ndarray) -> np.ndarray:
        t = np.arange(pieces.shape[2]) - (pieces.shape[2] - 1) / 2
        t /= np.sqrt(t @ t)
        centred = pieces - pieces.mean(2, keepdims=True)
        left = (centred**2).sum(2) - (centred @ t) ** 2
        return np.asarray(0.5 * np.log(left.mean(1) / pieces.shape[2]))

    return slope(np.cumsum(x - x.mean(1, keepdims=True), 1), size, x.shape[1] // 4) - 0.5


def slope(x: np.ndarray, size: Callable[[np.ndarray], np.ndarray], longest: int) -> np.ndarray:
    """The slope, for each of S series ``(S, n)``, of ``size`` of its stretches ``(S, pieces, s)`` on log s, about 20 lengths s from 8 to ``longest``."""
    lengths = np.unique(np.geomspace(LEAST, longest, 20).astype(int))
    sizes = np.stack([size(x[:, : x.shape[1] // s * s].reshape(len(x), -1, s)) for s in lengths], 1)
    logs = np.log(lengths) - np.log(lengths).mean()
    return sizes @ logs / (logs @ logs)


def simulated(estimate: Callable[[np.ndarray], np.ndarray], x: np.ndarray, confidence: float) -> Outcome:
    """The estimate of one series ``(n,)`` with the normal interval of its spread over simulated paths."""
    d = float(estimate(x[None])[0])
    if not np.isfinite(d):
        raise UserError("the series does not vary enough over short stretches; d cannot be estimated by how they grow.")
    at = float(np.clip(np.round(d, 1), -0.4, 0.4))
    return by_normal(d, spread(estimate, min(len(x), LONGEST), at), confidence)


@lru_cache(maxsize=64)
def spread(estimate: Callable[[np.ndarray], np.ndarray], n: int, d: float) -> float:
    """The sd of an estimate over paths of ARFIMA(0, d, 0) of n steps."""
    rng = np.random.default_rng(0)
    return float(np.std([estimate(fractional_noise(d, n, rng)[None])[0] for _ in range(PATHS)], ddof=1))


def lo(x: np.ndarray) -> Outcome:
    """Lo's modified rescaled range (1991). Null hypothesis: short memory, whatever its autocorrelations.

    V = R / (sigma_q sqrt n), sigma_q^2 = c_0 + 2 sum_{j=1..q} (1 - j / (q + 1)) c_j, q = floor((3 n / 2)^(1/3) (2 r / (1 - r^2))^(2/3)) by Andrews (1991),
    r the first autocorrelation. Under the null V is the range of a Brownian bridge, P(V < v) = 1 + 2 sum_k (1 - 4 k^2 v^2) exp(-2 k^2 v^2).

    Returns:
        V as ``statistic``, q as ``dof``, and p, two-sided; a large V speaks for long memory. No estimate.
    """
    x = series_of(x)
    n = len(x)
    centred = x - x.mean()
    r = float(np.clip(abs(centred[1:] @ centred[:-1]) / (centred @ centred), 0, 0.99))
    q = min(int((1.5 * n) ** (1 / 3) * (2 * r / (1 - r**2)) ** (2 / 3)), n // 4)
    covariance = np.array([centred[j:] @ centred[: n - j] / n for j in range(q + 1)])
    variance = covariance[0] + 2 * float(np.sum((1 - np.arange(1, q + 1) / (q + 1)) * covariance[1:]))
    sums = np.cumsum(centred)
    v = float(np.ptp(sums) / np.sqrt(variance * n))
    k = np.arange(1, 101)
    below = float(np.clip(1 + 2 * np.sum((1 - 4 * (k * v) ** 2) * np.exp(-2 * (k * v) ** 2)), 0, 1)) if v > 0.1 else 0.0
    return Outcome(np.nan, statistic=v, dof=q, p=2 * min(below, 1 - below))
