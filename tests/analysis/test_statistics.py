"""Every test and interval against its independent source, on 200 random draws."""

import json
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.stats as st
from arch.bootstrap import MCS, IIDBootstrap
from hypothesis import given, settings
from hypothesis import strategies as some
from statsmodels.stats.diagnostic import acorr_ljungbox
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

from analysis import families, filter_length, forecast, power, summary, two_samples
from ltm.errors import UserError

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
        assert summary.iqm(a) == pytest.approx(theirs["iqm"], rel=1e-9)
        assert two_samples.improvement(a, b) == pytest.approx(theirs["improvement"], abs=1e-12)
        gaps.append(two_samples.almost_stochastic_order(a, b, np.random.default_rng(0)) - theirs["aso"])
    # deepsig's integral has steps of 0.005, and its 300 resamples an error of 1.64 * 0.04 of a spread of up to 0.5
    assert np.abs(gaps).max() < 0.08
    assert abs(np.mean(gaps)) < 0.005


def test_equivalence_equals_statsmodels() -> None:
    for a, b in draws():
        theirs, lower, upper = ttost_ind(a, b, -1.5, 1.5, usevar="unequal")
        assert two_samples.equivalent(a, b, 1.5).p == pytest.approx(theirs, rel=1e-7, abs=1e-300)
        assert two_samples.no_worse(a, b, 1.5).p == pytest.approx(upper[1], rel=1e-7, abs=1e-300)
        assert two_samples.no_worse(b, a, 1.5).p == pytest.approx(lower[1], rel=1e-7, abs=1e-300)
        interval = CompareMeans(DescrStatsW(a), DescrStatsW(b)).tconfint_diff(0.10, usevar="unequal")
        mine = two_samples.equivalent(a, b, 1.5)
        assert (mine.low, mine.high) == pytest.approx(interval, rel=1e-7)


def test_hedges_g_has_the_exact_correction() -> None:
    for a, b in draws():
        dof = len(a) + len(b) - 2
        sd = np.sqrt(((len(a) - 1) * a.var(ddof=1) + (len(b) - 1) * b.var(ddof=1)) / dof)
        assert two_samples.hedges_g(a, b).estimate == pytest.approx((a.mean() - b.mean()) / sd * (1 - 3 / (4 * dof - 1)), rel=2e-3)


def test_permutation_agrees_with_all_relabellings_and_repeats() -> None:
    a, b = np.array([1.0, 2.0, 4.0, 3.5]), np.array([5.0, 3.0, 6.0, 7.5])
    whole = two_samples.permutation(a, b, np.random.default_rng(0), resamples=9999).p  # 70 relabellings: all of them
    t = abs(two_samples.welch(a, b).statistic)
    both = np.concatenate([a, b])
    masks = [m for m in product([True, False], repeat=8) if sum(m) == 4]
    extreme = [abs(two_samples.welch(both[list(m)], both[[not x for x in m]]).statistic) >= t - 1e-9 for m in masks]
    assert whole == pytest.approx(np.mean(extreme))
    x, y = draw(3)
    first, second = (two_samples.permutation(x, y, np.random.default_rng(5), 500) for _ in range(2))
    assert first == second


def test_corrections_are_the_textbook_rules_and_pass_over_missing_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gc.collect", lambda *generation: 0)  # statsmodels collects garbage in every call of holm
    for seed in range(200):
        p = np.random.default_rng(seed).uniform(0, 0.2, 12)
        order, n = np.argsort(p), len(p)
        step_down = np.minimum(np.maximum.accumulate(p[order] * (n - np.arange(n))), 1)
        step_up = np.minimum.accumulate((p[order] * n / np.arange(1, n + 1))[::-1])[::-1]
        holes = np.insert(p, 4, np.nan)
        np.testing.assert_allclose(np.delete(families.adjust(holes, "holm"), 4)[order], step_down)
        np.testing.assert_allclose(np.delete(families.adjust(holes, "bh"), 4)[order], step_up)
        assert np.isnan(families.adjust(holes)[4])
    with pytest.raises(UserError, match="'bonferoni'.*holm"):
        families.adjust(np.array([0.1]), "bonferoni")


def test_bca_equals_arch_within_monte_carlo_error() -> None:
    gaps = []
    for seed in range(200):
        a = np.random.default_rng(seed).lognormal(0, 0.5, 30)
        mine = summary.bca(a, np.mean, np.random.default_rng(seed))
        theirs = IIDBootstrap(a, seed=seed).conf_int(np.mean, 1000, method="bca").ravel()
        gaps.append((np.array(mine) - theirs) / (a.std(ddof=1) / np.sqrt(30)))
    assert np.abs(np.mean(gaps, axis=0)).max() < 0.02
    assert np.abs(gaps).max() < 0.6


