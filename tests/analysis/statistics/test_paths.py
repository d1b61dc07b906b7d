"""Claims about a process: closed forms, the floor, ties and diverged seeds, levels in worlds whose truth is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy import stats

from analysis.statistics import paths

INF = float("inf")


def test_theta_of_a_path_counts_wins_with_ties_half_and_diverged_seeds_last() -> None:
    a = [np.array([1.0, 2.0]), np.array([1.0, INF]), np.array([INF, INF, INF])]
    b = [np.array([2.0, 3.0]), np.array([1.0, INF]), np.array([INF])]
    theta, v = paths.thetas(a, b)
    assert theta.tolist() == [3.5 / 4, 0.5, 0.5]
    # placements 0 and 1/4 of a, 3/4 and 1 of b: variances 1/32 and 1/32, over two seeds each
    assert v[0] == pytest.approx(1 / 32)
    assert np.isnan(v[2]), "one seed has no variance"


def test_t_has_a_quarter_more_in_its_sum_of_squares_and_a_half_for_many_seeds() -> None:
    theta = np.array([0.6, 0.7, 0.8, 0.9, 0.6, 0.7])
    for seeds, added in ((20, 0.25), (21, 0.5)):
        found = paths.mean_over_paths(theta, seeds)
        error = np.sqrt((((theta - theta.mean()) ** 2).sum() + added) / 30)
        assert found.statistic == pytest.approx((theta.mean() - 0.5) / error)
        assert found.p == pytest.approx(max(2 * stats.t.sf(found.statistic, 5), 1 / 32))
        assert found.low == pytest.approx(theta.mean() - stats.t.ppf(0.975, 5) * error)
        assert found.high <= 1


def test_no_p_is_below_the_floor_and_so_many_paths_are_needed() -> None:
    assert paths.p_values(np.ones((1, 6)), 10)[1].tolist() == [1 / 32]
    assert paths.p_values(np.ones((1, 40)), 10)[1].tolist() == [pytest.approx(1 / 20_000)]
    assert [paths.least_paths(tests) for tests in (1, 60)] == [6, 12]
    assert paths.mean_over_paths(np.array([0.9]), 10).p == 1.0
    assert paths.mean_over_paths(np.full(20, 0.5), 10).p == 1.0


def test_all_sign_flips_are_counted() -> None:
    theta = np.array([0.55, 0.9, 0.45, 0.8, 0.52, 0.95])
    gaps = theta - 0.5
    every = [abs(float(np.dot(signs, gaps))) for signs in itertools.product((-1, 1), repeat=6)]
    share = np.mean(np.array(every) >= gaps.sum() - 1e-9)
    t, p = paths.p_values(theta[None], 10)
    assert p[0] == pytest.approx(max(share, 2 * stats.t.sf(t[0], 5)))


def test_p_is_the_same_from_either_side_and_at_every_call() -> None:
    theta = np.random.default_rng(0).beta(5, 4, (3, 20))
    p = paths.p_values(theta, 10)[1]
    assert np.array_equal(p, paths.p_values(theta, 10)[1])
    assert paths.p_values(1 - theta, 10)[1] == pytest.approx(p)
    alone = [paths.mean_over_paths(one, 10).p for one in theta]
    assert alone == pytest.approx(p.tolist())


def test_proven_bets_are_those_of_the_recipe_and_never_forget() -> None:
    theta = np.array([0.9, 0.8, 1.0, 0.7, 0.1])
    stakes = np.arange(0.04, 1.961, 0.04)
    won = [
        sum(float((stakes * np.prod(1 + sign * np.outer(theta[:k] - 0.5, stakes), axis=0)).sum()) for sign in (1, -1)) / (2 * stakes.sum())
        for k in range(1, 6)
    ]
    assert paths.proven(theta[None])[0] == pytest.approx(1 / max(1.0, *won))
    assert paths.proven(theta[None])[0] == pytest.approx(paths.proven(theta[None, :4])[0]), "a bad path takes nothing back"
    assert paths.proven(1 - theta[None])[0] == pytest.approx(paths.proven(theta[None])[0])
    assert paths.proven(np.full((1, 10), 0.66))[0] > 0.05, "never under 11 paths at 0.66"
    assert paths.proven(np.full((1, 5), 0.5)).tolist() == [1.0]


def worlds(rng: np.random.Generator, S: int, P: int) -> dict[str, np.ndarray]:
    """Probabilities theta_p of a win on each path, of mean 1/2: alike, skewed, and either nearly 0 or nearly 1."""
    skewed = np.where(rng.random((S, P)) < 0.1, 0.05, 0.55)
    return {"symmetric": rng.beta(12, 12, (S, P)), "skewed": skewed, "either": rng.choice([0.05, 0.95], (S, P))}


@pytest.mark.parametrize("P", [6, 12])
def test_levels_hold(P: int) -> None:
    rng = np.random.default_rng(1)
    S, n = 1_000, 10
    for name, theta in worlds(rng, S, P).items():
        assert theta.mean() == pytest.approx(0.5, abs=0.01)
        shift = np.sqrt(2) * stats.norm.ppf(theta)  # normal seeds: P(a < b) = Phi(shift / sqrt 2)
        a, b = rng.standard_normal((2, S, P, n))
        found = paths.thetas(list((a - shift[:, :, None]).reshape(-1, n)), list(b.reshape(-1, n)))[0].reshape(S, P)
        allowed = 0.05 + 3 * np.sqrt(0.05 * 0.95 / S)
        assert (paths.p_values(found, n)[1] <= 0.05).mean() <= allowed, name
        assert (paths.proven(found) <= 0.05).mean() <= allowed, name
        assert paths.p_values(0.2 + found * 0.8, n)[1].mean() < paths.p_values(found, n)[1].mean(), "a true claim has the smaller p"


def test_the_sd_between_paths_is_freed_of_the_seeds_noise() -> None:
    x, v = np.array([0.5, 0.7, 0.6, 0.8]), np.full(4, 0.01)
    found = paths.between(x, v)
    square = np.var(x, ddof=1)
    assert found.estimate == pytest.approx(np.sqrt(square - 0.01))
    assert found.low == pytest.approx(np.sqrt(max(0.0, 3 * square / stats.chi2.ppf(0.975, 3) - 0.01)))
    assert found.high == pytest.approx(np.sqrt(3 * square / stats.chi2.ppf(0.025, 3) - 0.01))
    assert paths.between(x, np.full(4, 1.0)).estimate == 0.0
    assert np.isnan(paths.between(x[:1], v[:1]).estimate)
    assert np.isnan(paths.between(x, np.array([0.01, np.nan, 0.01, 0.01])).estimate)


def test_the_interval_of_the_sd_covers_it() -> None:
    rng = np.random.default_rng(2)
    x = 0.6 + 0.1 * rng.standard_normal((500, 20)) + 0.08 * rng.standard_normal((500, 20))
    found = [paths.between(one, np.full(20, 0.08**2)) for one in x]
    assert np.mean([one.low <= 0.1 <= one.high for one in found]) == pytest.approx(0.95, abs=0.03)


def test_the_mean_difference_has_an_interval_from_a_hundred_paths() -> None:
    gaps = np.random.default_rng(0).normal(1.0, 1.0, 100)
    few, many = paths.mean_difference(gaps[:99]), paths.mean_difference(gaps)
    assert few.estimate == pytest.approx(gaps[:99].mean())
    assert np.isnan(few.low)
    assert (many.low, many.high) == pytest.approx(stats.t.interval(0.95, 99, gaps.mean(), stats.sem(gaps)))


def test_two_way_components_are_those_of_the_textbook() -> None:
    # rows 0 and 4, columns 0 and 2, an interaction of +-1: means 1, 5 of rows and 2, 4 of columns; the rest has mean square 4
    table = np.array([[1.0, 1.0], [3.0, 7.0]])
    found = paths.two_way(table)
    assert found["product"] == pytest.approx(np.sqrt(4.0))
    assert found["rows"] == pytest.approx(np.sqrt(8.0 - 4.0 / 2))
    assert found["columns"] == pytest.approx(np.sqrt(max(0.0, 2.0 - 4.0 / 2)))
    assert paths.two_way(table, 3.0)["product"] == pytest.approx(1.0)
    assert np.isnan(paths.two_way(table[:1])["rows"])
    rng = np.random.default_rng(0)
    large = rng.normal(0, 3, (300, 1)) + rng.normal(0, 2, (1, 300)) + rng.normal(0, 1, (300, 300))
    assert list(paths.two_way(large).values()) == pytest.approx([3, 2, 1], rel=0.15)
