"""The memory parameter d of an ARFIMA(p, d, q), by the conditional sum of squares of :mod:`ltm.baselines.forecasts`."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from analysis.statistics import Outcome
from analysis.statistics.memory.spectral import by_normal, series_of
from ltm.baselines import forecasts


@dataclass(frozen=True, eq=False)
class Fit:
    """A fitted ARFIMA(p, d, q): d with its interval, phi ``(p,)``, theta ``(q,)``, the sd of its innovations, and Schwarz's criterion (smaller fits better)."""

    d: Outcome
    ar: np.ndarray
    ma: np.ndarray
    sigma: float
    bic: float

    @property
    def name(self) -> str:
        return f"ARFIMA({len(self.ar)}, d, {len(self.ma)})"


def arfima_of(
    x: np.ndarray, p: int = 0, q: int = 0, confidence: float = 0.95, smaller: dict[tuple[int, int], np.ndarray] | None = None
) -> Fit:
    """ARFIMA(p, d, q) with a mean, by its conditional sum of squares (Beran 1995; Hualde and Robinson 2011), -1/2 < d < 1/2.

    The covariance of the parameters is sigma^2 (J'J)^-1, J the derivatives of the innovations at the estimate; for p = q = 0 it tends to 6 / (pi^2 n).
    It holds if the orders are right: a wrong p or q biases d.

    Args:
        x: the series ``(n,)``; of one with a linear trend, what :func:`detrended` leaves.
        smaller: fits of smaller orders to start from; this one is added.
    """
    x = series_of(x)
    smaller = {} if smaller is None else smaller
    standard = (x - x.mean()) / x.std()
    found = smaller[p, q] = forecasts.minimise(standard, p, q, smaller)

    def innovations(at: np.ndarray) -> np.ndarray:
        return forecasts.innovations(standard, *forecasts.unpacked(at, p))[1]

    e, step, n = innovations(found), 1e-5, len(x)
    slopes = np.stack([(innovations(found + step * one) - innovations(found - step * one)) / (2 * step) for one in np.eye(len(found))], 1)
    variance = float(e @ e) / n
    information = slopes.T @ slopes
    error = float(np.sqrt(variance * np.linalg.inv(information)[0, 0])) if np.linalg.cond(information) < 1e12 else np.nan
    d, ar, ma = forecasts.unpacked(found, p)
    return Fit(by_normal(d, error, confidence), ar, ma, float(np.sqrt(variance) * x.std()), n * np.log(variance) + (p + q + 1) * np.log(n))


def arfima(x: np.ndarray, confidence: float = 0.95) -> Fit:
    """The ARFIMA(p, d, q), p and q up to 2, with the least Schwarz criterion (:func:`arfima_of`). Its interval is that of the chosen orders, as if they were known."""
    smaller: dict[tuple[int, int], np.ndarray] = {}
    orders = itertools.product(forecasts.ARMA_ORDERS, forecasts.ARMA_ORDERS)
    return min((arfima_of(x, p, q, confidence, smaller) for p, q in orders), key=lambda fit: fit.bic)