def test_the_bootstrap_of_a_difference_repeats_and_covers_it() -> None:
    a, b = draw(2)
    first, second = (two_samples.bootstrap_difference(a, b, np.random.default_rng(1)) for _ in range(2))
    assert first == second
    assert first.estimate == pytest.approx(a.mean() - b.mean())
    welch = two_samples.welch(a, b)
    assert (first.low, first.high) == pytest.approx((welch.low, welch.high), abs=0.15 * (welch.high - welch.low))
    assert two_samples.bootstrap_difference(a, b, np.random.default_rng(1), trim=0.25).estimate == pytest.approx(
        summary.iqm(a) - summary.iqm(b)
    )


def test_model_confidence_set_equals_arch_within_monte_carlo_error() -> None:
    gaps = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        k = int(rng.integers(2, 6))
        losses = rng.normal(size=(40, k)) + rng.normal(0, 0.2, k)
        theirs = MCS(losses, 0.05, reps=500, block_size=1, method="R", bootstrap="moving block", seed=seed)
        theirs.compute()
        mine = families.model_confidence_set({str(j): losses[:, j] for j in range(k)}, rng, paired=True, resamples=500)
        gaps.append(mine.to_numpy() - theirs.pvalues.sort_index()["Pvalue"].to_numpy())
    gaps = np.concatenate(gaps)
    assert np.abs(gaps).max() < 0.12
    assert abs(np.mean(gaps)) < 0.005


def test_constant_samples_leave_only_the_best_in_the_confidence_set() -> None:
    same = {"a": np.full(5, 1.0), "b": np.full(5, 2.0), "c": np.full(5, 1.0)}
    assert dict(families.model_confidence_set(same, np.random.default_rng(0))) == {"a": 1.0, "b": 0.0, "c": 1.0}
    with pytest.raises(UserError, match="same seeds"):
        families.model_confidence_set({"a": np.arange(3.0), "b": np.arange(4.0)}, np.random.default_rng(0), paired=True)


def test_omnibus_tests_and_critical_difference() -> None:
    for seed in range(200):
        table = np.random.default_rng(seed).normal(size=(7, 4))
        assert families.kruskal_wallis(list(table.T)).p == pytest.approx(st.kruskal(*table.T).pvalue)
        assert families.friedman(table).p == pytest.approx(st.friedmanchisquare(*table.T).pvalue)
        np.testing.assert_allclose(families.ranks_across(table), np.mean([st.rankdata(row) for row in table], axis=0))
    # Demsar (2006), Table 5: q_0.05 for 2, 5 and 10 classifiers
    for k, q in ((2, 1.960), (5, 2.728), (10, 3.164)):
        assert families.critical_difference(k, 10) == pytest.approx(q * np.sqrt(k * (k + 1) / 60), abs=2e-3)


