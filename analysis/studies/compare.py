"""Does one recurrent cell really beat another? Comparisons of conditions, each a question about their seeds alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics import Outcome, sequential, two_samples, wins
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
    def percent(self) -> float:
        """The difference in per cent of b's median; NaN where that is 0 or infinite."""
        level = self.b.median
        return 100 * self.difference.estimate / abs(level) if level and np.isfinite(level) else np.nan

    def row(self) -> dict[str, Any]:
        a, b = self.a, self.b
        return {
            "dataset": self.dataset, "a": a.label, "b": b.label, "n_a": len(a.errors), "n_b": len(b.errors), "diverged_a": a.diverged,
            "diverged_b": b.diverged, "test": "signs" if self.paired else "wins", "theta": self.theta.estimate, "theta_low": self.theta.low,
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
    known = {name for one in study for name in (one.model, one.name, one.label)}
    for name in (a, b):
        if name not in known:
            raise unknown("model or condition", name, known)
    pairs: dict[frozenset[str], Pair] = {}
    for conditions in study.series.values():
        firsts, seconds = ([one for one in conditions if name in (one.model, one.name, one.label)] for name in (a, b))
        for x, y in itertools.product(firsts, seconds):
            if x is not y:
                pairs.setdefault(frozenset((x.label, y.label)), (x, y))
    if not pairs:
        raise UserError(f"'{a}' and '{b}' share no series in this study; nothing can be compared.")
    return list(pairs.values())


def pairs_against(study: Study, models: Sequence[str] = AGAINST) -> list[Pair]:
    """Every condition against those of these models on the same series, each pair once."""
    found: dict[frozenset[str], Pair] = {}
    for conditions in study.series.values():
        others = [one for one in conditions if one.model in models]
        for x, y in itertools.product(conditions, others):
            if x is not y:
                found.setdefault(frozenset((x.label, y.label)), (x, y))
    return list(found.values())


def comparisons(pairs: Iterable[Pair], margin: float) -> list[Comparison]:
    """Every pair compared, no p corrected yet.

    Args:
        margin: of "no worse", in per cent of a score.
    """
    pairs = list(pairs)
    theta, p = tested(pairs)
    no_worse, other_way = (margins(some, margin) for some in (pairs, [(b, a) for a, b in pairs]))
    equivalent = np.maximum(no_worse, other_way)
    return [compared(a, b, float(theta[i]), float(p[i]), float(no_worse[i]), float(equivalent[i])) for i, (a, b) in enumerate(pairs)]


def tested(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """theta and the two-sided p of every pair: the sign test where seeds belong together, else the default test."""
    theta, p = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    for (_, _, together), rows, x, y in alike(pairs):
        theta[rows], p[rows] = wins.each_signs(x, y) if together else wins.p_values(x, y)
    return theta, p


def margins(pairs: Sequence[Pair], margin: float) -> np.ndarray:
    """One-sided p of "a is no worse than b by more than the margin" of every pair; NaN where some score is below 0."""
    p, asked = np.full(len(pairs), np.nan), np.array([i for i, (a, b) in enumerate(pairs) if not (a.below_0 or b.below_0)], int)
    for (_, _, together), rows, x, y in alike([pairs[i] for i in asked]):
        p[asked[rows]] = wins.each_no_worse(x, y, margin, together, sign=pairs[asked[rows[0]]][0].sign)
    return p


def alike(pairs: Sequence[Pair]) -> Iterable[tuple[tuple[int, int, bool], np.ndarray, np.ndarray, np.ndarray]]:
    """Pairs of equal sizes together: their places among the pairs, and their errors ``(S, n)`` and ``(S, m)``."""
    groups: dict[tuple[int, int, bool], list[int]] = {}
    for i, (a, b) in enumerate(pairs):
        groups.setdefault((len(a.errors), len(b.errors), a.pairs_with(b)), []).append(i)
    for key, rows in groups.items():
        yield key, np.array(rows), np.stack([pairs[i][0].errors for i in rows]), np.stack([pairs[i][1].errors for i in rows])


def compared(a: Condition, b: Condition, theta: float, p: float, no_worse: float, equivalent: float) -> Comparison:
    """One comparison with its effects, from the p-values that were found."""
    together = a.pairs_with(b)
    beats = wins.signs(a.errors, b.errors) if together else wins.beats(a.errors, b.errors, p)
    gap = wins.paired_difference(a.errors, b.errors) if together else wins.typical_difference(a.errors, b.errors)
    packs = sequential.packs(a.seeds, a.errors, b.seeds, b.errors)
    return Comparison(
        a, b, replace(beats, estimate=theta, p=p), gap.turned(a.sign), difference_of_means(a, b).turned(a.sign), no_worse, equivalent,
        sequential.anytime(*packs, pairs=together, interval=False),
    )  # fmt: skip


def difference_of_means(a: Condition, b: Condition) -> Outcome:
    """The second statement, where it may be made: from 100 seeds in both samples, and none diverged."""
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
    reading = sequential.anytime(*sequential.packs(a.seeds, a.errors, b.seeds, b.errors), pairs=a.pairs_with(b))
    rows: list[tuple[str, str, Outcome]] = [
        (f"wins{'' if a.pairs_with(b) else ' (the default)'}", "a beats b as often as b beats a", wins.beats(a.errors, b.errors)),
        (f"wins, read after each pack of 10 ({reading.packs} so far)", "the same, at every reading at once",
         Outcome(reading.theta, reading.low, reading.high, p=reading.p)),
        ("median difference (Hodges-Lehmann)", "a shift of 0", wins.typical_difference(a.errors, b.errors).turned(a.sign)),
    ]  # fmt: skip
    if a.pairs_with(b):
        rows.append(
            (
                "sign test of seeds that share their start (the default of such)",
                "a seed wins as often as it loses",
                wins.signs(a.errors, b.errors),
            )
        )
    if min(len(x), len(y)) > 1:
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
    return pd.DataFrame(
        [
            {"test": name, "null hypothesis": about, "estimate": o.estimate, "low": o.low, "high": o.high, "p": o.p}
            for name, about, o in rows
        ]
    )
