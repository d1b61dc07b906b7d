"""Does one recurrent cell really beat another? Comparisons of conditions, each a question about their seeds alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from analysis.statistics import Outcome, sequential, two_samples, wins
from analysis.statistics.success import shares, survival
from analysis.study import Condition, Study
from ltm.errors import UserError, unknown

AGAINST = ("rnn", "lstm")
"""The cells that a report holds every other condition against."""

Pair = tuple[Condition, Condition]


@dataclass(frozen=True, eq=False)
class Comparison:
    """Condition a against condition b of one series.

    Attributes:
        theta: probability that a seed of a has the smaller error than one of b (of a pair that shares its start, where seeds are ``paired``), with its
            95 % interval; diverged seeds last. p is two-sided; null hypothesis: theta = 1/2.
        difference: how much, in the metric's unit: the median difference a - b (Hodges and Lehmann) with its 95 % interval.
        means: difference of the means over finished seeds, with its uncorrected 95 % interval and p: from 100 seeds in both and none diverged.
        p_no_worse: one-sided; null hypothesis: a is worse by the margin or more; ``p_equivalent``: neither is worse by that.
        anytime: may be read after every pack of ten seeds.
        p_adjusted, p_no_worse_adjusted, p_equivalent_adjusted: corrected over their family, NaN until :func:`analysis.studies.verdicts.judge` has.
        verdict: better, worse, one of :data:`analysis.studies.verdicts.DISAGREE`, equivalent, no worse, too few seeds or undecided.
    """

    a: Condition
    b: Condition
    theta: Outcome
    difference: Outcome
    means: Outcome
    p_no_worse: float
    p_equivalent: float
    anytime: sequential.Reading
    p_adjusted: float = np.nan
    p_no_worse_adjusted: float = np.nan
    p_equivalent_adjusted: float = np.nan
    verdict: str = ""

    @property
    def dataset(self) -> str:
        return self.a.dataset

    @property
    def paired(self) -> bool:
        """Whether seeds share their initial parameters: the sign test (:func:`analysis.statistics.wins.signs`) takes the place of the default one."""
        return self.a.pairs_with(self.b)

    @property
    def test(self) -> str:
        """By what the verdict is found, a key of :data:`TESTS`."""
        return test_of(self.a, self.b)

    @property
    def percent(self) -> float:
        """The difference in per cent of b's median, NaN where that is 0 or infinite; of a share in percentage points."""
        return self.a.relative(self.difference.estimate, self.b.median)

    def row(self) -> dict[str, Any]:
        a, b = self.a, self.b
        return {
            "dataset": self.dataset, "a": a.label, "b": b.label, "n_a": len(a.errors), "n_b": len(b.errors), "diverged_a": a.diverged,
            "diverged_b": b.diverged, "test": self.test, "theta": self.theta.estimate, "theta_low": self.theta.low,
            "theta_high": self.theta.high, "difference": self.difference.estimate, "low": self.difference.low, "high": self.difference.high,
            "percent": self.percent, "p": self.theta.p, "p_no_worse": self.p_no_worse, "p_equivalent": self.p_equivalent, "mean_a": a.mean,
            "mean_b": b.mean, "mean_difference": self.means.estimate, "mean_low": self.means.low, "mean_high": self.means.high, "p_mean": self.means.p,
            "packs": self.anytime.packs, "p_anytime": self.anytime.p, "p_adjusted": self.p_adjusted,
            "p_no_worse_adjusted": self.p_no_worse_adjusted, "p_equivalent_adjusted": self.p_equivalent_adjusted, "verdict": self.verdict,
        }  # fmt: skip


