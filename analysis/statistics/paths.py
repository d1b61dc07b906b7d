"""Does a beat b on a process? From seeds on many independent paths of it; and how much paths, seeds and models make errors vary.

The claim is about the mean over paths of theta_p = P(a < b) + P(a = b) / 2 on path p, where a and b see the same path: its level and scale cancel. Seeds of
one path say nothing of another, so the unit is the path, and no p that is right for every law of theta_p is below 2^(1 - paths): theta_p may be a coin.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from analysis.statistics import Outcome, finite, two_samples, wins
from analysis.statistics.families import ALPHA
from ltm.errors import UserError

ALL_FLIPS = 14
"""Paths up to which all sign flips are counted; of more so many are drawn:"""

FLIPS = 19_999

BETS = np.linspace(0.04, 1.96, 49)
"""Stakes of the proven bets, each on both sides, weighted by their size."""

MANY_SEEDS = 20
"""Seeds on a path beyond which shares of wins are nearly free of the seeds' noise, and may be as coarse as coins."""

LEAST_FOR_MEANS = 100
"""Paths from which the difference of means has an interval."""

AT_ONCE = 500


def floor(paths: int) -> float:
    """The least p that any right test of the mean of theta_p can give for so many paths: 2^(1 - paths)."""
    return float(2.0 ** (1 - paths))


def least_paths(tests: int, alpha: float = ALPHA) -> int:
    """Paths from which a verdict is possible among so many claims."""
    return next(paths for paths in itertools.count(2) if floor(paths) * max(tests, 1) < alpha)


