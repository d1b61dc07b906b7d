"""Every test and interval against its independent source, on 200 random draws."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as some
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower

from analysis.statistics import families, intervals, memory, power, two_samples, wins
from ltm.errors import UserError
from tests.analysis.statistics import recipes

Pair = tuple[np.ndarray, np.ndarray]


def draw(seed: int) -> Pair:
    """Two samples of 5 to 39 values: normal or log-normal. ``peers/make.py`` draws the same."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(5, 40, size=2)
    return rng.normal(0, 1, n).round(6), (rng.normal(0.4, 1.5, m) if seed % 2 else rng.lognormal(0, 0.5, m)).round(6)


def draws() -> Iterator[Pair]:
    return (draw(seed) for seed in range(200))


def tied(pair: Pair) -> Pair:
    return pair[0].round(), pair[1].round()


def test_welch_and_pooled_t_equal_scipy() -> None:
    for a, b in draws():
        for mine, equal in ((two_samples.welch(a, b), False), (two_samples.pooled(a, b), True)):
            theirs = st.ttest_ind(a, b, equal_var=equal)
            interval = theirs.confidence_interval(0.95)
            assert (mine.statistic, mine.dof, mine.p) == pytest.approx((theirs.statistic, theirs.df, theirs.pvalue), rel=1e-9)
            assert (mine.low, mine.high) == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_welch_from_published_figures_equals_welch_from_values() -> None:
    for a, b in draws():
        mine = two_samples.welch_from_summary(a.mean(), a.std(ddof=1), len(a), b.mean(), b.std(ddof=1), len(b))
        theirs = st.ttest_ind_from_stats(a.mean(), a.std(ddof=1), len(a), b.mean(), b.std(ddof=1), len(b), equal_var=False)
        assert (mine.statistic, mine.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)


def test_paired_t_equals_scipy() -> None:
    for a, b in draws():
        n = min(len(a), len(b))
        mine, theirs = two_samples.paired(a[:n], b[:n]), st.ttest_rel(a[:n], b[:n])
        assert (mine.statistic, mine.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-9)
        assert (mine.low, mine.high) == pytest.approx(tuple(theirs.confidence_interval()), rel=1e-9)


def test_brunner_munzel_equals_scipy_with_and_without_ties() -> None:
    for pair in draws():
        for a, b in (pair, tied(pair)):
            mine, theirs = two_samples.brunner_munzel(a, b), st.brunnermunzel(a, b)
            if np.isfinite(theirs.pvalue) and np.isfinite(theirs.statistic):
                assert (mine.statistic, mine.p) == pytest.approx((theirs.statistic, theirs.pvalue), rel=1e-7)
                assert (mine.p < 0.05) == (not mine.low <= 0.5 <= mine.high)


def test_samples_that_do_not_overlap_get_the_exact_p_value_and_a_bound() -> None:
    found = two_samples.brunner_munzel(np.arange(6.0), np.arange(10.0, 16.0))
    assert found.estimate == found.high == 1.0
    assert found.low == pytest.approx(0.05 ** (1 / 6))
    assert found.p == pytest.approx(2 / 924)  # 12 over 6 relabellings, both ends


def test_probability_of_improvement_is_that_of_mann_whitney_and_of_counting() -> None:
    for pair in draws():
        for a, b in (pair, tied(pair)):
            counted = np.mean([(x < y) + 0.5 * (x == y) for x, y in product(a, b)])
            assert two_samples.improvement(a, b) == pytest.approx(counted, abs=1e-12)
            mine = two_samples.mann_whitney(a, b)
            assert mine.estimate == pytest.approx(counted, abs=1e-12)
            assert mine.p == pytest.approx(st.mannwhitneyu(a, b).pvalue)
            assert two_samples.cliffs_delta(a, b).estimate == pytest.approx(np.mean([np.sign(x - y) for x, y in product(a, b)]))