def test_trend_equals_jonckheere_and_terpstra_by_hand() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups = {K: rng.normal(0.01 * K, 1, rng.integers(4, 12)).round(1 if seed % 2 else 6) for K in (5, 20, 40)}
        parts = list(groups.values())
        J = sum(
            (x[:, None] < y[None, :]).sum() + 0.5 * (x[:, None] == y[None, :]).sum() for i, x in enumerate(parts) for y in parts[i + 1 :]
        )
        n, sizes = np.concatenate(parts).size, np.array([len(x) for x in parts])
        ties = np.unique(np.concatenate(parts), return_counts=True)[1]
        mean = (n**2 - (sizes**2).sum()) / 4
        variance = (  # Hollander, Wolfe and Chicken (2014), 6.19
            (n * (n - 1) * (2 * n + 5) - (sizes * (sizes - 1) * (2 * sizes + 5)).sum() - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 72
            + (sizes * (sizes - 1) * (sizes - 2)).sum() * (ties * (ties - 1) * (ties - 2)).sum() / (36 * n * (n - 1) * (n - 2))
            + (sizes * (sizes - 1)).sum() * (ties * (ties - 1)).sum() / (8 * n * (n - 1))
        )
        p = 2 * st.norm.sf(abs(J - mean) / np.sqrt(variance))
        assert filter_length.jonckheere_terpstra(groups).p == pytest.approx(p, rel=1e-6)


def test_slope_is_least_squares_with_hc3_errors() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        groups = {K: rng.normal(0.1 * np.log2(K), 0.1 * np.log2(K), rng.integers(4, 12)) for K in (8, 16, 64)}
        x = np.repeat([3.0, 4.0, 6.0], [len(a) for a in groups.values()])
        X, y = np.stack([np.ones_like(x), x], 1), np.concatenate(list(groups.values()))
        bread = np.linalg.inv(X.T @ X)
        beta = bread @ X.T @ y
        leverage = np.einsum("ij,jk,ik->i", X, bread, X)
        meat = X.T @ (X * (((y - X @ beta) / (1 - leverage)) ** 2)[:, None])
        found = filter_length.slope(groups)
        assert (found.estimate, found.estimate / found.statistic) == pytest.approx(
            (beta[1], np.sqrt((bread @ meat @ bread)[1, 1])), rel=1e-8
        )


def test_power_equals_closed_forms() -> None:
    for n in (3, 10, 100):
        assert power.smallest_difference(1.0, n, 1.0, n) == pytest.approx(TTestIndPower().solve_power(None, n, 0.05, 0.8, 1), rel=1e-4)
    rng = np.random.default_rng(0)
    # 400 equally spaced quantiles of a normal: drawing from them is drawing from it
    a = st.norm.ppf((np.arange(400) + 0.5) / 400)
    b = a + 0.5
    exact = TTestIndPower().power(0.5, 30, 0.05)
    assert power.power(a, b, 30, rng, simulations=8000) == pytest.approx(exact, abs=0.02)
    assert power.seeds_needed(a, b, rng, simulations=4000) == pytest.approx(TTestIndPower().solve_power(0.5, None, 0.05, 0.8), abs=4)
    assert power.power(a, a, 30, rng, "mann_whitney", simulations=8000) == pytest.approx(0.05, abs=0.008)
    assert power.seeds_needed(a, a, rng, simulations=50) is None


def test_simulated_tests_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for x, y in ((rng.normal(size=(50, 12)), rng.normal(0.5, 2, (50, 12))), (rng.integers(0, 5, (50, 12)), rng.integers(0, 5, (50, 12)))):
        np.testing.assert_allclose(power.p_values(x, y, "welch"), st.ttest_ind(x, y, axis=1, equal_var=False).pvalue, rtol=1e-9)
        theirs = st.mannwhitneyu(x, y, axis=1, method="asymptotic").pvalue
        np.testing.assert_allclose(power.p_values(x, y, "mann_whitney"), theirs, rtol=1e-9)


def test_confidence_sequence_inverts_its_own_p_value() -> None:
    for a, b in draws():
        n = min(len(a), len(b))
        found = power.confidence_sequence(a, b)
        if np.isfinite(found.low):
            for end in (found.low, found.high):
                assert power.confidence_sequence(a[:n] - end, b[:n]).p == pytest.approx(0.05, rel=1e-6)
        welch = two_samples.paired(a[:n], b[:n])
        assert found.low < welch.low < welch.high < found.high


def test_diebold_mariano_is_the_textbook_formula() -> None:
    for seed in range(200):
        rng = np.random.default_rng(seed)
        a, b, n, lags = rng.normal(size=60), rng.normal(size=60), 60, 3
        d = a**2 - b**2
        centred = d - d.mean()
        variance = centred @ centred / n + 2 * sum((1 - j / (lags + 1)) * (centred[j:] @ centred[:-j]) / n for j in range(1, lags + 1))
        t = d.mean() / np.sqrt(variance / n) * np.sqrt((n - 1) / n)  # Harvey et al. (1997) at horizon 1
        found = forecast.diebold_mariano(a, b)
        assert (found.statistic, found.p) == pytest.approx((t, 2 * st.t.sf(abs(t), n - 1)), rel=1e-8)
        assert forecast.ljung_box(a, 10).p == pytest.approx(acorr_ljungbox(a, lags=[10])["lb_pvalue"].iloc[0])
    with pytest.raises(UserError, match="same steps"):
        forecast.diebold_mariano(np.arange(9.0), np.arange(10.0))


def test_best_of_n_is_the_mean_over_all_subsets() -> None:
    from itertools import combinations

    a = np.array([3.0, 1.0, 2.5, 2.5, 9.0, 0.5])
    for n in range(1, 7):
        mean = np.mean([min(subset) for subset in combinations(a, n)])
        assert summary.best_of(a, np.array([n]))[0] == pytest.approx(mean)
    with pytest.raises(UserError, match="best of 7 to 7"):
        summary.best_of(a, np.array([7]))


def test_median_interval_lies_between_the_order_statistics_of_scipy() -> None:
    for seed in range(200):
        a = np.random.default_rng(seed).lognormal(0, 1, 25)
        outer = st.quantile_test(a, p=0.5).confidence_interval(0.95)
        low, high = summary.median_interval(a)
        assert outer.low <= low < np.median(a) < high <= outer.high


@settings(max_examples=60, deadline=None)
@given(some.lists(some.floats(-1e6, 1e6), min_size=2, max_size=30), some.floats(-100, 100), some.floats(0.01, 100))
def test_the_mean_interval_moves_and_scales_with_the_values(values: list[float], shift: float, scale: float) -> None:
    a = np.array(values)
    low, high = summary.mean_interval(a)
    assert low <= a.mean() + 1e-6 * (1 + abs(a.mean()))
    assert high >= a.mean() - 1e-6 * (1 + abs(a.mean()))
    moved = summary.mean_interval(a * scale + shift)
    assert moved == pytest.approx((low * scale + shift, high * scale + shift), rel=1e-5, abs=1e-5 * (1 + np.ptp(a)) * scale)


def test_values_that_are_not_finite_are_refused_in_one_line() -> None:
    for bad in (np.array([1.0, np.nan]), np.array([1.0, np.inf])):
        with pytest.raises(UserError, match="not finite"):
            two_samples.welch(bad, np.arange(3.0))
    with pytest.raises(UserError, match="at least 2"):
        two_samples.pooled(np.array([1.0]), np.arange(3.0))
