"""Two samples of errors, a and b: tests, effect sizes, equivalence. Pure functions of arrays; lower values are better.

Every test names its null hypothesis. None assumes that the seeds of a and b belong together, but :func:`paired`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats
from scipy.special import gammaln

from analysis.sample import finite
from ltm.errors import UserError


@dataclass(frozen=True)
class Outcome:
    """What a test found: the estimate with its interval, the statistic, degrees of freedom, the two-sided p-value.

    NaN where the samples carry no such figure: a sample of one value has neither interval nor p.
    """

    estimate: float
    low: float = np.nan
    high: float = np.nan
    statistic: float = np.nan
    dof: float = np.nan
    p: float = np.nan


def by_student(estimate: float, error: float, dof: float, confidence: float) -> Outcome:
    """A t-test of estimate = 0, from its standard error."""
    if not error > 0:
        return Outcome(estimate)
    t, half = estimate / error, stats.t.ppf((1 + confidence) / 2, dof) * error
    return Outcome(estimate, estimate - half, estimate + half, t, dof, float(2 * stats.t.sf(abs(t), dof)))


def welch_from_summary(mean_a: float, sd_a: float, n_a: int, mean_b: float, sd_b: float, n_b: int, confidence: float = 0.95) -> Outcome:
    """Welch's test (1947) from published means, standard deviations and counts. Null hypothesis: equal means.

    Raises:
        UserError: a negative sd or fewer than two values.
    """
    if min(n_a, n_b) < 2 or min(sd_a, sd_b) < 0:
        raise UserError(f"sd {sd_a:g} and {sd_b:g} of n = {n_a} and {n_b}: Welch's test needs n of at least 2 and an sd of at least 0.")
    u, v = sd_a**2 / n_a, sd_b**2 / n_b
    dof = (u + v) ** 2 / (u**2 / (n_a - 1) + v**2 / (n_b - 1)) if u + v > 0 else np.nan
    return by_student(mean_a - mean_b, float(np.sqrt(u + v)), dof, confidence)


def welch(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Outcome:
    """Welch's t-test (1947): the difference of means a - b. Null hypothesis: equal means; variances may differ.

    Args:
        a, b: independent samples, shapes ``(n,)`` and ``(m,)``.
    """
    a, b = finite(a, 0), finite(b, 0)
    if min(len(a), len(b)) < 2:
        return Outcome(a.mean() - b.mean() if len(a) and len(b) else np.nan)
    return welch_from_summary(a.mean(), a.std(ddof=1), len(a), b.mean(), b.std(ddof=1), len(b), confidence)


def pooled(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Outcome:
    """Student's two-sample t-test, the paper's: difference of means. Null hypothesis: equal means, with equal variances assumed."""
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")
    dof = len(a) + len(b) - 2
    variance = (np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)) / dof
    return by_student(a.mean() - b.mean(), float(np.sqrt(variance * (1 / len(a) + 1 / len(b)))), dof, confidence)


def paired(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Outcome:
    """Student's paired t-test of a_i - b_i. Null hypothesis: mean difference 0. For seeds that share data or noise.

    Raises:
        UserError: samples of different length.
    """
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")
    if len(a) != len(b):
        raise UserError(f"pairs were asked of {len(a)} and {len(b)} seeds; expected the same seeds in both.")
    d = a - b
    return by_student(d.mean(), float(d.std(ddof=1) / np.sqrt(len(d))), len(d) - 1, confidence)


def mann_whitney(a: np.ndarray, b: np.ndarray) -> Outcome:
    """Mann and Whitney's U (1947), by scipy; estimate: probability that a seed of a beats one of b (smaller; ties half).

    Null hypothesis: both samples come from one distribution.
    """
    a, b = finite(a, 1, "first sample"), finite(b, 1, "second sample")
    found = stats.mannwhitneyu(b, a)
    return Outcome(float(found.statistic) / (len(a) * len(b)), statistic=float(found.statistic), p=float(found.pvalue))


def improvement(a: np.ndarray, b: np.ndarray) -> float:
    """Probability of improvement P(A < B) + P(A = B) / 2: a random seed of a against one of b (Agarwal et al. 2021)."""
    a, b = finite(a, 1, "first sample"), np.sort(finite(b, 1, "second sample"))
    wins = len(b) - np.searchsorted(b, a, "right") + 0.5 * (np.searchsorted(b, a, "right") - np.searchsorted(b, a, "left"))
    return float(wins.sum() / (len(a) * len(b)))


def brunner_munzel(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Outcome:
    """Brunner and Munzel's test (2000); estimate: probability of improvement, with the interval that the test inverts.

    Null hypothesis: that probability is 1/2. Shapes and variances may differ. Where one sample lies wholly below the other its
    variance is 0; the exact Mann-Whitney p-value is given then, and Clopper and Pearson's bound for min(n, m) trials.
    """
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")
    n, m = len(a), len(b)
    p = improvement(a, b)
    ranks = stats.rankdata(np.concatenate([a, b]))
    within_a, within_b = ranks[:n] - stats.rankdata(a), ranks[n:] - stats.rankdata(b)
    v_a, v_b = np.var(within_a, ddof=1) / (n * m**2), np.var(within_b, ddof=1) / (m * n**2)
    if v_a + v_b == 0:
        if p in (0.0, 1.0):
            bound = (1 - confidence) ** (1 / min(n, m))
            low, high = (bound, 1.0) if p == 1 else (0.0, 1 - bound)
            return Outcome(p, low, high, p=float(stats.mannwhitneyu(a, b, method="exact").pvalue))
        return Outcome(p)
    error = float(np.sqrt(v_a + v_b))
    dof = float((v_a + v_b) ** 2 / (v_a**2 / (n - 1) + v_b**2 / (m - 1)))
    statistic = (p - 0.5) / error
    half = float(stats.t.ppf((1 + confidence) / 2, dof)) * error
    return Outcome(p, max(p - half, 0.0), min(p + half, 1.0), float(statistic), dof, float(2 * stats.t.sf(abs(statistic), dof)))


def permutation(a: np.ndarray, b: np.ndarray, rng: np.random.Generator, resamples: int = 9999) -> Outcome:
    """Permutation test of Welch's t (Janssen 1997). Null hypothesis: one distribution; asymptotically, equal means.

    Returns:
        The difference of means, t, and the share of relabellings at least as extreme, the observed one counted.
    """
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")

    def t(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        error = np.sqrt(x.var(axis, ddof=1) / x.shape[axis] + y.var(axis, ddof=1) / y.shape[axis])
        return (x.mean(axis) - y.mean(axis)) / np.where(error > 0, error, np.inf)

    found = stats.permutation_test((a, b), t, n_resamples=resamples, vectorized=True, batch=2000, rng=rng)
    return Outcome(float(a.mean() - b.mean()), statistic=float(found.statistic), p=float(found.pvalue))


def hedges_g(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Outcome:
    """Hedges' g (1981): the difference of means in pooled standard deviations, exact small-sample correction, normal interval."""
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")
    n, m = len(a), len(b)
    dof = n + m - 2
    sd = float(np.sqrt((np.sum((a - a.mean()) ** 2) + np.sum((b - b.mean()) ** 2)) / dof))
    if sd == 0:
        return Outcome(np.nan)
    g = float(np.exp(gammaln(dof / 2) - gammaln((dof - 1) / 2)) / np.sqrt(dof / 2) * (a.mean() - b.mean()) / sd)
    half = stats.norm.ppf((1 + confidence) / 2) * np.sqrt((n + m) / (n * m) + g**2 / (2 * (n + m)))
    return Outcome(g, g - half, g + half)