def test_iqm_improvement_and_stochastic_order_equal_rliable_and_deepsig() -> None:
    figures = json.loads((Path(__file__).parent / "peers" / "figures.json").read_text())
    gaps = []
    for (a, b), theirs in zip(draws(), figures, strict=True):
        assert intervals.iqm(a) == pytest.approx(theirs["iqm"], rel=1e-9)
        assert two_samples.improvement(a, b) == pytest.approx(theirs["improvement"], abs=1e-12)
        gaps.append(two_samples.almost_stochastic_order(a, b, np.random.default_rng(0)) - theirs["aso"])
    # deepsig's integral has steps of 0.005, and its 300 resamples an error of 1.64 * 0.04 of a spread of up to 0.5
    assert np.abs(gaps).max() < 0.08
    assert abs(np.mean(gaps)) < 0.005


def test_hedges_g_has_the_exact_correction() -> None:
    for a, b in draws():
        dof = len(a) + len(b) - 2
        sd = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / dof)
        assert two_samples.hedges_g(a, b).estimate == pytest.approx((a.mean() - b.mean()) / sd * (1 - 3 / (4 * dof - 1)), rel=2e-3)


def test_corrections_are_the_textbook_rules_and_pass_over_missing_tests() -> None:
    for seed in range(200):
        p = np.random.default_rng(seed).uniform(0, 0.2, 12)
        order, n = np.argsort(p), len(p)
        step_down = np.minimum(np.maximum.accumulate(p[order] * (n - np.arange(n))), 1)
        step_up = np.minimum.accumulate((p[order] * n / np.arange(1, n + 1))[::-1])[::-1]
        holes = np.insert(p, 4, np.nan)
        np.testing.assert_allclose(np.delete(families.adjust(holes, "holm"), 4)[order], step_down)
        np.testing.assert_allclose(np.delete(families.adjust(holes, "bh"), 4)[order], step_up)
        assert np.isnan(families.adjust(holes)[4])
        if seed < 5:  # statsmodels collects garbage in every call
            np.testing.assert_allclose(families.adjust(p), multipletests(p, method="holm")[1])
        np.testing.assert_allclose(families.adjust(p), recipes.holm(p))
    with pytest.raises(UserError, match="'bonferoni'.*holm"):
        families.adjust(np.array([0.1]), "bonferoni")


def test_the_bootstrap_of_a_difference_repeats_and_covers_it() -> None:
    a, b = draw(2)
    first, second = (two_samples.bootstrap_difference(a, b, np.random.default_rng(1)) for _ in range(2))
    assert first == second
    assert first.estimate == pytest.approx(a.mean() - b.mean())
    welch = two_samples.welch(a, b)
    assert (first.low, first.high) == pytest.approx((welch.low, welch.high), abs=0.15 * (welch.high - welch.low))
    assert two_samples.bootstrap_difference(a, b, np.random.default_rng(1), trim=0.25).estimate == pytest.approx(
        intervals.iqm(a) - intervals.iqm(b)
    )


def test_omnibus_tests_and_critical_difference() -> None:
    for seed in range(200):
        table = np.random.default_rng(seed).normal(size=(7, 4))
        assert families.friedman(table).p == pytest.approx(st.friedmanchisquare(*table.T).pvalue)
        np.testing.assert_allclose(families.ranks_across(table), np.mean([st.rankdata(row) for row in table], axis=0))
    # Demsar (2006), Table 5: q_0.05 for 2, 5 and 10 classifiers
    for k, q in ((2, 1.960), (5, 2.728), (10, 3.164)):
        assert families.critical_difference(k, 10) == pytest.approx(q * np.sqrt(k * (k + 1) / 60), abs=2e-3)


def test_power_equals_closed_forms() -> None:
    for n in (3, 10, 100):
        assert power.smallest_difference(1.0, n, 1.0, n) == pytest.approx(TTestIndPower().solve_power(None, n, 0.05, 0.8, 1), rel=1e-4)
    rng = np.random.default_rng(0)
    # 400 equally spaced quantiles of a normal: drawing from them is drawing from it
    a = st.norm.ppf((np.arange(400) + 0.5) / 400)
    b = a + 0.5
    exact = TTestIndPower().power(0.5, 30, 0.05)
    assert power.power(a, b, 30, rng, "welch", simulations=8000) == pytest.approx(exact, abs=0.02)
    assert power.seeds_needed(a, b, rng, test="welch", simulations=4000) == pytest.approx(
        TTestIndPower().solve_power(0.5, None, 0.05, 0.8), abs=4
    )
    assert power.power(a, a, 30, rng, simulations=8000) == pytest.approx(0.05, abs=0.008)
    assert power.power(a, b, 30, rng, simulations=8000) == pytest.approx(exact, abs=0.04)  # of normal errors nearly as much
    assert power.seeds_needed(a, a, rng, test="welch", simulations=50) is None


