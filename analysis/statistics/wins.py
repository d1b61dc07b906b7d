"""Does a seed of a beat a seed of b more often than not? The default verdict, its effects, and "no worse" on the same footing.

The question is about theta = P(a < b) + P(a = b) / 2 and takes errors by their order alone, so a diverged seed (+inf) counts as worse than
every finished one and equal to another diverged one (Lachin 1999), and no third model has a say. Tests of means cannot hold where one model is
steady and another has a heavy tail (Bahadur and Savage 1956); this one does, as ``benchmarks/calibration`` measures.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from scipy import special, stats

from analysis.statistics import Outcome, errors, relabelling
from ltm.errors import UserError

GRID = np.linspace(0.0, 1.0, 10_001)
"""Values of theta that an interval is read from."""

PAIRS_AT_ONCE = 20_000

DIGITS = 9
"""Decimals of scores that are compared once a margin in points is granted."""

FINEST = len(relabelling.RESAMPLES) - 1


def floor(n: int, m: int) -> float:
    """The least p that any right test of theta can give for n against m seeds: 2^(1 - min(n, m)).

    Where a is a lump and b a spike in its middle the seeds are min(n, m) tosses of a coin.
    """
    return float(2.0 ** (1 - min(n, m)))


def against_constant(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """p of the exact sign test of y against the one value that all of x have; 0 where they have several."""
    lump = np.flatnonzero((x == x[:, :1]).all(1))
    p = np.zeros(len(x))
    if len(lump):
        p[lump] = each_signs(y[lump], x[lump, :1])[1]
    return p


def p_values(x: np.ndarray, y: np.ndarray, finest: int = FINEST) -> tuple[np.ndarray, np.ndarray]:
    """The default test of many pairs of samples at once. Null hypothesis: theta = 1/2.

    p is the largest of four: the share of relabellings of the pooled seeds with a C at least as large (Janssen 1997; Neubert and Brunner
    2007), the same for D, P(chi2_1 > C^2), and that of tossed coins (:func:`analysis.statistics.relabelling.coin`; where all seeds of a sample have one
    error the other's are the tosses, :func:`against_constant`). C = 2 |theta - 1/2| sqrt(theta (1 - theta) / v) carries the variance v of
    Brunner and Munzel (2000) to theta = 1/2, as Schueuerhuis, Konietschke and Brunner (2025) do;
    D = |theta - 1/2| / sqrt(v + 1 / (n (n - 1)) + 1 / (m (m - 1))) guards against a steady model of which a few seeds diverge.

    Args:
        x, y: errors ``(S, n)`` and ``(S, m)``, +inf for diverged seeds.
        finest: up to which of :data:`analysis.statistics.relabelling.RESAMPLES` a small share is counted anew.

    Returns:
        theta and p, ``(S,)`` each.
    """
    (S, n), m = x.shape, y.shape[1]
    theta, p = np.empty(S), np.empty(S)
    for start in range(0, S, PAIRS_AT_ONCE):
        part = slice(start, start + PAIRS_AT_ONCE)
        theta[part], p[part] = _p_values(x[part], y[part], n, m, finest)
    return theta, p


def _p_values(x: np.ndarray, y: np.ndarray, n: int, m: int, finest: int) -> tuple[np.ndarray, np.ndarray]:
    pooled = np.concatenate([x, y], 1)
    order = np.argsort(pooled, axis=1, kind="stable")
    ordered = np.take_along_axis(pooled, order, 1)
    theta, _, c, d, coin = relabelling.of_rows(ordered, order < n, n, m)
    p = np.max([special.erfc(c / np.sqrt(2)), coin, against_constant(x, y), against_constant(y, x)], axis=0)
    plain = (ordered[:, 1:] != ordered[:, :-1]).all(1)
    patterns: dict[relabelling.Grid, list[int]] = {tuple(range(1, n + m + 1)): np.flatnonzero(plain).tolist()}
    tied: dict[int, relabelling.Grid] = {}
    for row in np.flatnonzero(~plain).tolist():
        ends = relabelling.groups_of(ordered[row])
        if relabelling.has_finite_ties(ends):
            tied[row] = ends
        else:
            patterns.setdefault(ends, []).append(row)
    for ends, rows in patterns.items():
        if rows:
            shares = relabelling.of_law(partial(relabelling.two_samples, n, m, ends), (c[rows], d[rows]))
            p[rows] = np.maximum(p[rows], relabelling.refined(shares, len(rows), finest))
    if tied:
        rows = list(tied)
        shares = relabelling.counted(n, m, list(tied.values()), (c[rows], d[rows]))
        p[rows] = np.maximum(p[rows], relabelling.refined(shares, len(rows), min(finest, 1)))
    return theta, np.minimum(p, 1.0)


def thetas(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """theta of many pairs of samples ``(S, n)`` and ``(S, m)``, and its variance v, without a test."""
    together = np.concatenate([x, y], 1)
    order = np.argsort(together, axis=1, kind="stable")
    theta, v, *_ = relabelling.of_rows(np.take_along_axis(together, order, 1), order < x.shape[1], x.shape[1], y.shape[1])
    return theta, v


def beats(x: np.ndarray, y: np.ndarray, p: float | None = None) -> Outcome:
    """theta with its 95 % interval, C and the p of :func:`p_values` for one pair of samples, ``(n,)`` and ``(m,)``.

    NaN where a sample is empty. With one seed on a side p is 1 and the interval says nothing.

    Args:
        p: of this pair, where it is known already.
    """
    x, y = errors(x, "first sample"), errors(y, "second sample")
    if not (len(x) and len(y)):
        return Outcome(np.nan)
    n, m = len(x), len(y)
    ordered, labels = pooled(x, y)
    ends = relabelling.groups_of(ordered)
    theta, v, c, _ = relabelling.placed(np.append(0, labels.cumsum()), np.array(ends), n, m)
    low, high = theta_interval(theta, v, n, m, without_ties(x, y))
    return Outcome(theta, low, high, c, np.nan, float(p_values(x[None], y[None])[1][0]) if p is None else p)


def without_ties(x: np.ndarray, y: np.ndarray) -> relabelling.Grid:
    """The groups of both samples' pooled seeds as if no two finished ones had one error: intervals take their law from these, which is kept."""
    size, diverged = len(x) + len(y), int(np.isinf(x).sum() + np.isinf(y).sum())
    return (*range(1, size - diverged + 1), *([size] if diverged else []))


def pooled(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both samples in ascending order, and which values are of the first."""
    together = np.concatenate([x, y])
    order = np.argsort(together, kind="stable")
    return together[order], order < len(x)


def theta_interval(theta: float, v: float, n: int, m: int, ends: relabelling.Grid) -> tuple[float, float]:
    """The 95 % interval of theta: all t with (theta - t)^2 <= c^2 max(k t (1 - t), N(t)).

    N is the variance of Newcombe (2006, method 5), k = v / (theta (1 - theta)), and c the 0.95 quantile of C under relabelling, at least
    1.96. Coverage at theta of 0.7 to 0.97: 0.91 to 1.00.
    """
    few = min(n, m)
    if few < 2:
        return 0.0, 1.0
    inside = theta * (1 - theta)
    k = v / inside if inside > 0 and v > 0 else 1 / few
    c = max(stats.norm.ppf(0.975), relabelling.two_samples(n, m, ends).quantile(0, 0.95))
    M, t = (n + m) / 2, GRID
    newcombe = t * (1 - t) / (n * m) * (2 * M - 1 - (3 * M - 3) / ((2 - t) * (1 + t)))
    with np.errstate(invalid="ignore"):
        within = GRID[(theta - t) ** 2 <= c**2 * np.maximum(k * t * (1 - t), newcombe)] if np.isfinite(c) else GRID
    low, high = (min(theta, within[0]), max(theta, within[-1])) if len(within) else (theta, theta)
    bound = 0.025 ** (1 / few)
    if theta == 1:
        low = min(low, bound)
    if theta == 0:
        high = max(high, 1 - bound)
    if floor(n, m) > 0.05:
        low, high = min(low, 0.5), max(high, 0.5)
    return float(low), float(high)


def typical_difference(x: np.ndarray, y: np.ndarray) -> Outcome:
    """How much: the median of all differences x_i - y_j (Hodges and Lehmann 1963), in the unit of the errors, with a 95 % interval.

    The interval holds the shifts d that :func:`p_values` of x - d against y does not reject at 0.05. Pairs of two diverged seeds say nothing
    and are left out; the estimate is infinite where more than half of the others have one diverged seed on the same side.
    """
    x, y = errors(x, "first sample"), errors(y, "second sample")
    n, m = len(x), len(y)
    with np.errstate(invalid="ignore"):
        every = np.sort((x[:, None] - y[None, :]).ravel())
    every = every[~np.isnan(every)]
    if not len(every):
        return Outcome(np.nan)
    with np.errstate(invalid="ignore"):
        estimate = float(np.median(every))
    there = np.unique(every[np.isfinite(every)])
    if min(n, m) < 2 or not len(there) or floor(n, m) >= 0.05:
        return Outcome(estimate, -np.inf, np.inf)
    between = (there[1:] + there[:-1]) / 2
    shifts = np.concatenate([[there[0] - 1 - abs(there[0])], between, [there[-1] + 1 + abs(there[-1])]])
    middle = int(np.searchsorted(shifts, np.clip(estimate, shifts[0], shifts[-1])).clip(0, len(shifts) - 1))

    law = relabelling.two_samples(n, m, without_ties(x, y))
    c = max(law.critical(0), float(stats.norm.ppf(0.975)))
    low, high = relabelling.shifts_kept(np.sort(x), np.sort(y), shifts, middle, c, law.critical(1), 0.05)
    return Outcome(
        estimate,
        -np.inf if low == 0 else float(there[low - 1]),
        np.inf if high == len(shifts) - 1 else float(there[high]),
    )


def signs(a: np.ndarray, b: np.ndarray) -> Outcome:
    """The exact sign test of a_i < b_i, for seeds that share their initial parameters. Null hypothesis: half of the untied pairs.

    Returns:
        The share of untied pairs that a wins with Clopper and Pearson's 95 % interval (1934), the count of untied pairs as ``dof``, p; NaN
        where all are tied.
    """
    a, b = paired(a, b)
    won, untied = int((a < b).sum()), int((a != b).sum())
    if not untied:
        return Outcome(np.nan, dof=0)
    low = float(stats.beta.ppf(0.025, won, untied - won + 1)) if won else 0.0
    high = float(stats.beta.ppf(0.975, won + 1, untied - won)) if won < untied else 1.0
    return Outcome(won / untied, low, high, float(won), untied, float(sign_p(np.array(won), np.array(untied))))


def each_signs(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """:func:`signs` of many pairs of samples at once, ``(S, n)`` each: the share of untied pairs that a wins, 1/2 where all are tied, and p."""
    won, untied = (a < b).sum(1), (a != b).sum(1)
    return np.where(untied > 0, won / np.maximum(untied, 1), 0.5), sign_p(won, untied)


def sign_p(won: np.ndarray, untied: np.ndarray) -> np.ndarray:
    """Exact two-sided p of so many wins among the untied pairs; 1 where there are none."""
    return np.minimum(2 * stats.binom.cdf(np.minimum(won, untied - won), untied, 0.5), 1.0)


def paired_difference(a: np.ndarray, b: np.ndarray) -> Outcome:
    """The median of a_i - b_i with the 95 % interval that the sign test inverts; pairs of two diverged seeds are left out."""
    a, b = paired(a, b)
    with np.errstate(invalid="ignore"):
        gap = np.sort(a - b)
    gap = gap[~np.isnan(gap)]
    n = len(gap)
    if not n:
        return Outcome(np.nan)
    outside = int(stats.binom.ppf(0.025, n, 0.5))  # values on either side that the interval leaves out
    low, high = (gap[outside - 1], gap[n - outside]) if outside and floor(n, n) < 0.05 else (-np.inf, np.inf)
    with np.errstate(invalid="ignore"):
        return Outcome(float(np.median(gap)), float(low), float(high))


def paired(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both samples, checked to have a value a seed.

    Raises:
        UserError: samples of different length.
    """
    a, b = errors(a, "first sample"), errors(b, "second sample")
    if len(a) != len(b):
        raise UserError(f"pairs were asked of {len(a)} and {len(b)} seeds; expected the same seeds in both.")
    return a, b


def no_worse(x: np.ndarray, y: np.ndarray, margin: float, pairs: bool = False) -> float:
    """p of "x is no worse than y by more than the margin": the default test of x / (1 + margin / 100) against y, one-sided.

    Args:
        margin: per cent of an error, above 0.
        pairs: the seeds belong together: the sign test takes the place of :func:`p_values`.
    """
    return float(each_no_worse(x[None], y[None], margin, pairs)[0]) if len(x) and len(y) else np.nan


def check_margin(margin: float) -> None:
    """Raises UserError for a margin that is no finite number above 0."""
    if not 0 < margin < np.inf:
        raise UserError(f"margin is {margin:g} per cent; expected a number above 0.")


def with_margin(x: np.ndarray, y: np.ndarray, margin: float, sign: int = 1, points: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Errors of which those of x are granted a margin: x is no worse than y by more where it now wins against y. Arguments as of :func:`each_no_worse`."""
    check_margin(margin)
    if points:  # an accuracy is a count over a count: equal ones must stay equal once the margin is granted
        return np.round(x - margin / points, DIGITS), np.round(y, DIGITS)
    return (x / (1 + margin / 100) if sign > 0 else x * (1 + margin / 100)), y


def each_no_worse(
    x: np.ndarray, y: np.ndarray, margin: float, pairs: bool = False, finest: int = FINEST, sign: int = 1, points: float = 0.0
) -> np.ndarray:
    """:func:`no_worse` of many pairs of samples at once, ``(S, n)`` and ``(S, m)``; ``finest`` as for :func:`p_values`.

    Args:
        sign: -1 for scores, higher is better, with their signs turned: x is then multiplied by 1 + margin / 100.
        points: percentage points in 1 of a score, where the margin is in these: it is taken off x.
    """
    granted, y = with_margin(x, y, margin, sign, points)
    if pairs and x.shape != y.shape:
        raise UserError(f"pairs were asked of {x.shape[1]} and {y.shape[1]} seeds; expected the same seeds in both.")
    theta, p = each_signs(granted, y) if pairs else p_values(granted, y, finest)
    return np.where(theta > 0.5, p / 2, 1.0)


def equivalent(x: np.ndarray, y: np.ndarray, margin: float, pairs: bool = False) -> float:
    """p of "neither is worse by more than the margin": the larger of both directions of :func:`no_worse`."""
    return float(np.maximum(no_worse(x, y, margin, pairs), no_worse(y, x, margin, pairs)))