def pairs_of(study: Study, a: str, b: str) -> list[Pair]:
    """Two models (``mrnn``) or two conditions (``mrnn K=100 / tree``) on every series that both were trained on, each pair once.

    Raises:
        UserError: an unknown name (the known are listed), or no series in common.
    """
    known = {name for one in study for name in one.names}
    for name in (a, b):
        if name not in known:
            raise unknown("model or condition", name, known)
    pairs: dict[frozenset[str], Pair] = {}
    for conditions in study.series.values():
        firsts, seconds = ([one for one in conditions if name in one.names] for name in (a, b))
        for x, y in itertools.product(firsts, seconds):
            if x is not y:
                pairs.setdefault(frozenset((x.label, y.label)), (x, y))
    if not pairs:
        raise UserError(f"'{a}' and '{b}' share no series in this study; nothing can be compared.")
    return list(pairs.values())


def pairs_against(study: Study, models: Sequence[str] = AGAINST) -> list[Pair]:
    """Every condition against those of these models on the same series, each pair once; where there is none of them, against the first of the series.

    Of a model whose K alone is varied, the trend is asked for, not every pair.
    """
    found: dict[frozenset[str], Pair] = {}
    for conditions in study.series.values():
        others = [one for one in conditions if one.model in models]
        for x, y in itertools.product(conditions, others or conditions[:1]):
            if x is not y and (others or x.family != y.family):
                found.setdefault(frozenset((x.label, y.label)), (x, y))
    return list(found.values())


def test_of(a: Condition, b: Condition) -> str:
    """The test of a pair: of wins; of signs where seeds share their start; of shares, exact, for success; of rates for a time until it; bets where
    results decided how many seeds there are."""
    if a.anytime:
        return "bets"
    return "signs" if a.pairs_with(b) else {"success": "shares", "time": "log-rank"}.get(a.kind, "wins")


def comparisons(pairs: Iterable[Pair], margin: float) -> list[Comparison]:
    """Every pair compared, no p corrected yet.

    Args:
        margin: of "no worse", in per cent of a score, or in points of a share.
    """
    pairs = list(pairs)
    theta, p = tested(pairs)
    no_worse, other_way = (margins(some, margin) for some in (pairs, [(b, a) for a, b in pairs]))
    equivalent = np.maximum(no_worse, other_way)
    return [compared(a, b, float(theta[i]), float(p[i]), float(no_worse[i]), float(equivalent[i])) for i, (a, b) in enumerate(pairs)]


def tested(pairs: Sequence[Pair], finest: int = wins.FINEST) -> tuple[np.ndarray, np.ndarray]:  # noqa: PT028 (no test)
    """theta and the two-sided p of every pair by :func:`test_of`; where log-rank's direction is not that of theta, as the curves cross, p is 1.

    Args:
        finest: as of :func:`analysis.statistics.wins.p_values`.
    """
    theta, p = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    for (_, _, test), rows, x, y in alike(pairs):
        if test == "bets":
            readings = [read(*pairs[i]) for i in rows]
            theta[rows], p[rows] = [one.theta for one in readings], [one.p for one in readings]
        elif test == "signs":
            theta[rows], p[rows] = wins.each_signs(x, y)
        elif test == "wins":
            theta[rows], p[rows] = wins.p_values(x, y, finest)
        elif test == "shares":
            theta[rows] = 0.5 + (y.mean(1) - x.mean(1)) / 2  # errors are successes with their signs turned
            p[rows] = [shares.barnard(*of_shares(*pairs[i])).p for i in rows]
        else:
            theta[rows], _ = wins.thetas(x, y)
            found = survival.each_log_rank(x, y)
            p[rows] = [one.p if one.statistic * (of - 0.5) > 0 else 1.0 for one, of in zip(found, theta[rows], strict=True)]
    return theta, p


def of_shares(a: Condition, b: Condition) -> tuple[int, int, int, int]:
    """Successes and seeds of a, and of b."""
    return int(-a.errors.sum()), len(a.errors), int(-b.errors.sum()), len(b.errors)


