"""Forecasts of a series that need no network: what a recurrent cell has to beat before it is worth its training.

All are fitted on the training part alone, choose their orders by the validation part, and are tested one step ahead on the same pairs
and scale as the networks. They have no seeds. About a second a series, nearly all of it ARFIMA's.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ltm.data.series import Series
from ltm.training.metrics import measured

ORDERS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 50, 75, 100)
"""Orders p of AR(p) to choose from."""

ARMA_ORDERS = (0, 1, 2)
"""Orders p and q of ARFIMA(p, d, q) to choose from."""

LEAST_ARFIMA = 30
"""Pairs of the training part below which no ARFIMA is fitted."""


@dataclass(frozen=True)
class Baseline:
    """One fitted forecast: its kind (a key of :data:`BASELINES`), what it is called once fitted, its parameters, and its forecasts
    of ``values[1:]``, shape ``(T - 1,)``, original scale; NaN where it has too little past."""

    kind: str
    label: str
    forecasts: np.ndarray
    parameters: dict[str, float | list[float]] = field(default_factory=dict)


def mean(series: Series) -> Baseline:
    """The mean of the training part (its inputs and targets), always."""
    level = float(series.values[: series.train + 1].mean())
    return Baseline("mean", "mean", np.full(len(series.values) - 1, level), {"mean": level})


def last_value(series: Series) -> Baseline:
    """The value before, always: the best forecast of a random walk."""
    return Baseline("last value", "last value", series.values[:-1])


def best_constant(series: Series) -> Baseline:
    """The mean of the test part: not a forecast, as it knows what it is tested on, but the least RMSE that needs no input at all.

    A network that does not beat it has learned nothing from the series, where the mean of the training part may be beaten by a level alone.
    """
    level = float(series.values[series.train + series.validation + 1 :].mean())
    return Baseline("constant", "constant (hindsight)", np.full(len(series.values) - 1, level), {"mean": level})


def autoregression(series: Series) -> Baseline | None:
    """AR(p) with intercept by least squares, p by validation error among :data:`ORDERS`.

    An order needs two targets of the training part for each of its p + 1 coefficients; None where not even p = 1 has them.
    """
    fits = [fitted_ar(series, p) for p in ORDERS if series.train + 1 - p >= 2 * (p + 1)]
    return chosen(series, fits)


def fitted_ar(series: Series, p: int) -> Baseline:
    """x_{t+1} = c + sum_i a_i x_{t+1-i}, i = 1..p, by least squares over the targets of the training part that have p values before them."""
    x = series.values
    lags = np.lib.stride_tricks.sliding_window_view(x[:-1], p)[:, ::-1]  # row j: the p values before x[p + j], most recent first
    rows = np.concatenate([np.ones((len(lags), 1)), lags], 1)
    fit = series.train + 1 - p
    coefficients = np.linalg.lstsq(rows[:fit], x[p:][:fit], rcond=None)[0]
    forecasts = np.concatenate([np.full(p - 1, np.nan), rows @ coefficients])
    return Baseline("AR", f"AR({p})", forecasts, {"intercept": float(coefficients[0]), "ar": coefficients[1:].tolist()})


def arfima(series: Series) -> Baseline | None:
    """ARFIMA(p, d, q), phi(B) (1 - B)^d (x_t - mu) = theta(B) e_t, p and q by validation error among :data:`ARMA_ORDERS`.

    mu, d, phi and theta minimise the conditional sum of squares of e over the training part together, values before the start taken as mu
    (Beran 1995; Hualde and Robinson 2011), within -0.5 < d < 0.5, phi stationary and theta invertible. statsmodels has no ARFIMA.
    None where the training part has fewer than :data:`LEAST_ARFIMA` pairs or is constant.
    """
    part = series.values[: series.train + 1]
    if series.train < LEAST_ARFIMA or np.ptp(part) == 0:
        return None
    found: dict[tuple[int, int], np.ndarray] = {}
    fits = []
    for p, q in itertools.product(ARMA_ORDERS, ARMA_ORDERS):
        found[p, q] = minimise(part, p, q, found)
        d, ar, ma = unpacked(found[p, q], p)
        mu, _ = innovations(part, d, ar, ma)
        _, errors = innovations(series.values, d, ar, ma, mu)
        parameters: dict[str, float | list[float]] = {"mu": mu, "d": d, "ar": ar.tolist(), "ma": ma.tolist()}
        fits.append(Baseline("ARFIMA", f"ARFIMA({p}, {d:.2f}, {q})", (series.values - errors)[1:], parameters))
    return chosen(series, fits)


def minimise(x: np.ndarray, p: int, q: int, smaller: dict[tuple[int, int], np.ndarray]) -> np.ndarray:
    """The least conditional sum of squares of ARFIMA(p, d, q): ``(d, p and q partial autocorrelations)``.

    Starts from short and from long memory, and from the fits of the next smaller orders, so that no fit is worse than one it contains.
    """
    from scipy import optimize

    standard = (x - x.mean()) / x.std()
    starts = [np.array([d, *[0.05] * (p + q)]) for d in (0.0, 0.3)]
    for at, order in ((1 + p - 1, (p - 1, q)), (1 + p + q - 1, (p, q - 1))):
        if order in smaller:
            starts.append(np.insert(smaller[order], at, 0.0))
    most = np.array([0.499, *[0.995] * (p + q)])

    def errors(given: np.ndarray) -> np.ndarray:
        return innovations(standard, *unpacked(given, p))[1]

    fits = [optimize.least_squares(errors, np.clip(start, -most, most), bounds=(-most, most), xtol=1e-6, ftol=1e-9) for start in starts]
    return np.asarray(min(fits, key=lambda fit: float(fit.cost)).x)


def unpacked(given: np.ndarray, p: int) -> tuple[float, np.ndarray, np.ndarray]:
    """d, phi_1..p and theta_1..q, phi(B) = 1 - phi_1 B - ..., theta(B) = 1 + theta_1 B + ..., of d and partial autocorrelations."""
    return float(given[0]), stationary(given[1 : 1 + p]), -stationary(given[1 + p :])


def stationary(partial: np.ndarray) -> np.ndarray:
    """Coefficients of the stationary AR with these partial autocorrelations, all within (-1, 1) (Durbin and Levinson; Monahan 1984)."""
    phi = np.zeros(0)
    for r in partial:
        phi = np.append(phi - r * phi[::-1], r)
    return phi


def innovations(x: np.ndarray, d: float, ar: np.ndarray, ma: np.ndarray, mu: float | None = None) -> tuple[float, np.ndarray]:
    """e_t = phi(B) / theta(B) (1 - B)^d (x_t - mu), values before the start taken as mu: the one-step errors.

    Args:
        mu: the level; where None, the one with the least sum of squares, in which e is linear.

    Returns:
        ``(mu, e)``, e of shape ``(n,)``.
    """
    from scipy.fft import irfft, next_fast_len, rfft
    from scipy.signal import lfilter

    n = len(x)
    j = np.arange(n - 1)
    weights = np.concatenate([[1.0], np.cumprod((j - d) / (j + 1))])
    size = next_fast_len(2 * n, real=True)
    level = np.cumsum(weights)  # of x = 1
    differenced = np.stack([irfft(rfft(weights, size) * rfft(x, size), size)[:n], level])
    e, one = lfilter(np.concatenate([[1.0], -ar]), np.concatenate([[1.0], ma]), differenced)
    if mu is None:
        mu = float(e @ one / (one @ one))
    return mu, e - mu * one


def chosen(series: Series, fits: list[Baseline]) -> Baseline | None:
    """The fit with the least validation error, the first of equals."""
    return min(fits, key=lambda fit: validation_loss(series, fit), default=None)


def validation_loss(series: Series, baseline: Baseline) -> float:
    """MSE on the validation part, scaled series, as for networks."""
    part = slice(series.train, series.train + series.validation)
    _, scale = series.offset_and_scale
    return float(np.mean(((series.values[1:] - baseline.forecasts)[part] / scale) ** 2))


BASELINES: dict[str, Callable[[Series], Baseline | None]] = {
    "mean": mean, "last value": last_value, "AR": autoregression, "ARFIMA": arfima
}  # fmt: skip


def rows(series: Series) -> list[dict[str, Any]]:
    """Every baseline of a series, and the best constant, with its errors in the units of the series.

    Returns:
        ``baseline`` (the kind), ``label``, ``parameters``, ``test_rmse``, ``test_mae``, ``test_mape``, ``validation_loss``. A baseline that the
        training part is too short for is left out.
    """
    test = series.train + series.validation
    found = []
    for baseline in filter(None, (fit(series) for fit in (*BASELINES.values(), best_constant))):
        errors = measured(("rmse", "mae", "mape"), baseline.forecasts[None, test:, None], series.values[None, 1:, None][:, test:])
        found.append(
            {
                "baseline": baseline.kind, "label": baseline.label, "parameters": baseline.parameters,
                **{f"test_{name}": float(value[0]) for name, value in errors.items()},
                "validation_loss": validation_loss(series, baseline),
            }
        )  # fmt: skip
    return found
