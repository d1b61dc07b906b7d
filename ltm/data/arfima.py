"""Simulated ARFIMA(p, d, q) series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ltm.data.series import KEPT, Simulated, noise_of
from ltm.errors import UserError

BURN_IN = 1000
"""Steps dropped before the series starts; the fractional noise is exact, so only the ARMA part needs them."""


def fractional_noise_autocovariance(d: float, n: int) -> np.ndarray:
    """Autocovariances 0..n-1 of ARFIMA(0, d, 0) with unit innovations (Hosking 1981, Theorem 1), d in (-0.5, 0.5)."""
    from scipy.special import gammaln  # here, as workers are given their series and need not wait for this import

    gamma0 = np.exp(gammaln(1 - 2 * d) - 2 * gammaln(1 - d))
    k = np.arange(1, n)
    return gamma0 * np.concatenate([[1.0], np.cumprod((k - 1 + d) / (k - d))])


def fractional_noise(d: float, n: int, generator: np.random.Generator) -> np.ndarray:
    """An exact Gaussian ARFIMA(0, d, 0) path of length n, by circulant embedding (Davies & Harte 1987)."""
    gamma = fractional_noise_autocovariance(d, n + 1)
    spectrum = np.fft.rfft(np.concatenate([gamma, gamma[-2:0:-1]])).real.clip(min=0.0)
    noise = generator.standard_normal((2, len(spectrum)))
    weights = (noise[0] + 1j * noise[1]) * np.sqrt(0.5)
    weights[[0, -1]] = noise[0, [0, -1]]
    return np.fft.irfft(weights * np.sqrt(spectrum * 2 * n), 2 * n)[:n]


def arma(noise: np.ndarray, ar: Sequence[float], ma: Sequence[float]) -> np.ndarray:
    """y_t = e_t + sum_i ar_i y_{t-i} + sum_j ma_j e_{t-j}, from zeros on; the bits of ``scipy.signal.lfilter``, whose import costs more than a study's plan."""
    order = max(len(ar), len(ma))
    if not order:
        return noise
    coefficients = list(zip([*ar, *[0.0] * (order - len(ar))], [*ma, *[0.0] * (order - len(ma))], strict=True))
    path, pending = [], [0.0] * order
    for e in noise.tolist():
        y = e + pending[0]
        pending = [later + m * e + a * y for later, (a, m) in zip([*pending[1:], 0.0], coefficients, strict=True)]
        path.append(y)
    return np.array(path)


def roots(ar: Sequence[float]) -> np.ndarray:
    """Of z^p - sum_i ar_i z^{p-i}: inside the unit circle where the AR part is stationary; infinite where they cannot be computed."""
    try:
        return np.roots(np.concatenate([[1.0], -np.asarray(ar, float)]))
    except np.linalg.LinAlgError:
        return np.array([np.inf])


def simulate(
    length: int, d: float, ar: Sequence[float] = (), ma: Sequence[float] = (), sigma: float = 1.0, seed: int = 0, path: int = 0
) -> np.ndarray:
    """A Gaussian path of (1 - sum_i ar_i B^i) (1-B)^d y_t = (1 + sum_j ma_j B^j) e_t, e_t normal with sd ``sigma``.

    The paper's series is ``d=0.4, ar=[0.7, -0.4], ma=[-0.2]``: (1 - 0.7B + 0.4B^2)(1-B)^0.4 y_t = (1 - 0.2B) e_t.

    Returns:
        Shape ``(length,)``, float64; the same for the same seed and path, independent for another.

    Raises:
        UserError: d outside (-0.5, 0.5), or an AR part that is not stationary.
    """
    if not -0.5 < d < 0.5:
        raise UserError(f"ARFIMA: d is {d}; a stationary series needs -0.5 < d < 0.5.")
    if not np.abs(roots(ar)).max(initial=0.0) < 1:
        raise UserError(f"ARFIMA: ar={list(ar)} is not stationary; the roots of 1 - sum_i ar_i z^i must lie outside the unit circle.")
    noise = fractional_noise(d, length + BURN_IN, noise_of(seed, path))
    return sigma * arma(noise, ar, ma)[BURN_IN:]


simulated = lru_cache(maxsize=KEPT)(simulate)


@dataclass(frozen=True, kw_only=True)
class Arfima(Simulated):
    """Simulated ARFIMA(p, d, q); the defaults are the paper's model."""

    kind = "arfima"
    d: float = 0.4
    ar: Sequence[float] = (0.7, -0.4)
    ma: Sequence[float] = (-0.2,)

    def values(self) -> np.ndarray:
        return simulated(self.length, self.d, tuple(self.ar), tuple(self.ma), self.sigma, self.seed, self.path)
