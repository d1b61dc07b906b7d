"""How long until success: times of which some are known only to be longer than their budget. Kaplan and Meier's curve, its median, and the log-rank test."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special, stats

from analysis.statistics import Outcome
from ltm.errors import UserError

RESAMPLES = (999, 19_999, 199_999)
"""Relabellings of a log-rank test, and more of them where fewer than ``ENOUGH`` of these are at least as extreme."""

ENOUGH = 100
BLOCK = 1_000


@dataclass(frozen=True, eq=False)
class Curve:
    """Kaplan and Meier's (1958) share of seeds that have not succeeded yet, by time.

    Attributes:
        times: at which some succeeded, ascending ``(k,)``.
        surviving: the share after each, ``(k,)``, with its pointwise 95 % interval ``low, high``.
        at_risk, events: seeds that had neither succeeded nor ended before each, and how many succeeded at it.
    """

    times: np.ndarray
    surviving: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    events: np.ndarray

    @property
    def median(self) -> Outcome:
        """The time by which half of the seeds have succeeded, with Brookmeyer and Crowley's (1982) 95 % interval; infinite where it was not reached."""
        return Outcome(*(first(self.times, bound) for bound in (self.surviving, self.low, self.high)))


def first(times: np.ndarray, share: np.ndarray) -> float:
    """The first time at which a share is at most a half; infinite where it never is."""
    there = np.flatnonzero(share <= 0.5 + 1e-12)
    return float(times[there[0]]) if len(there) else np.inf


def checked(times: np.ndarray, budget: np.ndarray | float | None) -> tuple[np.ndarray, np.ndarray]:
    """Times with the budget in the place of those not reached, and which were.

    Raises:
        UserError: no times, one that is below 0, or a budget below a time that was reached.
    """
    times = np.asarray(times, float)
    reached = np.isfinite(times)
    if times.ndim != 1 or not len(times) or (times[reached] < 0).any():
        raise UserError(
            f"times until success of shape {times.shape}; expected one axis, a value of at least 0 a seed, +inf or NaN where it was not reached."
        )
    last = times[reached].max(initial=0.0)
    ends = np.broadcast_to(np.asarray(last if budget is None else budget, float), times.shape)
    if np.isnan(ends).any() or (ends[reached] < times[reached]).any():
        raise UserError(f"a budget of {ends.min():g} and a success after {last:g}; expected a budget that no success exceeds.")
    return np.where(reached, times, ends), reached


def kaplan_meier(times: np.ndarray, budget: np.ndarray | float | None = None) -> Curve:
    """The curve of times until success ``(n,)``, +inf or NaN where a seed did not have it.

    Intervals are Greenwood's, on the scale of log(-log) (Kalbfleisch and Prentice 1980), so that they stay within 0 and 1.

    Args:
        budget: at which seeds without success ended, one or one a seed; the last success where None, which says the same where all had one budget.
    """
    ended, reached = checked(times, budget)
    at = np.unique(ended[reached])
    at_risk, events = (ended[None, :] >= at[:, None]).sum(1), ((ended == at[:, None]) & reached).sum(1)
    surviving = np.cumprod(1 - events / at_risk)
    with np.errstate(divide="ignore", invalid="ignore"):
        greenwood = np.cumsum(events / (at_risk * (at_risk - events)))
        error = np.sqrt(greenwood) / np.abs(np.log(surviving))
        low, high = (surviving ** np.exp(sign * stats.norm.ppf(0.975) * error) for sign in (1, -1))
    inside = (surviving > 0) & (surviving < 1)
    return Curve(at, surviving, np.where(inside, low, surviving), np.where(inside, high, surviving), at_risk, events)


