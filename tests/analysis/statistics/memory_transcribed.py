"""Estimates of d written again from their papers, without FFT: what those of :mod:`analysis.statistics.memory` are held to."""

from __future__ import annotations

import numpy as np
from scipy import optimize


def intensities(x: np.ndarray, m: int) -> np.ndarray:
    """|sum_t x_t e^(i f_j t)|^2 / (2 pi n), j = 1..m, a sum at a time."""
    t = np.arange(1, len(x) + 1)
    return np.array([abs(np.sum(x * np.exp(2j * np.pi * j / len(x) * t))) ** 2 for j in range(1, m + 1)]) / (2 * np.pi * len(x))


def frequencies(n: int, m: int) -> np.ndarray:
    return 2 * np.pi * np.arange(1, m + 1) / n


def gph(x: np.ndarray, m: int) -> float:
    """The slope of log I on -log(4 sin^2(f / 2)) and a constant, by least squares."""
    regressors = np.stack([np.ones(m), -np.log(4 * np.sin(frequencies(len(x), m) / 2) ** 2)], 1)
    return float(np.linalg.lstsq(regressors, np.log(intensities(x, m)), rcond=None)[0][1])


def local_whittle(x: np.ndarray, m: int) -> float:
    f, power = frequencies(len(x), m), intensities(x, m)

    def objective(d: float) -> float:
        return float(np.log(np.mean(f ** (2 * d) * power)) - 2 * d * np.mean(np.log(f)))

    return float(optimize.minimize_scalar(objective, bounds=(-0.49, 0.99), method="bounded", options={"xatol": 1e-10}).x)


def differenced(x: np.ndarray, d: float) -> np.ndarray:
    """(1 - B)^d x, each value a sum over its whole past."""
    weights = [1.0]
    for k in range(1, len(x)):
        weights.append(weights[-1] * (k - 1 - d) / k)
    return np.array([sum(weights[k] * x[t - k] for k in range(t + 1)) for t in range(len(x))])


def exact_local_whittle(x: np.ndarray, m: int, around: float) -> float:
    """Of a series of mean 0, the minimum within 0.3 of a given d."""
    f = frequencies(len(x), m)

    def objective(d: float) -> float:
        return float(np.log(np.mean(intensities(differenced(x, d), m))) - 2 * d * np.mean(np.log(f)))

    return float(optimize.minimize_scalar(objective, bounds=(around - 0.3, around + 0.3), method="bounded", options={"xatol": 1e-9}).x)


def qu(x: np.ndarray, m: int, trim: float) -> float:
    """W of Qu (2011), equation 5, r by r."""
    f, power, d = frequencies(len(x), m), intensities(x, m), local_whittle(x, m)
    scale, nu = np.mean(f ** (2 * d) * power), np.log(f) - np.mean(np.log(f))
    sums = [sum(nu[j] * (power[j] / (scale * f[j] ** (-2 * d)) - 1) for j in range(last)) for last in range(max(int(trim * m), 1), m + 1)]
    return float(np.max(np.abs(sums)) / np.sqrt(np.sum(nu**2)))


def fluctuation(x: np.ndarray, steps: int) -> float:
    """F(s) of detrended fluctuation analysis: a line through each stretch by least squares."""
    profile, squares = np.cumsum(x - x.mean()), []
    for first in range(0, len(x) - steps + 1, steps):
        piece, t = profile[first : first + steps], np.arange(steps)
        squares.append(np.mean((piece - np.polyval(np.polyfit(t, piece, 1), t)) ** 2))
    return float(np.sqrt(np.mean(squares)))


def range_over_sd(x: np.ndarray, steps: int) -> float:
    """Mean R/S over stretches."""
    found = []
    for first in range(0, len(x) - steps + 1, steps):
        piece = x[first : first + steps]
        sums = np.cumsum(piece - piece.mean())
        found.append((sums.max() - sums.min()) / piece.std())
    return float(np.mean(found))