def test_the_smallest_win_that_could_have_been_seen_is_seen_four_times_in_five() -> None:
    rng, n = np.random.default_rng(0), 40
    shift = np.sqrt(2) * st.norm.ppf(power.smallest_theta(n, n))
    a, b = rng.normal(size=(4000, n)), rng.normal(shift, 1, (4000, n))
    assert (power.by_wins(a, b) < 0.05).mean() == pytest.approx(0.8, abs=0.03)
    assert np.isnan(power.smallest_theta(5, 5))
    assert power.smallest_theta(20, 20, alpha=0.05 / 60) > power.smallest_theta(20, 20)


def test_simulated_tests_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for x, y in ((rng.normal(size=(50, 12)), rng.normal(0.5, 2, (50, 12))), (rng.integers(0, 5, (50, 12)), rng.integers(0, 5, (50, 12)))):
        for one in (y, y[:, :9]):
            np.testing.assert_allclose(power.by_welch(x, one), st.ttest_ind(x, one, axis=1, equal_var=False).pvalue, rtol=1e-9)


def test_diebold_mariano_is_the_textbook_formula() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        a, b, n, lags = rng.normal(size=60), rng.normal(size=60), 60, 3
        d = a**2 - b**2
        centred = d - d.mean()
        variance = centred @ centred / n + 2 * sum((1 - j / (lags + 1)) * (centred[j:] @ centred[:-j]) / n for j in range(1, lags + 1))
        t = d.mean() / np.sqrt(variance / n) * np.sqrt((n - 1) / n)  # Harvey et al. (1997) at horizon 1
        found = two_samples.diebold_mariano(a, b)
        assert (found.statistic, found.p) == pytest.approx((t, 2 * st.t.sf(abs(t), n - 1)), rel=1e-8)
        assert memory.ljung_box(a, 10).p == pytest.approx(acorr_ljungbox(a, lags=[10])["lb_pvalue"].iloc[0])
    with pytest.raises(UserError, match="same steps"):
        two_samples.diebold_mariano(np.arange(9.0), np.arange(10.0))


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    from itertools import combinations

    a = np.array([3.0, 1.0, 2.5, 2.5, 9.0, 0.5])
    for n in range(1, 7):
        mean = np.mean([min(subset) for subset in combinations(a, n)])
        assert intervals.best_of(a, np.array([n]))[0] == pytest.approx(mean)
    with pytest.raises(UserError, match="best of 7 to 7"):
        intervals.best_of(a, np.array([7]))


def test_median_interval_lies_between_the_order_statistics_of_scipy() -> None:
    for seed in range(200):
        a = np.random.default_rng(seed).lognormal(0, 1, 25)
        outer = st.quantile_test(a, p=0.5).confidence_interval(0.95)
        low, high = intervals.median_interval(a)
        assert outer.low <= low < np.median(a) < high <= outer.high


@settings(max_examples=60, deadline=None)
@given(some.lists(some.floats(-1e6, 1e6), min_size=2, max_size=30), some.floats(-100, 100), some.floats(0.01, 100))
def test_the_mean_interval_moves_and_scales_with_the_values(values: list[float], shift: float, scale: float) -> None:
    a = np.array(values)
    low, high = intervals.mean_interval(a)
    assert low <= a.mean() + 1e-6 * (1 + abs(a.mean()))
    assert high >= a.mean() - 1e-6 * (1 + abs(a.mean()))
    moved = intervals.mean_interval(a * scale + shift)
    assert moved == pytest.approx((low * scale + shift, high * scale + shift), rel=1e-5, abs=1e-5 * (1 + np.ptp(a)) * scale)


