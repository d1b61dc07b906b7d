"""Autocorrelation: of a sample with its band, of fractional noise, and a test that residuals have none."""

from __future__ import annotations

import numpy as np
from scipy import stats

from analysis.statistics import Outcome, finite


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