def thetas(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """theta_p of every path, the share of its n seeds of a that win against its m of b (ties half, diverged seeds, +inf, last), and its sampling variance v.

    Args:
        a, b: errors of every path, arrays of any length above 0.

    Returns:
        theta and v (Brunner and Munzel 2000), ``(P,)`` each; v is NaN where a sample has one seed.
    """
    found = np.full((2, len(a)), np.nan)
    sizes = [(len(x), len(y)) for x, y in zip(a, b, strict=True)]
    for size in set(sizes):
        rows = [i for i, one in enumerate(sizes) if one == size]
        found[:, rows] = wins.thetas(np.stack([a[i] for i in rows]), np.stack([b[i] for i in rows]))
    return found[0], found[1]


def guard(seeds: int) -> float:
    """What is added to the sum of squares of theta_p: a quarter, a half for many seeds, so that a few paths that happen to agree are not taken for all."""
    return 0.25 if seeds <= MANY_SEEDS else 0.5


def p_values(theta: np.ndarray, seeds: int, flips: int = FLIPS) -> tuple[np.ndarray, np.ndarray]:
    """The default test of a process, of many claims at once. Null hypothesis: the mean over paths of theta_p is 1/2.

    p is the largest of three: Student's t with :func:`guard` in the sum of squares, the share of sign flips of theta_p - 1/2 whose sum is at least as far
    from 0 (Fisher 1935), and :func:`floor`. Measured, not proven (``benchmarks/calibration``); :func:`proven` is.

    Args:
        theta: ``(S, P)``, of one claim a row.
        seeds: of a condition on a path, the most of any.
        flips: drawn where there are too many paths for all flips.

    Returns:
        t and p, ``(S,)`` each; p is 1 for fewer than 2 paths.
    """
    S, P = theta.shape
    if P < 2:
        return np.full(S, np.nan), np.ones(S)
    t = (theta.mean(1) - 0.5) / standard_error(theta, seeds)
    p = np.maximum(2 * stats.t.sf(np.abs(t), P - 1), floor(P))
    signs = flipped(P, flips)
    for start in range(0, S, AT_ONCE):
        gaps = theta[start : start + AT_ONCE].T - 0.5
        far = (np.abs(signs @ gaps) >= np.abs(gaps.sum(0)) - 1e-9).sum(0)
        share = far / len(signs) if P <= ALL_FLIPS else (1 + far) / (1 + len(signs))
        p[start : start + AT_ONCE] = np.maximum(p[start : start + AT_ONCE], share)
    return t, np.minimum(p, 1.0)


def standard_error(theta: np.ndarray, seeds: int) -> np.ndarray:
    """Of the mean over paths of ``(S, P)``, guarded."""
    P = theta.shape[1]
    return np.asarray(np.sqrt((((theta - theta.mean(1, keepdims=True)) ** 2).sum(1) + guard(seeds)) / (P * (P - 1))))


@lru_cache(maxsize=8)
def flipped(P: int, flips: int) -> np.ndarray:
    """Signs of P paths: all 2^P ways, or so many drawn ones, the same at every call."""
    if P <= ALL_FLIPS:
        return np.array(list(itertools.product((-1.0, 1.0), repeat=P)))
    return np.random.default_rng(P).choice([-1.0, 1.0], (flips, P))


def mean_over_paths(theta: np.ndarray, seeds: int, flips: int = FLIPS) -> Outcome:
    """The mean of theta_p ``(P,)`` with its 95 % interval, cut to [0, 1], and the p of :func:`p_values`. Coverage, measured: 0.951 and more."""
    theta = finite(theta, name="paths' shares of wins")
    P, mean = len(theta), float(theta.mean())
    if P < 2:
        return Outcome(mean, 0.0, 1.0, p=1.0)
    (t,), (p,) = p_values(theta[None], seeds, flips)
    half = float(stats.t.ppf(0.975, P - 1) * standard_error(theta[None], seeds)[0])
    return Outcome(mean, max(mean - half, 0.0), min(mean + half, 1.0), float(t), P - 1, float(p))


def proven(theta: np.ndarray) -> np.ndarray:
    """p that may be read after every path, proven for every law of theta_p. Null hypothesis: its mean is 1/2, given the paths before.

    Bets on either side of 1/2 with stakes 0.04 to 1.96, weighted by their size: each is a martingale of mean 1, so one over the most that their mixture
    has ever been is a p at any time (Ville; Waudby-Smith and Ramdas 2024). Seven paths can show a mean of 1 at 0.05, 18 one of 0.66 that is the same on all.

    Args:
        theta: ``(S, P)``, paths in an order that was fixed before.
    """
    stakes, weights = np.concatenate([BETS, -BETS]), np.log(np.concatenate([BETS, BETS]) / (2 * BETS.sum()))
    most, held = np.zeros(len(theta)), np.zeros((len(theta), len(stakes)))
    for of_path in theta.T:
        held += np.log1p(stakes * (of_path[:, None] - 0.5))
        most = np.maximum(most, logsumexp(held + weights, axis=1))
    return np.asarray(np.exp(-most))


def between(x: np.ndarray, v: np.ndarray) -> Outcome:
    """The sd of a figure between paths, freed of its sampling variance, with a 95 % interval (Q-profile with equal weights; Viechtbauer 2007).

    Of theta_p it covers, measured, in 0.93 to 0.99; of paths' means only if path effects are about normal. NaN for fewer than two paths, or where v is not known.

    Args:
        x, v: the figure and its sampling variance on every path, ``(P,)`` each.
    """
    P = len(x)
    if P < 2 or np.isnan(v).any():
        return Outcome(np.nan)
    square, noise = float(np.var(x, ddof=1)), float(v.mean())
    ends = [(P - 1) * square / float(stats.chi2.ppf(at, P - 1)) - noise for at in (0.975, 0.025)]
    sd, low, high = np.sqrt(np.maximum([square - noise, *ends], 0.0)).tolist()
    return Outcome(sd, low, high, dof=P - 1)


def mean_difference(gaps: np.ndarray) -> Outcome:
    """Student's t interval of the mean over paths of differences of means ``(P,)``, from :data:`LEAST_FOR_MEANS` paths; never a verdict.

    Null hypothesis of its p: a mean of 0. With fewer paths its level is up to 0.35 where some paths lie far out.
    """
    gaps = finite(gaps, name="paths' differences of means")
    if len(gaps) < LEAST_FOR_MEANS:
        return Outcome(float(gaps.mean()) if len(gaps) else np.nan)
    return two_samples.by_student(float(gaps.mean()), float(gaps.std(ddof=1) / np.sqrt(len(gaps))), len(gaps) - 1, 0.95)


def two_way(table: np.ndarray, v: float = 0.0) -> dict[str, float]:
    """Components of variance of rows, columns and their product, by the analysis of variance (Searle, Casella and McCulloch 1992, chapter 4).

    Args:
        table: a value for each row (path) and column (seed, or model), ``(R, C)``, both of at least 2.
        v: sampling variance of a value, which is taken off the product.

    Returns:
        ``rows, columns, product``: roots of the components, 0 where an estimate is below it; NaN for a smaller table.
    """
    if table.ndim != 2:
        raise UserError(f"the table has shape {table.shape}; expected rows and columns.")
    R, C = table.shape
    if R < 2 or C < 2:
        return dict.fromkeys(("rows", "columns", "product"), np.nan)
    of_rows, of_columns = table.mean(1, keepdims=True), table.mean(0, keepdims=True)
    rest = float(((table - of_rows - of_columns + table.mean()) ** 2).sum()) / ((R - 1) * (C - 1))
    squares = (float(np.var(of_rows, ddof=1)) - rest / C, float(np.var(of_columns, ddof=1)) - rest / R, rest - v)
    return dict(zip(("rows", "columns", "product"), np.sqrt(np.maximum(squares, 0.0)).tolist(), strict=True))


def one_way(scores: Sequence[np.ndarray]) -> dict[str, float]:
    """Random effects of draws and of seeds within them, by the analysis of variance (Searle, Casella and McCulloch 1992, chapter 3).

    Args:
        scores: of every draw an array, of any length.

    Returns:
        ``mean``: of the draws' means. ``sd_draws, sd_seeds``: roots of the components, that of draws 0 where its estimate is below it. ``share``: the draws'
        variance in the sum of both. ``low, high``: its 95 % interval by the F distribution, exact where draws have as many seeds each and all is normal. NaN
        where no draw has two seeds, or nothing varies.
    """
    sizes, means = np.array([len(one) for one in scores]), np.array([one.mean() for one in scores])
    k, n = len(scores), int(sizes.sum())
    out = {"mean": float(means.mean()), "sd_draws": np.nan, "sd_seeds": np.nan, "share": np.nan, "low": np.nan, "high": np.nan}
    if n == k:
        return out
    within = sum(float(((one - one.mean()) ** 2).sum()) for one in scores) / (n - k)
    between = float((sizes * (means - float(sizes @ means) / n) ** 2).sum()) / (k - 1)
    each = (n - (sizes**2).sum() / n) / (k - 1)
    draws = max(0.0, (between - within) / each)
    out |= {"sd_draws": float(np.sqrt(draws)), "sd_seeds": float(np.sqrt(within))}
    if draws + within > 0:
        out["share"] = draws / (draws + within)
    if within > 0:
        for name, at in (("low", 0.975), ("high", 0.025)):
            ratio = between / within / float(stats.f.ppf(at, k - 1, n - k))
            out[name] = max(0.0, (ratio - 1) / (ratio - 1 + each))
    return out