def margins(pairs: Sequence[Pair], margin: float) -> np.ndarray:
    """One-sided p of "a is no worse than b by more than the margin" of every pair; NaN where some score is below 0."""
    p, asked = np.full(len(pairs), np.nan), np.array([i for i, (a, b) in enumerate(pairs) if not (a.below_0 or b.below_0)], int)
    for (_, _, test), rows, x, y in alike([pairs[i] for i in asked]):
        first = pairs[asked[rows[0]]][0]
        if test == "bets":
            p[asked[rows]] = [no_worse_so_far(pairs[i], margin) for i in asked[rows]]
        elif first.kind == "success":
            p[asked[rows]] = [shares.no_worse(*of_shares(*pairs[i]), margin / 100) for i in asked[rows]]
        else:
            p[asked[rows]] = wins.each_no_worse(x, y, margin, test == "signs", sign=first.sign, points=first.points)
    return p


def alike(pairs: Sequence[Pair]) -> Iterable[tuple[tuple[int, int, str], np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of equal sizes and of one test together: their places among the pairs, and their errors ``(S, n)`` and ``(S, m)``."""
    groups: dict[tuple[int, int, str], list[int]] = {}
    for i, (a, b) in enumerate(pairs):
        groups.setdefault((len(a.errors), len(b.errors), test_of(a, b)), []).append(i)
    for key, rows in groups.items():
        yield key, np.array(rows), np.stack([pairs[i][0].errors for i in rows]), np.stack([pairs[i][1].errors for i in rows])


def compared(a: Condition, b: Condition, theta: float, p: float, no_worse: float, equivalent: float) -> Comparison:
    """One comparison with its effects, from the p-values that were found."""
    together, reading = a.pairs_with(b), read(a, b, interval=a.anytime)
    if a.anytime:
        gap = wins.typical_difference(a.errors, b.errors)
        means, typical = Outcome(np.nan), replace(gap, low=np.nan, high=np.nan).turned(a.sign)
        return Comparison(a, b, Outcome(theta, reading.low, reading.high, p=p), typical, means, no_worse, equivalent, reading)
    if a.kind == "success":
        return Comparison(a, b, *of_success(a, b, theta, p), Outcome(np.nan), no_worse, equivalent, reading)
    beats = wins.signs(a.errors, b.errors) if together else wins.beats(a.errors, b.errors, p)
    gap = wins.paired_difference(a.errors, b.errors) if together else wins.typical_difference(a.errors, b.errors)
    means = difference_of_means(a, b).turned(a.sign)
    return Comparison(a, b, replace(beats, estimate=theta, p=p), gap.turned(a.sign), means, no_worse, equivalent, reading)


def read(a: Condition, b: Condition, interval: bool = False) -> sequential.Reading:
    """The verdict that may be read at any time."""
    return sequential.anytime(*sequential.packs(a.seeds, a.errors, b.seeds, b.errors), pairs=a.pairs_with(b), interval=interval)


def no_worse_so_far(pair: Pair, margin: float) -> float:
    """One-sided p, at any time, of "a is worse than b by more than the margin"; NaN of success, where a margin makes every tie a win."""
    a, b = pair
    if a.kind == "success":
        return np.nan
    x, y = wins.with_margin(*sequential.packs(a.seeds, a.errors, b.seeds, b.errors), margin, a.sign, a.points)
    found = sequential.directed(x, y, a.pairs_with(b)).of_a
    return float(min(1.0, np.exp(-found[-1]))) if len(found) else 1.0


def of_success(a: Condition, b: Condition, theta: float, p: float) -> tuple[Outcome, Outcome]:
    """How often a succeeds where b does not, ties half; and the difference of the shares of seeds that succeed with Newcombe's interval."""
    together = a.pairs_with(b)
    gap = shares.newcombe_paired(-a.errors, -b.errors) if together else shares.newcombe(*of_shares(a, b))
    beats = wins.signs(a.errors, b.errors) if together else Outcome(theta, 0.5 + gap.low / 2, 0.5 + gap.high / 2)
    return replace(beats, estimate=theta, p=p), gap


def difference_of_means(a: Condition, b: Condition) -> Outcome:
    """The second statement, where it may be made: from 100 seeds in both samples, and none diverged. Times until success have no mean."""
    if a.kind == "time":
        return Outcome(np.nan)
    if a.diverged + b.diverged or min(len(a.errors), len(b.errors)) < two_samples.LEAST_FOR_MEANS:
        return Outcome(np.nan)
    if a.pairs_with(b):  # of the differences
        return two_samples.means(a.errors - b.errors, np.zeros(len(b.errors)))
    return two_samples.means(a.errors, b.errors)


def every_test(a: Condition, b: Condition, rng: np.random.Generator) -> pd.DataFrame:
    """Every test and effect size of two conditions, uncorrected: ``test, about, estimate, low, high, p``; none of them is the verdict.

    Those of means and of the paper are of finished seeds. ``about`` names the null hypothesis.
    """
    x, y = (one.errors[np.isfinite(one.errors)] for one in (a, b))
    if a.kind == "success":
        return success_tests(a, b)
    reading = read(a, b, interval=True)
    rows: list[tuple[str, str, Outcome]] = [
        (f"wins{' (the default)' if test_of(a, b) == 'wins' else ''}", "a beats b as often as b beats a", wins.beats(a.errors, b.errors)),
        (f"wins, read after each pack of 10 ({reading.packs} so far)", "the same, at every reading at once",
         Outcome(reading.theta, reading.low, reading.high, p=reading.p)),
        ("median difference (Hodges-Lehmann)", "a shift of 0", wins.typical_difference(a.errors, b.errors).turned(a.sign)),
    ]  # fmt: skip
    if a.pairs_with(b) and len(a.errors) == len(b.errors):
        rows.append(
            (
                "sign test of seeds that share their start (the default of such)",
                "a seed wins as often as it loses",
                wins.signs(a.errors, b.errors),
            )
        )
    if a.kind == "time":
        rows.append(("log-rank (the default)", "one rate of success at all times", survival.log_rank(a.errors, b.errors)))
    elif min(len(x), len(y)) > 1:
        rows += [
            ("pooled t (the paper's)", "equal means, equal variances assumed", two_samples.pooled(x, y).turned(a.sign)),
            ("Welch t", "equal means", two_samples.welch(x, y).turned(a.sign)),
            ("Welch t and bootstrap t, the worse", "equal means", two_samples.means(x, y).turned(a.sign)),
            ("BCa bootstrap of interquartile means", "equal interquartile means", two_samples.bootstrap_difference(x, y, rng, trim=0.25).turned(a.sign)),
            ("Brunner-Munzel", "a beats b as often as b beats a", two_samples.brunner_munzel(x, y)),
            ("Mann-Whitney", "one distribution", two_samples.mann_whitney(x, y)),
            ("Hedges' g", "equal means", two_samples.hedges_g(x, y).turned(a.sign)),
            ("almost stochastic order, eps_min", "below 0.5: a is better", Outcome(two_samples.almost_stochastic_order(x, y, rng))),
        ]  # fmt: skip
    return as_table(rows)


def success_tests(a: Condition, b: Condition) -> pd.DataFrame:
    """Every test of two shares of seeds that succeed."""
    counts = of_shares(a, b)
    k, n, l, m = counts
    fisher = stats.fisher_exact(np.array([[k, l], [n - k, m - l]]))
    boschloo = stats.boschloo_exact([[k, l], [n - k, m - l]])
    null, gap = "one probability of success", shares.newcombe(*counts)
    rows = [
        ("Barnard" + ("" if a.pairs_with(b) else " (the default)"), null, shares.barnard(*counts)),
        ("Boschloo", null, replace(gap, p=float(boschloo.pvalue))),
        ("Fisher, exact in both margins", null, replace(gap, p=float(fisher[1]))),
    ]
    if a.pairs_with(b):
        name = "McNemar, exact, of seeds that share their start (the default of such)"
        rows.append((name, "a seed wins as often as it loses", wins.signs(a.errors, b.errors)))
    return as_table(rows)


def as_table(rows: Sequence[tuple[str, str, Outcome]]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"test": name, "null hypothesis": about, "estimate": o.estimate, "low": o.low, "high": o.high, "p": o.p}
            for name, about, o in rows
        ]
    )