def cliffs_delta(a: np.ndarray, b: np.ndarray, confidence: float = 0.95) -> Outcome:
    """Cliff's delta (1993): P(A > B) - P(A < B), in [-1, 1]; below 0 where a is better. Interval of :func:`brunner_munzel`."""
    found = brunner_munzel(a, b, confidence)
    return Outcome(1 - 2 * found.estimate, 1 - 2 * found.high, 1 - 2 * found.low, p=found.p)


def bootstrap_difference(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator, trim: float = 0.0, confidence: float = 0.95, resamples: int = 2000
) -> Outcome:
    """BCa bootstrap interval (Efron 1987) of the difference of means (``trim=0``) or of interquartile means (``trim=0.25``), by scipy."""
    a, b = finite(a, 2, "first sample"), finite(b, 2, "second sample")

    def difference(x: np.ndarray, y: np.ndarray, axis: int) -> np.ndarray:
        return stats.trim_mean(x, trim, axis=axis) - stats.trim_mean(y, trim, axis=axis)

    estimate = float(difference(a, b, 0))
    if np.ptp(a) == 0 and np.ptp(b) == 0:
        return Outcome(estimate)
    found = stats.bootstrap(
        (a, b), difference, vectorized=True, n_resamples=resamples, confidence_level=confidence, method="BCa", rng=rng
    ).confidence_interval
    return Outcome(estimate, float(found.low), float(found.high))


