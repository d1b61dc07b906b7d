"""Long memory: of a series, of residuals, and of a trained network's response. Pure functions of arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from analysis.statistics import Outcome, finite
from ltm.errors import UserError

BANDWIDTH = 0.65
"""Frequencies used: n^0.65, the usual compromise between the bias of short memory and the variance."""


def acf(x: np.ndarray, lags: int = 100) -> np.ndarray:
    """Sample autocorrelations of lags 0 to ``lags``, by statsmodels."""
    from statsmodels.tsa.stattools import acf as sample_acf

    x = finite(x, 3, "series")
    return np.asarray(sample_acf(x, nlags=min(lags, len(x) - 1), fft=True))


def white_band(n: int, confidence: float = 0.95) -> float:
    """Half-width of the band within which an autocorrelation of white noise falls: z / sqrt(n)."""
    return float(stats.norm.ppf((1 + confidence) / 2) / np.sqrt(n))


def fractional_acf(d: float, lags: int) -> np.ndarray:
    """Autocorrelations of ARFIMA(0, d, 0), lags 0 to ``lags`` (Hosking 1981): prod_{j=1..k} (j - 1 + d) / (j - d); d below 0.5."""
    j = np.arange(1, lags + 1)
    return np.concatenate([[1.0], np.cumprod((j - 1 + d) / (j - d))])


def periodograms(x: np.ndarray, m: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The first m Fourier frequencies (default n^0.65), ``(m,)``, and the periodograms of S series there, ``(S, m)``."""
    n = x.shape[1]
    m = int(n**BANDWIDTH) if m is None else m
    if not 4 <= m <= n // 2:
        raise UserError(f"{m} frequencies of a series of {n}; expected 4 to {n // 2}.")
    if (np.ptp(x, axis=1) == 0).any():
        raise UserError("the series is constant; it has no memory to estimate.")
    frequency = 2 * np.pi * np.arange(1, m + 1) / n
    return frequency, np.abs(np.fft.rfft(x - x.mean(1, keepdims=True))[:, 1 : m + 1]) ** 2 / (2 * np.pi * n)


def local_whittle(x: np.ndarray, m: int | None = None, confidence: float = 0.95) -> Outcome:
    """Local Whittle estimate of the memory parameter d (Robinson 1995), d within (-0.5, 1).

    The interval takes the curvature of the objective at m frequencies, 1 / (4 sum nu_j^2), nu_j = log j - mean log j, which
    tends to Robinson's 1 / (4 m) but is right for few frequencies as well (Hurvich and Chen 2000).

    Returns:
        d with its interval; null hypothesis of p: d = 0 (short memory).
    """
    d, error = local_whittle_each(finite(x, 16, "series")[None], m)
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
    d, error = gph_each(finite(x, 16, "series")[None], m)
    return by_normal(float(d[0]), error, confidence)


def gph_each(x: np.ndarray, m: int | None = None) -> tuple[np.ndarray, float]:
    """:func:`gph` of many series of one length at once, ``(S, n)``: d of each, ``(S,)``, and the standard error that all share."""
    frequency, power = periodograms(x, m)
    regressor = -2 * np.log(2 * np.sin(frequency / 2))
    centred = regressor - regressor.mean()
    total = float(np.sum(centred**2))
    return np.log(power) @ centred / total, float(np.pi / np.sqrt(6 * total))


def ljung_box_each(x: np.ndarray, lags: int) -> np.ndarray:
    """p of Ljung and Box's test (1978) of many residual series at once, ``(S, n)`` to ``(S,)``; :func:`ljung_box` of one."""
    n = x.shape[1]
    spectrum = np.abs(np.fft.rfft(x - x.mean(1, keepdims=True), 2 * n)) ** 2
    covariance = np.fft.irfft(spectrum)[:, : lags + 1]
    rho = covariance[:, 1:] / covariance[:, :1]
    return np.asarray(stats.chi2.sf(n * (n + 2) * (rho**2) @ (1 / (n - np.arange(1, lags + 1))), lags))


def ljung_box(residuals: np.ndarray, lags: int = 20) -> Outcome:
    """Ljung and Box's test (1978), by statsmodels. Null hypothesis: the residuals are uncorrelated up to this lag."""
    from statsmodels.stats.diagnostic import acorr_ljungbox

    residuals = finite(residuals, lags + 2, "residuals")
    found = acorr_ljungbox(residuals, lags=[lags])
    return Outcome(np.nan, statistic=float(found["lb_stat"].iloc[0]), dof=lags, p=float(found["lb_pvalue"].iloc[0]))


def by_normal(d: float, error: float, confidence: float) -> Outcome:
    half = stats.norm.ppf((1 + confidence) / 2) * error
    return Outcome(d, d - half, d + half, d / error, p=float(2 * stats.norm.sf(abs(d / error))))


@dataclass(frozen=True)
class Decay:
    """How a response |A_k| decays: as k^-power or as exp(-rate k), and Akaike's criterion of both (smaller fits better)."""

    lags: int
    power: float
    rate: float
    aic_power: float
    aic_exponential: float

    @property
    def law(self) -> str:
        """``power law`` (long memory in the sense of Definition 3), ``exponential``, ``either`` where the AICs are within 2, or
        ``no decay`` where the response falls by less than a tenth over all lags (a running average, as in RWA), or
        ``no response`` where fewer than 8 lags have one."""
        if np.isnan(self.rate):
            return "no response"
        if abs(self.rate) * self.lags < 0.1:
            return "no decay"
        if abs(self.aic_power - self.aic_exponential) < 2:
            return "either"
        return "power law" if self.aic_power < self.aic_exponential else "exponential"


def decay(response: np.ndarray) -> Decay:
    """Definition 3 of Zhao et al. (2020): does A_k of y_t = sum_k A_k x_{t-k} + e_t decay polynomially?

    Both laws are fitted to log |A_k|, k = 1..K, by least squares; AIC = K log(RSS / K) + 2 * 3 (level, slope, variance). Lags
    whose response is below 1e-280 (an exponential that has run out of the number range) are left out.

    Args:
        response: A_1 to A_K, ``(K,)``.
    """
    size = np.abs(finite(response, 8, "response"))
    k = np.arange(1, len(size) + 1)
    there = size > 1e-280
    if there.sum() < 8:
        return Decay(len(size), np.nan, np.nan, np.nan, np.nan)
    y, n = np.log(size[there]), int(there.sum())

    def fit(x: np.ndarray) -> tuple[float, float]:
        gradient, level = np.polyfit(x, y, 1)
        rss = float(np.sum((y - level - gradient * x) ** 2))
        return -float(gradient), n * np.log(max(rss, 1e-300) / n) + 6

    (power, aic_power), (rate, aic_exponential) = fit(np.log(k[there])), fit(k[there].astype(float))
    return Decay(len(size), power, rate, aic_power, aic_exponential)
