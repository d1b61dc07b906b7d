"""Trend over K and the shortest K that will do, against their second implementation."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics import relabelling, trend, wins
from ltm.errors import UserError
from tests.analysis.statistics import recipes


def levels(seed: int, sizes: tuple[int, ...], drop: float = 0.5) -> dict[int, np.ndarray]:
    rng = np.random.default_rng(seed)
    values = [rng.normal(5 - drop * k, 1 + 0.3 * k, n) for k, n in enumerate(sizes)]
    if seed % 3 == 1:
        values = [one.round() for one in values]
    if seed % 3 == 2:
        values = [np.where(rng.random(len(one)) < 0.15, np.inf, one) for one in values]
    return {25 * (k + 1): one for k, one in enumerate(values)}


def test_the_statistic_is_the_recipes() -> None:
    for seed in range(12):
        for sizes, pairs in (((4, 5, 6), False), ((7, 7), False), ((5, 5, 5, 5), True)):
            groups = levels(seed, sizes)
            _, J, _, c = recipes.trend(list(groups.values()), pairs)
            found = trend.trend(groups, pairs)
            assert found.estimate == pytest.approx(J, abs=1e-12)
            assert found.statistic == pytest.approx(c, rel=1e-9)


def test_p_is_that_of_all_relabellings_to_within_its_noise() -> None:
    for seed in range(3):
        groups = levels(seed, (3, 3, 2), drop=1.0)
        assert trend.trend(groups).p == pytest.approx(recipes.trend_exact(list(groups.values())), abs=0.012)
    for seed in range(3):
        groups = levels(seed, (4, 4, 4), drop=1.0)
        exact = recipes.trend_paired_exact(np.array(list(groups.values())).T)
        assert trend.trend(groups, pairs=True).p == pytest.approx(exact, abs=0.03)


def test_two_levels_are_the_two_samples() -> None:
    groups = levels(0, (15, 18))
    short, long = groups.values()
    found = trend.trend(groups)
    assert found.estimate + 0.5 == pytest.approx(wins.beats(long, short).estimate)
    assert found.statistic == pytest.approx(wins.beats(long, short).statistic)


def test_a_strong_trend_is_seen_and_none_is_not() -> None:
    assert trend.trend(levels(0, (20, 20, 20, 20), drop=1.0)).p < 1e-3
    assert trend.trend(levels(3, (20, 20, 20, 20), drop=1.0), pairs=True).p < 1e-3
    assert trend.trend(levels(0, (20, 20, 20, 20), drop=0.0)).p > 0.05
    assert trend.trend({5: np.ones(9), 10: np.ones(9)}).p == 1
    assert np.isnan(trend.trend({5: np.ones(9)}).p)
    with pytest.raises(UserError, match="4, 5 seeds; expected the same seeds for every K"):
        trend.trend({5: np.ones(4), 10: np.ones(5)}, pairs=True)
    assert trend.trend({5: np.ones(3), 10: np.zeros(3)}).p == 0.25  # the floor


def test_pairing_takes_out_what_the_levels_of_a_seed_share() -> None:
    rng = np.random.default_rng(5)
    common = rng.normal(0, 3, 15)
    groups = {K: common - 0.02 * K + rng.normal(0, 0.5, 15) for K in (25, 50, 75, 100)}
    assert trend.trend(groups, pairs=True).p < 0.01 < trend.trend(groups).p


def test_the_shortest_length_is_the_recipes() -> None:
    for seed in range(4):
        groups = {K: np.abs(a) + 1 for K, a in levels(seed, (5, 5, 6), drop=0.2).items()}
        own = [max(recipes.no_worse(a, b, 10, recipes.p_exact) for other, b in groups.items() if other != K) for K, a in groups.items()]
        assert list(trend.shortest(groups, 10).values()) == pytest.approx(own)
    pairs = {5: np.arange(1.0, 9.0), 10: np.arange(1.0, 9.0) * 1.01}
    assert trend.shortest(pairs, 2, pairs=True) == {5: pytest.approx(2.0**-8), 10: pytest.approx(2.0**-8)}


def test_a_law_is_kept() -> None:
    trend.trend(levels(0, (10, 10, 10)))
    before = trend.law.cache_info()
    trend.trend(levels(3, (10, 10, 10)))
    assert trend.law.cache_info().misses == before.misses
    assert relabelling.RESAMPLES[0] == 19_999