def almost_stochastic_order(
    a: np.ndarray, b: np.ndarray, rng: np.random.Generator, confidence: float = 0.95, resamples: int = 1000
) -> float:
    """eps_min of almost stochastic order (del Barrio et al. 2018; Dror et al. 2019): is a stochastically smaller than b?

    Null hypothesis: the violation of the order "every quantile of a lies below that of b" is at least eps; eps_min is the
    smallest eps rejected. Below 0.5 a is almost stochastically better; Ulmer et al. (2022) ask for 0.2. The quantile functions
    are steps, so their integrals are exact here.

    Returns:
        eps_min within [0, 1].
    """
    a, b = np.sort(finite(a, 2, "first sample")), np.sort(finite(b, 2, "second sample"))
    n, m = len(a), len(b)
    cuts = np.unique(np.concatenate([np.arange(1, n + 1) / n, np.arange(1, m + 1) / m]).round(12))
    widths, middles = np.diff(cuts, prepend=0.0), cuts - np.diff(cuts, prepend=0.0) / 2
    at_a, at_b = (middles * n).astype(int), (middles * m).astype(int)

    def violation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        gap = x[..., at_a] - y[..., at_b]
        whole = (gap**2) @ widths
        return np.where(whole > 0, (np.maximum(gap, 0) ** 2) @ widths / np.where(whole > 0, whole, 1), 0.5)

    drawn = violation(np.sort(rng.choice(a, (resamples, n)), 1), np.sort(rng.choice(b, (resamples, m)), 1))
    spread = float(np.std(drawn - violation(a, b)))
    return float(np.clip(violation(a, b) + stats.norm.ppf(confidence) * spread, 0, 1))


def no_worse(a: np.ndarray, b: np.ndarray, margin: float) -> Outcome:
    """Non-inferiority by Welch's t. Null hypothesis: mean(a) - mean(b) >= margin; a small p says "a is no worse than that".

    Args:
        margin: in the errors' unit, above 0. ``high`` is the one-sided 95 % bound of the difference.
    """
    found = welch(a, b, confidence=0.90)
    if not margin > 0:
        raise UserError(f"margin {margin:g}: expected a number above 0 (see --margin, in per cent of the baseline's mean).")
    if np.isnan(found.dof):
        return Outcome(found.estimate)
    error = (found.high - found.estimate) / stats.t.ppf(0.95, found.dof)
    t = (found.estimate - margin) / error
    return Outcome(found.estimate, -np.inf, found.high, float(t), found.dof, float(stats.t.cdf(t, found.dof)))


def equivalent(a: np.ndarray, b: np.ndarray, margin: float) -> Outcome:
    """Two one-sided Welch tests (Schuirmann 1987). Null hypothesis: the means differ by ``margin`` or more.

    Args:
        margin: in the errors' unit, above 0.

    Returns:
        The difference with its 90 % interval (equivalence at 0.05 holds where it lies within the margin), p of the worse side.
    """
    one, other = no_worse(a, b, margin), no_worse(b, a, margin)
    return Outcome(one.estimate, -other.high, one.high, dof=one.dof, p=float(np.maximum(one.p, other.p)))
