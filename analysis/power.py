"""How many seeds: power of a test, seeds needed, the smallest difference one could have seen, and a verdict to read at any time."""

from __future__ import annotations

import numpy as np
from scipy import special, stats

from analysis.sample import finite
from analysis.two_samples import Outcome
from ltm.errors import UserError, unknown

TESTS = ("welch", "mann_whitney")
MOST = 10_000
"""Seeds a condition beyond which none is simulated."""


def power(
    a: np.ndarray, b: np.ndarray, n: int, rng: np.random.Generator, test: str = "welch", alpha: float = 0.05, simulations: int = 2000
) -> float:
    """Share of studies with n seeds each, drawn from the observed errors, in which the test rejects at ``alpha`` (two-sided).

    Args:
        a, b: observed errors, shapes ``(n_a,)`` and ``(n_b,)``.
        test: ``welch`` or ``mann_whitney`` (normal approximation, ties corrected).
    """
    if test not in TESTS:
        raise unknown("test", test, TESTS)
    if n < 2:
        raise UserError(f"{n} seeds were asked for; a test needs at least 2 a condition.")
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")
    rejected = 0
    block = max(1, min(simulations, 4_000_000 // n))
    for start in range(0, simulations, block):
        shape = (min(block, simulations - start), n)
        x, y = rng.choice(a, shape), rng.choice(b, shape)
        rejected += int((p_values(x, y, test) < alpha).sum())
    return rejected / simulations


def p_values(x: np.ndarray, y: np.ndarray, test: str) -> np.ndarray:
    """Two-sided p of every row: samples ``(simulations, n)`` each."""
    n = x.shape[1]
    if test == "welch":
        u, v = x.var(1, ddof=1) / n, y.var(1, ddof=1) / n
        gap, error = x.mean(1) - y.mean(1), np.sqrt(u + v)
        with np.errstate(divide="ignore", invalid="ignore"):
            t, dof = np.abs(gap) / error, (u + v) ** 2 / ((u**2 + v**2) / (n - 1))
        return np.where(error > 0, 2 * stats.t.sf(np.where(error > 0, t, 0), np.where(error > 0, dof, 1)), np.where(gap == 0, 1.0, 0.0))
    both = np.concatenate([x, y], axis=1)
    ranks = stats.rankdata(both, axis=1)
    u = ranks[:, :n].sum(1) - n * (n + 1) / 2
    variance = n / (2 * (2 * n - 1)) * ((ranks - (2 * n + 1) / 2) ** 2).sum(1)
    z = np.maximum(np.abs(u - n * n / 2) - 0.5, 0) / np.sqrt(np.where(variance > 0, variance, np.inf))
    return 2 * stats.norm.sf(z)


def seeds_needed(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator, wanted: float = 0.8, test: str = "welch", alpha: float = 0.05,
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


def confidence_sequence(a: np.ndarray, b: np.ndarray, confidence: float = 0.95, effect: float = 0.5) -> Outcome:
    """An interval for the difference of means a - b that holds at every reading at once: read it after every pack, stop when it excludes 0.

    The seeds are taken in order, the i-th of a against the i-th of b; seeds are independent, so the differences are. Their
    t statistic against a normal prior on the standardised effect and the right Haar prior on the scale is a test
    martingale (Lai 1976; Perez-Ortiz et al. 2024; Wang and Ramdas 2025), so by Ville's inequality its inverse bounds p at any time.

    Args:
        a, b: errors in the order of their seeds; those beyond the shorter sample wait.
        effect: sd of the prior on (difference / sd of the differences): where the sequence is tightest, not an assumption.

    Returns:
        The mean difference, its interval, t, and the anytime-valid p.
    """
    n = min(len(a), len(b))
    d = finite(a, 0)[:n] - finite(b, 0)[:n]
    if n < 2 or d.std() == 0:
        return Outcome(float(d.mean()) if n else np.nan, -np.inf, np.inf, p=1.0)
    alpha, dof = 1 - confidence, n - 1
    error, grown = d.std(ddof=1) / np.sqrt(n), 1 + n * effect**2
    t = d.mean() / error
    log_evidence = -0.5 * np.log(grown) + n / 2 * (np.log1p(t**2 / dof) - np.log1p(t**2 / (dof * grown)))
    ratio = (np.sqrt(grown) / alpha) ** (2 / n)
    half = np.inf if ratio >= grown else np.sqrt(dof * (ratio - 1) / (1 - ratio / grown)) * error
    return Outcome(float(d.mean()), float(d.mean() - half), float(d.mean() + half), float(t), dof, float(min(1.0, np.exp(-log_evidence))))
