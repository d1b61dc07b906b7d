"""Does one recurrent cell really beat another? Comparisons of conditions, each a question about their seeds alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np
import pandas as pd

from analysis.statistics import power, sequential, two_samples, wins
from analysis.statistics.outcome import Outcome
from analysis.study import Condition, Study
from ltm.errors import UserError, unknown

AGAINST = ("rnn", "lstm")
"""The cells that a report holds every other condition against."""

MARGIN = 2.0
"""Per cent of an error within which a condition counts as no worse, or as equivalent."""

Pair = tuple[Condition, Condition]


@dataclass(frozen=True)
class Comparison:
    """Condition a against condition b of one series; no p is corrected yet.

    Attributes:
        a, b: their labels.
        test: ``wins`` (:func:`analysis.statistics.wins.p_values`), or ``signs`` where seeds share their initial parameters.
        theta: probability that a seed of a has the smaller error than one of b (of a pair that shares its start, for ``signs``), with its 95 %
            interval ``theta_low``, ``theta_high``; diverged seeds last.
        difference: how much, in the metric's unit: the median difference (Hodges and Lehmann) with its 95 % interval ``low``, ``high``;
            below 0 where a is better; ``percent`` of b's median.
        p: two-sided; null hypothesis: theta = 1/2.
        p_no_worse: one-sided; null hypothesis: a is worse by the margin or more; ``p_equivalent``: neither is worse by that.
        mean_a, mean_b: over finished seeds. ``mean_difference`` with its uncorrected 95 % interval ``mean_low``, ``mean_high`` and ``p_mean``:
            from 100 seeds in both and none diverged.
        p_anytime: may be read after every pack of ten seeds, ``packs`` so far.
    """

    dataset: str
    a: str
    b: str
    n_a: int
    n_b: int
    diverged_a: int
    diverged_b: int
    test: str
    theta: float
    theta_low: float
    theta_high: float
    difference: float
    low: float
    high: float
    percent: float
    p: float
    p_no_worse: float
    p_equivalent: float
    mean_a: float
    mean_b: float
    mean_difference: float
    mean_low: float
    mean_high: float
    p_mean: float
    packs: int
    p_anytime: float


COLUMNS = [field.name for field in fields(Comparison)]


def pairs_of(study: Study, a: str, b: str) -> list[Pair]:
    """Two models (``mrnn``) or two conditions (``mrnn K=100 / tree``) on every series that both were trained on, each pair once.

    Raises:
        UserError: an unknown name (the known are listed), or no series in common.
    """
    known = {one.model for one in study} | set(study.by_label)
    for name in (a, b):
        if name not in known:
            raise unknown("model or condition", name, known)
    pairs: dict[frozenset[str], Pair] = {}
    for conditions in study.series.values():
        firsts, seconds = ([one for one in conditions if name in (one.model, one.label)] for name in (a, b))
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


def table(pairs: Iterable[Pair], margin: float = MARGIN) -> pd.DataFrame:
    """A row a pair: the fields of :class:`Comparison`."""
    wins.check_margin(margin)
    pairs = list(pairs)
    theta, p = tested(pairs)
    no_worse, other_way = (margins(one, margin) for one in (pairs, [(b, a) for a, b in pairs]))
    equivalent = np.maximum(no_worse, other_way)
    rows = [asdict(compared(a, b, theta[i], p[i], no_worse[i], equivalent[i])) for i, (a, b) in enumerate(pairs)]
    return pd.DataFrame(rows, columns=COLUMNS)


def tested(pairs: Sequence[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """theta and the two-sided p of every pair: the sign test where seeds belong together, else the default test."""
    theta, p = np.full(len(pairs), np.nan), np.full(len(pairs), np.nan)
    for (_, _, together), rows, x, y in alike(pairs):
        theta[rows], p[rows] = wins.each_signs(x, y) if together else wins.p_values(x, y)
    return theta, p


def margins(pairs: Sequence[Pair], margin: float) -> np.ndarray:
    """One-sided p of "a is no worse than b by more than the margin" of every pair."""
    p = np.full(len(pairs), np.nan)
    for (_, _, together), rows, x, y in alike(pairs):
        p[rows] = wins.each_no_worse(x, y, margin, together)
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
    mean = difference_of_means(a, b)
    packs = sequential.packs(a.seeds, a.errors, b.seeds, b.errors)
    anytime = sequential.anytime(*packs, pairs=together, interval=False)
    level = b.median
    return Comparison(
        a.dataset, a.label, b.label, len(a.errors), len(b.errors), a.diverged, b.diverged, "signs" if together else "wins",
        float(theta), beats.low, beats.high, gap.estimate, gap.low, gap.high,
        100 * gap.estimate / abs(level) if level and np.isfinite(level) else np.nan,
        float(p), float(no_worse), float(equivalent), a.mean, b.mean, mean.estimate, mean.low, mean.high, mean.p,
        anytime.packs, anytime.p,
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
    x, y = a.finished, b.finished
    reading = sequential.anytime(*sequential.packs(a.seeds, a.errors, b.seeds, b.errors), pairs=a.pairs_with(b))
    rows: list[tuple[str, str, Outcome]] = [
        (f"wins{'' if a.pairs_with(b) else ' (the default)'}", "a beats b as often as b beats a", wins.beats(a.errors, b.errors)),
        (f"wins, read after each pack of 10 ({reading.packs} so far)", "the same, at every reading at once",
         Outcome(reading.theta, reading.low, reading.high, p=reading.p)),
        ("median difference (Hodges-Lehmann)", "a shift of 0", wins.typical_difference(a.errors, b.errors)),
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
            ("pooled t (the paper's)", "equal means, equal variances assumed", two_samples.pooled(x, y)),
            ("Welch t", "equal means", two_samples.welch(x, y)),
            ("Welch t and bootstrap t, the worse", "equal means", two_samples.means(x, y)),
            ("BCa bootstrap of interquartile means", "equal interquartile means", two_samples.bootstrap_difference(x, y, rng, trim=0.25)),
            ("Brunner-Munzel", "a beats b as often as b beats a", two_samples.brunner_munzel(x, y)),
            ("Mann-Whitney", "one distribution", two_samples.mann_whitney(x, y)),
            ("Hedges' g", "equal means", two_samples.hedges_g(x, y)),
            ("almost stochastic order, eps_min", "below 0.5: a is better", Outcome(two_samples.almost_stochastic_order(x, y, rng))),
        ]  # fmt: skip
    return pd.DataFrame(
        [
            {"test": name, "null hypothesis": about, "estimate": o.estimate, "low": o.low, "high": o.high, "p": o.p}
            for name, about, o in rows
        ]
    )


def smallest_theta(n: int, m: int, tests: int) -> float:
    """The probability of a win that these seeds would have shown with probability 0.8, at the level of the first of so many tests."""
    return power.smallest_theta(n, m, alpha=0.05 / max(tests, 1))
