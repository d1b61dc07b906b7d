"""How the response of a network to its past decays: by a power law or exponentially (Definition 3 of Zhao et al. 2020)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analysis.statistics import finite


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