def log_rank(a: np.ndarray, b: np.ndarray, budget: np.ndarray | float | None = None) -> Outcome:
    """The log-rank test (Mantel 1966; Peto and Peto 1972), two-sided. Null hypothesis: both succeed at one rate, at all times.

    p is the larger of chi2's, as :func:`scipy.stats.logrank`, and of the share of relabellings of the pooled seeds that are at least as extreme (exact where
    all had one budget), which is above it where seeds are few.

    Args:
        a, b: times until success ``(n,)`` and ``(m,)``, +inf or NaN where a seed did not have it within its budget.
        budget: of all seeds, or of each, those of a first; the last success of any where None.

    Returns:
        Successes of a beyond those expected, as a share of these (above 0: a is the faster), z, p; NaN where nobody succeeded.
    """
    return each_log_rank(np.asarray(a, float)[None], np.asarray(b, float)[None], budget)[0]


def each_log_rank(a: np.ndarray, b: np.ndarray, budget: np.ndarray | float | None = None) -> list[Outcome]:
    """:func:`log_rank` of many pairs of samples, ``(S, n)`` and ``(S, m)``; all are relabelled together."""
    n = a.shape[1]
    found, scores = [], np.zeros((len(a), n + b.shape[1]))
    for row, both in enumerate(np.concatenate([a, b], 1)):
        one, scores[row] = scored(*checked(both, budget), n)
        found.append(one)
    asked = np.array([row for row, one in enumerate(found) if one.p < 1], int)
    p = relabelled(scores[asked], n) if len(asked) else np.empty(0)
    for row, share in zip(asked.tolist(), p.tolist(), strict=True):
        found[row] = replace(found[row], p=max(found[row].p, share))
    return found


def scored(ended: np.ndarray, reached: np.ndarray, n: int) -> tuple[Outcome, np.ndarray]:
    """What :func:`log_rank` finds, p by chi2; and every seed's score: its success less what was expected of it by the time that it ended.

    The scores of the first sample sum to its successes beyond those expected, those of both to 0.
    """
    nothing = np.zeros(len(ended))
    if not 0 < n < len(ended) or not reached.any():
        return Outcome(np.nan), nothing
    at = np.unique(ended[reached])
    at_risk, events = (ended[None, :] >= at[:, None]).sum(1), ((ended == at[:, None]) & reached).sum(1)
    share = (ended[None, :n] >= at[:, None]).sum(1) / at_risk
    expected = float((events * share).sum())
    gap = float(reached[:n].sum() - expected)
    rest = np.divide(at_risk - events, at_risk - 1, out=np.zeros(len(at)), where=at_risk > 1)
    variance = float((events * share * (1 - share) * rest).sum())
    if variance <= 0 or abs(gap) < 1e-12:
        return Outcome(gap / expected if expected else 0.0, statistic=0.0, p=1.0), nothing
    z = gap / np.sqrt(variance)
    hazard = np.append(0.0, np.cumsum(events / at_risk))[np.searchsorted(at, ended, "right")]
    return Outcome(gap / expected, statistic=float(z), p=float(special.erfc(abs(z) / np.sqrt(2)))), reached - hazard


def relabelled(scores: np.ndarray, n: int) -> np.ndarray:
    """Share of relabellings whose n first scores sum to at least as much, or as little, as those of the seeds, of many pairs ``(S, n + m)``.

    Where few are, they are counted anew in more, which all pairs share; each count is of relabellings of its own.
    """
    least, size = np.abs(scores[:, :n].sum(1)) - 1e-9, scores.shape[1]
    p, few = np.ones(len(scores)), np.arange(len(scores))
    for stage, count in enumerate(RESAMPLES):
        rng, extreme = np.random.default_rng(30_241 + stage), np.zeros(len(few), int)
        for start in range(0, count, BLOCK):
            chosen = np.argpartition(rng.random((min(BLOCK, count - start), size)), n - 1, axis=1)[:, :n]
            labels = np.zeros((len(chosen), size))
            np.put_along_axis(labels, chosen, 1.0, 1)
            extreme += (np.abs(labels @ scores[few].T) >= least[few]).sum(0)
        p[few] = (1 + extreme) / (1 + count)
        few = few[extreme < ENOUGH]
        if not len(few):
            break
    return p
