"""The claims of a report, judged together. Two families, each Holm's at 0.05 over all series of the study: what a condition, a filter length or a
forecast without a network is held against, and who may be the best. Of a process with many paths a claim is one over all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np

from analysis.claims import Decided
from analysis.statistics import families, power, wins
from analysis.statistics.paths import least_paths
from analysis.statistics.success import shares
from analysis.studies import baselines, best, compare, filter_length
from analysis.studies.baselines import Share
from analysis.studies.best import Place
from analysis.studies.compare import Comparison, Pair
from analysis.studies.filter_length import Trend
from analysis.studies.paths import claims as paths
from analysis.studies.paths.claims import PathClaim
from analysis.study import Study

ALPHA = families.ALPHA

DISAGREE = {"better": "worse on average, better in most seeds", "worse": "better on average, worse in most seeds"}
"""What is said where the typical seed and the mean point in opposite directions, both of them shown; by the typical seed's verdict."""


@dataclass(frozen=True, eq=False)
class Verdicts:
    """Every claim about a study, with its corrected p and its verdict; :func:`analysis.table.frame` makes a table of any of them.

    Attributes:
        comparisons: of the pairs that were asked about.
        shares: of every condition whose series has baselines.
        trends: of every model and series whose K varies.
        best: the place of every condition of a series with several.
        tests, best_tests: how many p-values are in either family.
        paths: of the pairs on paths of one process, a claim each; their series have no other.
        claims: those that decided how many seeds there are, a family of their own (:mod:`analysis.claims`).
    """

    study: Study
    comparisons: tuple[Comparison, ...]
    shares: tuple[Share, ...]
    trends: tuple[Trend, ...]
    best: tuple[Place, ...]
    tests: int
    best_tests: int
    paths: tuple[PathClaim, ...] = ()
    claims: tuple[Decided, ...] = ()

    @property
    def needed(self) -> int:
        """Seeds of each condition from which a verdict is possible among so many tests."""
        return self.least(self.tests)

    def least(self, tests: int) -> int:
        """Seeds of each condition with which the least p of the study's test, corrected over so many, is below 0.05."""
        count = tests if self.study.rule.correction == "holm" else 1
        if self.study.rule.what.kind not in LEAST:
            return families.least_seeds(count)
        return next(n for n in itertools.count(2) if LEAST[self.study.rule.what.kind](n, n) * count < ALPHA)

    def could_see(self, n: int, m: int) -> float:
        """The probability of a win that n against m seeds would have shown with probability 0.8, at the level of the first test of family one; NaN for none."""
        return power.smallest_theta(n, m, alpha=ALPHA / (1 if self.study.rule.correction == "none" else max(self.tests, 1)))

    @property
    def needed_paths(self) -> int:
        """Paths of a process from which a verdict on it is possible among so many tests."""
        return least_paths(self.tests if self.study.rule.correction == "holm" else 1)

    @property
    def needed_best(self) -> int:
        return self.least(self.best_tests)


LEAST: dict[str, Callable[[int, int], float]] = {
    "success": lambda n, m: float(shares.barnard(n, n, 0, m).p),
    "time": lambda n, m: 2.0 / math.comb(n + m, n),
}
"""The least p that n against m seeds can give, by the kind of a metric that has a test of its own."""


def judge(study: Study, pairs: Iterable[Pair] | None = None, whole: bool = True) -> Verdicts:
    """Judge the claims of a study by its rule.

    Args:
        pairs: which conditions to compare; those of :func:`analysis.studies.compare.pairs_against` where None.
        whole: whether to ask about baselines, filter lengths and the best, too.
    """
    rule, asked = study.rule, paths.beside(study) if whole else study.only([])
    claims, pairs = paths.split(study, compare.pairs_against(study) if pairs is None else pairs)
    tests = compare.comparisons(pairs, rule.margin)
    shares, trends = baselines.against(asked), filter_length.trends(asked)
    n = len(tests)
    family = np.array(
        [
            *(one.theta.p for one in tests), *(one.p_no_worse for one in tests), *(one.p for one in shares), *(one.p for one in trends),
            *(p for one in trends for p in one.no_worse.values()), *(one.theta.p for one in claims),
        ],
        float,
    )  # fmt: skip
    count = int((~np.isnan(family)).sum())
    then = np.full(len(family), np.nan)
    then[n : 2 * n] = [one.p_equivalent for one in tests]  # asked only where "no worse" is shown
    first, second = families.adjust_in_turn(family, then, rule.correction)
    corrected, factor = iter(first.tolist()), count if rule.correction == "holm" else 1
    tests = [replace(one, p_adjusted=next(corrected)) for one in tests]
    tests = [
        replace(one, p_no_worse_adjusted=next(corrected), p_equivalent_adjusted=p)
        for one, p in zip(tests, second[n : 2 * n].tolist(), strict=True)
    ]
    shares = [replace(one, p_adjusted=next(corrected)) for one in shares]
    trends = [replace(one, p_adjusted=next(corrected)) for one in trends]
    trends = [replace(one, no_worse_adjusted={K: next(corrected) for K in one.no_worse}) for one in trends]
    proven = families.adjust(np.array([one.proven for one in claims]), rule.correction).tolist()
    claims = [replace(one, p_adjusted=next(corrected), proven_adjusted=p) for one, p in zip(claims, proven, strict=True)]
    places, best_tests = best.may_be_best(asked)
    return Verdicts(
        study, tuple(replace(one, verdict=verdict(one, factor)) for one in tests),
        tuple(replace(one, verdict=baselines.verdict(one, factor)) for one in shares), tuple(trends), tuple(places), count, best_tests,
        tuple(replace(one, verdict=paths.verdict(one, factor)) for one in claims),
    )  # fmt: skip


def verdict(one: Comparison, tests: int) -> str:
    """The verdict on a comparison whose p-values are corrected over so many tests."""
    if one.p_adjusted < ALPHA:
        side = "better" if one.theta.estimate > 0.5 else "worse"
        shown = one.means.low > 0 or one.means.high < 0
        return DISAGREE[side] if shown and (one.a.sign * one.means.estimate > 0) == (side == "better") else side
    if one.p_equivalent_adjusted < ALPHA:
        return "equivalent"
    if one.p_no_worse_adjusted < ALPHA:
        return "no worse"
    return "too few seeds" if least_p(one) * tests >= ALPHA and not one.a.anytime else "undecided"


def least_p(one: Comparison) -> float:
    """The least p that so many seeds can give."""
    least = wins.floor if one.paired else LEAST.get(one.a.kind, wins.floor)
    return least(len(one.a.errors), len(one.b.errors))
