"""The memory parameter d by exact local Whittle, with its interval; the estimate itself is :mod:`ltm.data.fractional`'s, as data can be differenced by it."""

from __future__ import annotations

import numpy as np

from analysis.statistics import Outcome
from analysis.statistics.memory.spectral import bandwidth, by_normal, series_of
from ltm.data import fractional
from ltm.data.fractional import differenced
from ltm.errors import UserError

__all__ = ["differenced", "exact_local_whittle"]


def exact_local_whittle(x: np.ndarray, m: int | None = None, confidence: float = 0.95, mean: float | None = None) -> Outcome:
    """Exact local Whittle estimate of d: Shimotsu and Phillips (2005); where the mean is not known, the two steps of Shimotsu (2010).

    With a known mean it minimises R(d) = log mean I(f; (1 - B)^d (x - mean)) - 2d mean log f over :data:`RANGE`. Else R takes the weighted mean
    mu(d) = w(d) average + (1 - w(d)) x_1, with w = 1 up to d = 1/2, 0 from 3/4 on, and (1 + cos 4 pi d) / 2 between (2010, section 3), and is minimised
    around the tapered local Whittle estimate of Hurvich and Chen (2000), which a mean leaves alone; that holds for -1/2 < d < 3/2. The
    limit is N(0, 1 / (4 m)) for every d; the interval takes the curvature at m frequencies, as :func:`local_whittle` does.

    Args:
        x: the series ``(n,)``; of one with a linear trend, what :func:`detrended` leaves (2010, section 4.2).
        m: frequencies (default n^0.65).
        mean: where it is known, as of a simulated series.

    Returns:
        d with its interval; null hypothesis of p: d = 0.
    """
    x = series_of(x)
    n = len(x)
    m = bandwidth(n) if m is None else m
    if not 4 <= m < n // 2:
        raise UserError(f"{m} frequencies of a series of {n}; expected 4 to {n // 2 - 1}.")
    return by_normal(*fractional.exact_local_whittle(x, m, mean), confidence)
