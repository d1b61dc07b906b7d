"""How many seeds: power of a test, seeds needed, and the smallest difference that one could have seen."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from scipy import special, stats

from analysis.statistics import errors, wins
from ltm.errors import UserError, unknown

MOST = 10_000
"""Seeds a condition beyond which none is simulated."""


FINE = 0.01
"""Levels below which small shares of relabellings are counted anew, in ten times as many: above it that changes no rejection, and takes most of the time."""


def by_wins(x: np.ndarray, y: np.ndarray, finest: int = 1) -> np.ndarray:
    """p of the default test (:func:`analysis.statistics.wins.p_values`) of every row; fine enough for a level of 0.001, with ``finest`` 0 for one of 0.01."""
    return wins.p_values(x, y, finest)[1]


def by_welch(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two-sided p of Welch's test of every row, samples of finished seeds ``(simulations, n)`` and ``(simulations, m)``."""
    n, m = x.shape[1], y.shape[1]
    u, v = x.var(1, ddof=1) / n, y.var(1, ddof=1) / m
    gap, error = x.mean(1) - y.mean(1), np.sqrt(u + v)
    with np.errstate(divide="ignore", invalid="ignore"):
        t, dof = np.abs(gap) / error, (u + v) ** 2 / (u**2 / (n - 1) + v**2 / (m - 1))
    return np.where(error > 0, 2 * stats.t.sf(np.where(error > 0, t, 0), np.where(error > 0, dof, 1)), np.where(gap == 0, 1.0, 0.0))


TESTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {"wins": by_wins, "welch": by_welch}


def power(
    a: np.ndarray, b: np.ndarray, n: int, rng: np.random.Generator, test: str = "wins", alpha: float = 0.05, simulations: int = 2000
) -> float:
    """Share of studies with n seeds each, drawn from the observed errors, in which the test rejects at ``alpha`` (two-sided).

    Args:
        a, b: observed errors, shapes ``(n_a,)`` and ``(n_b,)``; a diverged seed is +inf, which ``welch`` does not take.
        test: one of :data:`TESTS`.
    """
    if test not in TESTS:
        raise unknown("test", test, TESTS)
    if n < 2:
        raise UserError(f"{n} seeds were asked for; a test needs at least 2 a condition.")
    a, b = errors(a, "first sample"), errors(b, "second sample")
    both = np.concatenate([a[np.isfinite(a)], b[np.isfinite(b)]])
    # Observed errors drawn twice are two seeds of nearly that error, not a tie; but where errors were observed to tie, as accuracies do, they may again.
    apart = test == "wins" and len(np.unique(both)) == len(both)
    if apart:
        a, b = (np.where(np.isfinite(one), np.searchsorted(np.sort(both), one), np.inf) for one in (a, b))  # by their order alone
    p_of = partial(by_wins, finest=0) if test == "wins" and alpha >= FINE else TESTS[test]
    rejected = 0
    block = max(1, min(simulations, 4_000_000 // n))
    for start in range(0, simulations, block):
        shape = (min(block, simulations - start), n)
        x, y = rng.choice(a, shape), rng.choice(b, shape)
        if apart:
            x, y = x + rng.uniform(-0.25, 0.25, shape), y + rng.uniform(-0.25, 0.25, shape)
        rejected += int((p_of(x, y) < alpha).sum())
    return rejected / simulations


def seeds_needed(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator, wanted: float = 0.8, test: str = "wins", alpha: float = 0.05,
    simulations: int = 1000,
) -> int | None:  # fmt: skip
    """The fewest seeds a condition whose power reaches ``wanted``, for the observed effect; None beyond ``MOST``.

    The observed effect is an estimate: where it is near 0 so is the use of this number. By bisection over :func:`power`.
    """
    seed = int(rng.integers(2**63))

    def reached(n: int) -> bool:
        return power(a, b, n, np.random.default_rng(seed), test, alpha, simulations) >= wanted

    high = 2
    while not reached(high):
        if high >= MOST:
            return None
        high = min(2 * high, MOST)
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def smallest_theta(n: int, m: int, wanted: float = 0.8, alpha: float = 0.05) -> float:
    """The probability that a seed of a beats one of b, above 1/2, that the default test at ``alpha`` finds with probability ``wanted``.

    By Noether's formula (1987): the variance of the estimate under equal distributions. NaN where :func:`wins.floor` leaves no p below alpha.
    """
    if wins.floor(n, m) >= alpha:
        return np.nan
    spread = np.sqrt((n + m + 1) / (12 * n * m))
    return float(min(0.5 + (stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(wanted)) * spread, 1.0))


def smallest_difference(sd_a: float, n_a: int, sd_b: float, n_b: int, wanted: float = 0.8, alpha: float = 0.05) -> float:
    """The true difference of means that Welch's test at ``alpha`` finds with probability ``wanted``, by the noncentral t.

    The rejections in the wrong direction, below one in a million at a power of 0.8, are left out.

    Returns:
        In the unit of the sds; NaN for fewer than two seeds.
    """
    if min(n_a, n_b) < 2:
        return np.nan
    u, v = sd_a**2 / n_a, sd_b**2 / n_b
    error = np.sqrt(u + v)
    if not error > 0:
        return 0.0
    dof = (u + v) ** 2 / (u**2 / (n_a - 1) + v**2 / (n_b - 1))
    return float(special.nctdtrinc(dof, 1 - wanted, stats.t.ppf(1 - alpha / 2, dof)) * error)
