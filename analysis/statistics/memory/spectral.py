"""The memory parameter d from the periodogram near frequency 0: by regression (GPH) and by local Whittle; and the removal of a linear trend.

The mean needs no care here: it enters frequency 0 alone, which is left out. A linear trend enters them all, so remove it first where there is one.
"""

from __future__ import annotations

import numpy as np
from scipy import stats

from analysis.statistics import Outcome
from ltm.data.fractional import BANDWIDTH
from ltm.errors import UserError


def series_of(x: np.ndarray, least: int = 16) -> np.ndarray:
    """A series ``(n,)`` of finite values that vary.

    Raises:
        UserError: another shape, a gap, fewer than ``least`` values, a constant.
    """
    array = np.asarray(x, dtype=float)
    if array.ndim != 1:
        raise UserError(f"the series has shape {array.shape}; expected one axis, a value a time step.")
    if len(gaps := np.flatnonzero(~np.isfinite(array))):
        raise UserError(f"the series has {len(gaps)} missing or infinite values, the first at step {gaps[0]}; fill them or cut the series.")
    if len(array) < least:
        raise UserError(f"the series has {len(array)} values; at least {least} are needed.")
    if np.ptp(array) == 0:
        raise UserError("the series is constant; it has no memory to estimate.")
    return array


def detrended(x: np.ndarray) -> np.ndarray:
    """The series ``(n,)`` without its mean and its linear trend, by least squares.

    Raises:
        UserError: as :func:`series_of`; a series that is nothing but a trend.
    """
    x = series_of(x, 3)
    t = np.arange(len(x)) - (len(x) - 1) / 2
    centred = x - x.mean()
    left = centred - t * float(t @ centred / (t @ t))
    if np.ptp(left) <= 1e-10 * np.ptp(x):
        raise UserError("the series is a straight line; nothing is left without its trend.")
    return left


def bandwidth(n: int, power: float = BANDWIDTH) -> int:
    """The number of frequencies n^power, rounded down."""
    return int(n**power)


def periodograms(x: np.ndarray, m: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The first m Fourier frequencies (default n^0.65), ``(m,)``, and the periodograms of S series there, ``(S, m)``.

    Raises:
        UserError: fewer than 4 frequencies, or more than the series has; a constant; a series without power at one of them.
    """
    n = x.shape[1]
    m = bandwidth(n) if m is None else m
    if not 4 <= m <= n // 2:
        raise UserError(f"{m} frequencies of a series of {n}; expected 4 to {n // 2}.")
    if (np.ptp(x, axis=1) == 0).any():
        raise UserError("the series is constant; it has no memory to estimate.")
    frequency = 2 * np.pi * np.arange(1, m + 1) / n
    power = np.abs(np.fft.rfft(x - x.mean(1, keepdims=True))[:, 1 : m + 1]) ** 2 / (2 * np.pi * n)
    if not power.all():
        raise UserError("the series has no power at all at some frequency, as one that repeats exactly; d cannot be estimated.")
    return frequency, power


def local_whittle(x: np.ndarray, m: int | None = None, confidence: float = 0.95) -> Outcome:
    """Local Whittle estimate of the memory parameter d (Robinson 1995), d within (-0.5, 1).

    The interval takes the curvature of the objective at m frequencies, 1 / (4 sum nu_j^2), nu_j = log j - mean log j, which
    tends to Robinson's 1 / (4 m) but is right for few frequencies as well (Hurvich and Chen 2000).

    Returns:
        d with its interval; null hypothesis of p: d = 0 (short memory).
    """
    d, error = local_whittle_each(series_of(x)[None], m)
    return by_normal(float(d[0]), error, confidence)


def local_whittle_each(x: np.ndarray, m: int | None = None) -> tuple[np.ndarray, float]:
    """:func:`local_whittle` of many series of one length at once, ``(S, n)``.

    The objective log mean(f^(2d) I) - 2d mean(log f) is convex in d, so its derivative is halved in.

    Returns:
        d of each, ``(S,)``, and the standard error that all share.
    """
    frequency, power = periodograms(x, m)
    centred = np.log(frequency) - np.log(frequency).mean()
    low, high = np.full(len(power), -0.499), np.full(len(power), 0.999)
    for _ in range(40):
        middle = (low + high) / 2
        rising = np.sum(np.exp(2 * middle[:, None] * centred) * power * centred, axis=1) > 0
        low, high = np.where(rising, low, middle), np.where(rising, middle, high)
    return (low + high) / 2, 0.5 / float(np.sqrt(np.sum(centred**2)))


def gph(x: np.ndarray, m: int | None = None, confidence: float = 0.95) -> Outcome:
    """Log-periodogram estimate of d (Geweke and Porter-Hudak 1983): regression on -2 log(2 sin(lambda / 2)); error pi / sqrt(24 S)."""
    d, error = gph_each(series_of(x)[None], m)
    return by_normal(float(d[0]), error, confidence)


def gph_each(x: np.ndarray, m: int | None = None) -> tuple[np.ndarray, float]:
    """:func:`gph` of many series of one length at once, ``(S, n)``: d of each, ``(S,)``, and the standard error that all share."""
    frequency, power = periodograms(x, m)
    regressor = -2 * np.log(2 * np.sin(frequency / 2))
    centred = regressor - regressor.mean()
    total = float(np.sum(centred**2))
    return np.log(power) @ centred / total, float(np.pi / np.sqrt(6 * total))


def by_normal(d: float, error: float, confidence: float) -> Outcome:
    """An estimate of d with its normal interval; null hypothesis of p: d = 0."""
    half = stats.norm.ppf((1 + confidence) / 2) * error
    return Outcome(d, d - half, d + half, d / error, p=float(2 * stats.norm.sf(abs(d / error))))