def test_values_that_are_not_finite_are_refused_in_one_line() -> None:
    for bad in (np.array([1.0, np.nan]), np.array([1.0, np.inf])):
        with pytest.raises(UserError, match="not finite"):
            two_samples.welch(bad, np.arange(3.0))
    with pytest.raises(UserError, match="at least 2"):
        two_samples.pooled(np.array([1.0]), np.arange(3.0))


def test_the_second_statement_is_the_worse_of_welch_and_the_bootstrap_t() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(0, 1, 40), rng.lognormal(0, 1, 50)
        mine = two_samples.means(a, b)
        draws = [
            np.stack([np.repeat(np.arange(n), row.astype(int)) for row in two_samples.counts(n, role)]) for role, n in enumerate((40, 50))
        ]
        p, low, high = recipes.means(a, b, *draws)
        assert mine.p == pytest.approx(p, abs=5e-4)
        assert (mine.low, mine.high) == pytest.approx((low, high), abs=0.01 * (high - low))
        assert mine.p >= two_samples.welch(a, b).p
    assert np.isnan(two_samples.means(np.ones(5), np.ones(5)).p)


def test_a_second_test_shares_the_error_of_the_first() -> None:
    p, then = np.array([0.001, 0.01, 0.02, np.nan]), np.array([0.004, np.nan, np.nan, np.nan])
    first, second = families.adjust_in_turn(p, then)
    np.testing.assert_allclose(first, [0.003, 0.02, 0.02, np.nan])  # the first leaves the family with its second, at 0.012
    assert second[0] == pytest.approx(0.012)
    for seed in range(20):
        many = np.random.default_rng(seed).uniform(0, 0.2, 9)
        none = np.full(9, np.nan)
        np.testing.assert_allclose(families.adjust_in_turn(many, none)[0], families.adjust(many))
        never = families.adjust_in_turn(many, np.ones(9))[0]
        np.testing.assert_allclose(np.sort(never), np.minimum(9 * np.sort(many), 1))  # Bonferroni where no second is rejected
        both = families.adjust_in_turn(many, many, "bh")
        np.testing.assert_allclose(both[0], both[1])


def test_a_verdict_needs_so_many_seeds() -> None:
    assert [families.least_seeds(tests) for tests in (1, 5, 10, 36, 60, 200)] == [6, 8, 9, 11, 12, 13]
    assert families.least_seeds(1, sides=1) == 5


def test_who_may_be_the_best_is_the_recipes() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        samples = {name: rng.normal(shift, 1, 9) for name, shift in zip("abc", (0, 0.4 * seed, 2.5), strict=True)}

        def p(x: np.ndarray, y: np.ndarray) -> float:
            return float(wins.p_values(x[None], y[None])[1][0])

        pairs = {(i, j): wins.beats(x, y) for i, x in enumerate(samples.values()) for j, y in enumerate(samples.values()) if i != j}
        theta, raw = np.full((3, 3), 0.5), np.ones((3, 3))
        for (i, j), found in pairs.items():
            theta[i, j], raw[i, j] = found.estimate, found.p
        adjusted = np.ones((3, 3))
        above = np.triu_indices(3, 1)
        adjusted[above] = adjusted.T[above] = families.adjust(raw[above])
        out = {"abc"[i] for i in np.flatnonzero(families.beaten(theta, adjusted) >= 0)}
        assert out == recipes.left_out(samples, p)
        kept = {"abc"[i] for i in np.flatnonzero(families.among(theta, raw))}
        assert kept == set("abc") - recipes.left_out_hsu(samples, p)


def test_the_best_of_n_with_diverged_seeds_is_infinite_where_a_subset_may_have_none() -> None:
    a = np.array([1.0, 2.0, np.inf, np.inf, 3.0])
    found = intervals.best_of(a, np.array([1, 2, 3, 5]))
    assert np.isinf(found[:2]).all()
    assert found[2] == pytest.approx(1 * 0.6 + 2 * 0.3 + 3 * 0.1)
    assert found[3] == 1
