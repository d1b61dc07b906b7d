"""Times until success against Freireich's remissions, scipy, every way counted, and by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.success import survival
from ltm.errors import UserError

SIX_MP = np.array([6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35], float)
RELAPSE = np.array([1, 1, 1, 0, 1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0], bool)
PLACEBO = np.array([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], float)
"""Weeks of remission of 42 children with leukaemia (Freireich et al. 1963, Blood 21, 699-716)."""

TIMES = np.where(RELAPSE, SIX_MP, np.inf)


def test_freireichs_curve_is_the_published_one() -> None:
    """Kaplan and Meier's estimates of the 6-MP group as in Kalbfleisch and Prentice, and Klein and Moeschberger (2003), table 4.1B."""
    found = survival.kaplan_meier(TIMES, SIX_MP)
    assert found.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert found.surviving == pytest.approx([0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448], abs=5e-4)
    assert (found.at_risk.tolist(), found.events.tolist()) == ([21, 17, 15, 12, 11, 7, 6], [3, 1, 1, 1, 1, 1, 1])
    assert found.median.estimate == 23
    assert (survival.kaplan_meier(PLACEBO).median.estimate, survival.kaplan_meier(PLACEBO).median.low) == (8, 4)


def test_intervals_are_scipys_on_the_scale_of_log_minus_log() -> None:
    found = survival.kaplan_meier(TIMES, SIX_MP)
    theirs = stats.ecdf(stats.CensoredData.right_censored(SIX_MP, ~RELAPSE)).sf
    ends = theirs.confidence_interval(method="log-log")
    assert found.surviving == pytest.approx(theirs.evaluate(found.times))
    assert (found.low, found.high) == (pytest.approx(ends.low.evaluate(found.times)), pytest.approx(ends.high.evaluate(found.times)))


def test_freireichs_log_rank_test_is_the_published_one() -> None:
    """chi2 = 16.79, 10.75 relapses expected of the placebo group and 19.25 of 6-MP (Kleinbaum and Klein 2012, chapter 2)."""
    budget = np.concatenate([SIX_MP, np.full(21, 35.0)])
    found = survival.log_rank(TIMES, PLACEBO, budget)
    assert found.statistic**2 == pytest.approx(16.79, abs=0.005)
    assert found.estimate == pytest.approx((9 - 19.25) / 19.25, abs=1e-3)
    assert found.p == pytest.approx(stats.logrank(stats.CensoredData.right_censored(SIX_MP, ~RELAPSE), PLACEBO).pvalue, rel=0.7)
    assert found.p >= 4.16e-5


def test_few_seeds_get_the_p_of_all_ways() -> None:
    a, b = np.array([3.0, 5, np.inf, 9, np.inf]), np.array([1.0, 2, 2, 4, 6])
    found = survival.log_rank(a, b)
    pooled = np.concatenate([a, b])
    scores = [survival.log_rank(pooled[list(way)], np.delete(pooled, way)).statistic for way in itertools.combinations(range(10), 5)]
    gaps = np.abs(scores) >= abs(found.statistic) - 1e-9
    assert found.p > 2 * stats.norm.sf(abs(found.statistic))
    assert found.p == pytest.approx(gaps.mean(), abs=0.03)


def test_many_pairs_are_as_each_alone() -> None:
    times = np.random.default_rng(0).exponential(1.0, (6, 25))
    times[3:, :10] /= 30
    times[times > 1.2] = np.inf
    together = survival.each_log_rank(times[:, :10], times[:, 10:])
    assert together == [survival.log_rank(one[:10], one[10:]) for one in times]
    assert max(one.p for one in together[3:]) < 0.05


def test_what_is_not_reached_may_be_missing_or_infinite_and_a_common_budget_need_not_be_known() -> None:
    a, b = np.array([3.0, np.nan, 5, 7, 9]), np.array([4.0, 8, 10, np.nan, np.nan])
    inf = [np.where(np.isnan(one), np.inf, one) for one in (a, b)]
    assert survival.log_rank(a, b) == survival.log_rank(*inf) == survival.log_rank(*inf, 100.0)
    assert survival.kaplan_meier(b).median.estimate == 10
    assert survival.kaplan_meier(np.array([4.0, np.nan, np.nan])).median.estimate == np.inf
    assert np.isnan(survival.log_rank(np.full(5, np.nan), np.full(5, np.nan)).p)
    assert survival.log_rank(a, a).p == 1.0


@pytest.mark.parametrize(("n", "m", "budget"), [(6, 6, 1.0), (20, 20, 0.7), (10, 60, 2.0)])
def test_the_level_of_the_log_rank_test_holds(n: int, m: int, budget: float) -> None:
    rng, rejected = np.random.default_rng(n), 0
    for _ in range(800):
        times = np.round(rng.exponential(1.0, n + m), 2)
        times[times > budget] = np.inf
        rejected += survival.log_rank(times[:n], times[n:]).p < 0.05
    assert rejected / 800 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 800)


def test_bad_times_are_one_line() -> None:
    with pytest.raises(UserError, match="times until success of shape"):
        survival.kaplan_meier(np.array([-1.0, 2.0]))
    with pytest.raises(UserError, match="a budget of 5 and a success after 7"):
        survival.kaplan_meier(np.array([3.0, 7.0]), 5)
