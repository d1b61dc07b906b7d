"""Fractional differences of a series, and the memory parameter d that they are taken with: exact local Whittle, on plain arrays."""

from __future__ import annotations

import numpy as np

RANGE = (-1.0, 2.2)
"""Within which d is looked for where the mean is known (Shimotsu and Phillips 2005 allow a width of 9/2)."""

AROUND = 3.0
"""Standard errors of the first step, to either side, within which the second looks."""

BANDWIDTH = 0.65
"""Frequencies used: n^0.65, the usual compromise between the bias of short memory and the variance."""


def differenced(x: np.ndarray, d: float) -> np.ndarray:
    """(1 - B)^d x with values before the start taken as 0: sum_k b_k x_{t-k}, b_0 = 1, b_k = b_{k-1} (k - 1 - d) / k; by FFT (Jensen and Nielsen 2014).

    Args:
        x: the series ``(n,)``; a negative d integrates.
    """
    from scipy.fft import irfft, next_fast_len, rfft

    n = len(x)
    k = np.arange(1, n)
    weights = np.concatenate([[1.0], np.cumprod((k - 1 - d) / k)])
    size = next_fast_len(2 * n, real=True)
    return np.asarray(irfft(rfft(weights, size) * rfft(x, size), size)[:n])


def level(x: np.ndarray, d: float) -> float:
    """What is taken off a series before it is differenced: the average up to d = 1/2, the first value from 3/4 on, and between in between
    (Shimotsu 2010, section 3)."""
    return weight(d) * float(x.mean()) + (1 - weight(d)) * float(x[0])


def exact_local_whittle(x: np.ndarray, m: int, mean: float | None = None) -> tuple[float, float]:
    """d of a series ``(n,)`` that varies, from m frequencies, and its standard error: what
    :func:`analysis.statistics.memory.exact.exact_local_whittle` documents."""
    from scipy import optimize

    n = len(x)
    logs = np.log(2 * np.pi * np.arange(1, m + 1) / n)
    error = 0.5 / float(np.sqrt(np.sum((logs - logs.mean()) ** 2)))
    x = (x - (x.mean() if mean is None else mean)) / x.std()

    def objective(d: float) -> float:
        level = 0.0 if mean is not None else (1 - weight(d)) * x[0]
        power = np.abs(np.fft.rfft(differenced(x - level, d))[1 : m + 1]) ** 2
        return float(np.log(power.mean()) - 2 * d * logs.mean())

    if mean is None:
        first = tapered(x, m)
        low, high = first - AROUND * error, first + AROUND * error
    else:
        low, high = RANGE
    grid = np.linspace(low, high, 17)  # R may have several minima
    best = int(np.argmin([objective(d) for d in grid]))
    ends = grid[max(best - 1, 0)], grid[min(best + 1, 16)]
    d = float(optimize.minimize_scalar(objective, bounds=ends, method="bounded", options={"xatol": 1e-8}).x)
    return d, error


def weight(d: float) -> float:
    """w(d), the weight of the average against the first value."""
    return 1.0 if d <= 0.5 else 0.0 if d >= 0.75 else 0.5 * (1 + float(np.cos(4 * np.pi * d)))


def tapered(x: np.ndarray, m: int) -> float:
    """Tapered local Whittle estimate of d (Hurvich and Chen 2000, p = 1), -1/2 < d < 3/2: of the differences, under the taper (1 - exp(2 pi i (t - 1/2) / n)) / 2.

    Frequencies are 2 pi (j + 1/2) / n, j = 1..m; neither a mean nor a linear trend moves it.
    """
    from scipy import optimize

    steps = np.diff(x)
    n = len(steps)
    taper = 0.5 * (1 - np.exp(2j * np.pi * (np.arange(n) + 0.5) / n))
    power = np.abs(np.fft.ifft(taper * steps)[1 : m + 1]) ** 2
    logs = np.log(2 * np.pi * (np.arange(1, m + 1) + 0.5) / n)

    def slope(d: float) -> float:
        return float(np.sum(np.exp(2 * d * (logs - logs.mean())) * power * (logs - logs.mean())))

    low, high = -1.999, 1.2
    if slope(low) > 0 or slope(high) < 0:
        return 1 + (low if slope(low) > 0 else high)
    return 1 + float(optimize.brentq(slope, low, high, xtol=1e-10))
