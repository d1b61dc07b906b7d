"""Shares of seeds that succeed, against published intervals, scipy's exact tests, every outcome counted, and by simulation."""

import itertools

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from analysis.statistics.success import shares
from ltm.errors import UserError


@pytest.mark.parametrize(
    ("k", "n", "low", "high"), [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)]
)
def test_wilsons_interval_is_that_of_newcombes_table(k: int, n: int, low: float, high: float) -> None:
    """Newcombe (1998), Two-sided confidence intervals for the single proportion, Statist. Med. 17, 857-872, table I, method 3."""
    found = shares.wilson(k, n)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)
    assert (found.low, found.high) == pytest.approx(proportion_confint(k, n, method="wilson"))


@pytest.mark.parametrize(
    ("k", "n", "l", "m", "low", "high"),
    [
        (56, 70, 48, 80, 0.0524, 0.3339), (9, 10, 3, 10, 0.1705, 0.8090), (6, 7, 2, 7, 0.0582, 0.8062), (5, 56, 0, 29, -0.0381, 0.1926),
        (0, 10, 0, 20, -0.1611, 0.2775), (0, 10, 0, 10, -0.2775, 0.2775), (10, 10, 0, 20, 0.6791, 1.0), (10, 10, 0, 10, 0.6075, 1.0),
    ],
)  # fmt: skip
def test_the_interval_of_a_difference_is_that_of_newcombes_table(k: int, n: int, l: int, m: int, low: float, high: float) -> None:
    """Newcombe (1998), Interval estimation for the difference between independent proportions, Statist. Med. 17, 873-890, table II, method 10."""
    found = shares.newcombe(k, n, l, m)
    assert (found.low, found.high) == pytest.approx((low, high), abs=6e-5)


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    for p, q, n, m in ((0.9, 0.6, 20, 20), (0.5, 0.5, 10, 30)):
        draws = zip(rng.binomial(n, p, 1500).tolist(), rng.binomial(m, q, 1500).tolist(), strict=True)
        found = [shares.newcombe(k, n, l, m) for k, l in draws]
        assert 0.93 < np.mean([one.low <= p - q <= one.high for one in found]) < 0.985


def test_paired_shares_have_a_shorter_interval_that_covers_too() -> None:
    rng = np.random.default_rng(1)
    shorter, covered = [], []
    for _ in range(1000):
        start = rng.random(30)
        a, b = (start + rng.normal(0, 0.1, 30) < level for level in (0.7, 0.5))
        alone, together = shares.newcombe(a.sum(), 30, b.sum(), 30), shares.newcombe_paired(a, b)
        shorter.append((together.high - together.low) < (alone.high - alone.low))
        covered.append(together.low <= 0.2 <= together.high)
    assert np.mean(shorter) > 0.95
    assert np.mean(covered) > 0.93


@pytest.mark.parametrize("outcome", [(7, 17, 8, 12), (0, 10, 5, 10), (3, 20, 11, 30), (56, 70, 48, 80), (99, 100, 80, 100), (4, 4, 0, 4)])
def test_barnards_p_is_scipys(outcome: tuple[int, int, int, int]) -> None:
    k, n, l, m = outcome
    theirs = stats.barnard_exact([[k, l], [n - k, m - l]])
    mine = shares.barnard(*outcome)
    assert mine.statistic == pytest.approx(theirs.statistic)
    assert mine.p == pytest.approx(theirs.pvalue, rel=1e-3)
    assert (mine.low, mine.estimate) == (shares.newcombe(*outcome).low, pytest.approx(k / n - l / m))


def test_all_or_none_say_nothing() -> None:
    assert shares.barnard(0, 9, 0, 12).p == shares.barnard(9, 9, 12, 12).p == 1.0


@pytest.mark.parametrize(("n", "m"), [(5, 5), (12, 20), (40, 40)])
def test_no_probability_of_success_breaks_the_level(n: int, m: int) -> None:
    """All outcomes counted: the probability of a p of at most alpha, whatever the probability of success."""
    p = shares.barnard_table(n, m)
    no_worse = shares.no_worse_table(n, m, 0.1)
    for alpha, chance in itertools.product((0.05, 0.05 / 60), np.linspace(0.003, 0.997, 61)):
        weight = np.outer(stats.binom.pmf(range(n + 1), n, chance), stats.binom.pmf(range(m + 1), m, chance))
        assert weight[p <= alpha].sum() <= alpha * 1.001
        if chance > 0.1:
            worse = np.outer(stats.binom.pmf(range(n + 1), n, chance - 0.1), stats.binom.pmf(range(m + 1), m, chance))
            assert worse[no_worse <= alpha].sum() <= alpha * 1.001


def test_no_worse_is_one_sided_and_counts_on_its_margin() -> None:
    assert shares.no_worse(95, 100, 95, 100, 0.1) < 0.01 < shares.no_worse(95, 100, 95, 100, 0.02)
    assert shares.no_worse(50, 100, 95, 100, 0.1) > 0.99
    with pytest.raises(UserError, match="margin of a share is 2"):
        shares.no_worse(5, 10, 5, 10, 2)
    with pytest.raises(UserError, match="11 of 10 seeds succeeded"):
        shares.wilson(11, 10)


def test_farrington_and_mannings_z_solves_its_likelihood() -> None:
    """Their restricted estimates are those of greatest likelihood among all pairs a - b = -margin."""
    grid = np.linspace(1e-6, 0.9 - 1e-6, 200_001)
    for k, l in ((3, 9), (11, 14), (0, 5)):
        likelihood = stats.binom.logpmf(k, 12, grid) + stats.binom.logpmf(l, 15, grid + 0.1)
        a = grid[np.argmax(likelihood)]
        error = np.sqrt(a * (1 - a) / 12 + (a + 0.1) * (0.9 - a) / 15)
        assert shares.restricted_z(12, 15, 0.1)[k, l] == pytest.approx((k / 12 - l / 15 + 0.1) / error, rel=1e-3)


def test_a_trend_is_armitages_and_its_law_is_that_of_all_ways() -> None:
    k, n = [1, 3, 4], [5, 5, 4]
    found = shares.trend(k, n)
    level, success = np.repeat([0, 1, 2], n), np.zeros(14)
    for start, count in zip((0, 5, 10), k, strict=True):
        success[start : start + count] = 1
    assert found.statistic == pytest.approx(np.corrcoef(level, success)[0, 1] * np.sqrt(14))
    assert found.estimate == pytest.approx(np.polyfit(level, success, 1)[0])
    sums = np.array([sum(way) for way in itertools.combinations(level.tolist(), 8)])
    mean = 8 * level.mean()
    exact = np.mean(np.abs(sums - mean) >= abs(level @ success - mean) - 1e-9)
    assert found.p == pytest.approx(max(exact, 2 * stats.norm.sf(abs(found.statistic))))
    assert np.isnan(shares.trend([5, 5], [5, 5]).p)
    with pytest.raises(UserError, match="a trend over 1 levels"):
        shares.trend([3], [5])


def test_the_level_of_a_trend_holds() -> None:
    rng = np.random.default_rng(2)
    rejected = [shares.trend(rng.binomial(12, 0.8, 4), [12] * 4).p < 0.05 for _ in range(2000)]
    assert np.mean(rejected) < 0.06
