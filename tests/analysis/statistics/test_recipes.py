"""The oracle itself, on closed forms, symmetries and other people's implementations."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import scipy.stats as st
from statsmodels.stats.multitest import multipletests

from tests.analysis.statistics import recipes as r

INF = math.inf
Pair = tuple[np.ndarray, np.ndarray]


def draw(seed: int, n: int, m: int) -> Pair:
    """Two samples; every third has ties, every second diverged seeds."""
    rng = np.random.default_rng(seed)
    x, y = rng.lognormal(0, 0.5, n), rng.normal(1.5, 1, m) ** 2
    if seed % 3 == 0:
        x, y = x.round(), y.round()
    if seed % 2 == 0:
        x[rng.random(n) < 0.2] = INF
        y[rng.random(m) < 0.2] = INF
    return x, y


def asymptotic(x: np.ndarray, y: np.ndarray) -> float:
    """R1 without the relabellings: quick, for what only needs some p."""
    return r.largest(x, y, 0.0, 0.0)


def test_theta_and_its_variance_are_those_of_brunner_and_munzel() -> None:
    for seed in range(20):
        x, y = draw(seed, 7, 11)
        theta, v = r.placements(x, y)
        wins = [r.win(a, b) for a in x for b in y]
        assert theta == pytest.approx(np.mean(wins), abs=1e-14)
        ranks = st.rankdata(np.concatenate([x, y]))  # scipy's test cannot hold +inf, but knows only the ranks
        statistic = st.brunnermunzel(ranks[:7], ranks[7:]).statistic
        assert (theta - 0.5) / math.sqrt(v) == pytest.approx(statistic, rel=1e-9)


def test_three_against_two_by_hand() -> None:
    # x beats y in 1 1, 1 1, 0 1 of the pairs: placements of x 0 0 1/2, of y 2/3 1
    x, y = [1.0, 2.0, 4.0], [3.0, INF]
    theta, v = r.placements(x, y)
    assert theta == pytest.approx(5 / 6)
    assert v == pytest.approx((1 / 12) / 3 + (1 / 18) / 2)
    assert r.c_statistic(x, y) == pytest.approx(2 / 3 * math.sqrt(5 / 36 / (1 / 18)))
    assert r.d_statistic(x, y) == pytest.approx(1 / 3 / math.sqrt(1 / 18 + 1 / 6 + 1 / 2))


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 4), (5, 5), (6, 4)])
def test_separated_samples_have_a_closed_form(n: int, m: int) -> None:
    x, y = np.arange(n) * 1.0, n + np.arange(m) * 1.0
    y[-1] = INF
    p = max(2 / math.comb(n + m, n), 2.0 ** (1 - min(n, m)))
    assert r.placements(x, y) == (1.0, 0.0)
    assert r.c_statistic(x, y) == r.d_statistic(x, y) == INF
    assert r.p_exact(x, y) == r.p_exact(y, x) == p
    assert r.trend_exact([y, x]) == p


def test_samples_that_are_level_differ_in_nothing() -> None:
    for x in ([1.0, 1.0, 1.0], [INF, INF, INF]):
        assert r.placements(x, x) == (0.5, 0.0)
        assert r.c_statistic(x, x) == r.d_statistic(x, x) == 0
        assert r.p_exact(x, x) == 1
        assert r.trend([x, x, x])[1:] == (0, 0, 0)
    assert r.p_exact([1.0], [2.0, 3.0]) == 1


def test_a_lump_about_a_spike_gets_no_less_than_its_coin() -> None:
    """Six tosses that fall alike are worth 2^-5, whatever the relabellings say."""
    x, y = -1 - np.arange(6) / 1e3, np.arange(8) / 1e3
    assert r.p_exact(x, y) == 2**-5 > 2 / math.comb(14, 6)


@pytest.mark.parametrize("seed", range(6))
def test_the_names_of_the_models_do_not_matter(seed: int) -> None:
    x, y = draw(seed, 5, 4)
    assert r.placements(x, y)[0] == pytest.approx(1 - r.placements(y, x)[0], abs=1e-14)
    assert r.p_exact(x, y) == pytest.approx(r.p_exact(y, x), rel=1e-12)
    low, high = r.theta_interval(x, y, 2.5)
    assert r.theta_interval(y, x, 2.5) == pytest.approx((1 - high, 1 - low), abs=1e-12)
    assert r.sign_test(x[:4], y) == r.sign_test(y, x[:4])
    a, b = draw(seed, 20, 20)
    p, low, high, packs = r.anytime(a, b)
    assert r.anytime(b, a) == pytest.approx((p, 1 - high, 1 - low, packs), rel=1e-9)


@pytest.mark.parametrize("transform", [np.exp, lambda x: x**3 - 7, lambda x: np.where(x > 1.2, x + 50, x)])
@pytest.mark.parametrize("seed", range(4))
def test_only_the_order_matters(seed: int, transform: Callable[[np.ndarray], np.ndarray]) -> None:
    x, y = draw(seed, 5, 5)
    assert r.placements(transform(x), transform(y)) == r.placements(x, y)
    assert r.p_exact(transform(x), transform(y)) == r.p_exact(x, y)
    assert r.trend_exact([transform(x), transform(y)]) == r.trend_exact([x, y])


def test_random_relabellings_come_near_all_of_them() -> None:
    x, y = draw(1, 5, 6)
    c, d = r.all_relabellings(x, y)
    assert len(c) == len(d) == math.comb(11, 5)
    chosen = np.random.default_rng(0).integers(len(c), size=9_999)
    assert r.p_from(x, y, c[chosen], d[chosen]) == pytest.approx(r.p_exact(x, y), abs=0.02)
    separated = np.arange(9.0), np.arange(9.0) + 20
    assert r.p_from(*separated, np.zeros(999), np.zeros(999)) == max(1 / 1000, 2**-8)


def test_the_law_of_the_relabelled_statistic_depends_on_the_ties_alone() -> None:
    first, second = draw(1, 4, 5), draw(5, 4, 5)
    for one, two in zip(r.all_relabellings(*first), r.all_relabellings(*second), strict=True):
        np.testing.assert_allclose(np.sort(one), np.sort(two))


def test_interval_of_theta() -> None:
    x, y = np.arange(20.0), np.arange(20.0) + 100
    low, high = r.theta_interval(x, y, 0.0)
    assert high == 1
    assert low <= 0.025 ** (1 / 20)
    assert r.theta_interval(y, x, 0.0) == pytest.approx((0, 1 - low))
    assert r.theta_interval([1.0, 2.0, 3.0], [4.0, 5.0, 6.0], 0.0)[0] <= 0.5  # a floor of 1/4
    assert r.theta_interval(x, y, INF) == (0, 1)
    # about the middle k binds, and the bounds solve (theta - t)^2 = c^2 k t (1 - t)
    x, y = draw(7, 30, 30)
    theta, v = r.placements(x, y)
    low, high = r.theta_interval(x, y, 1.96)
    for end in (low, high):
        k = v / (theta * (1 - theta)) * end * (1 - end)
        newcombe = end * (1 - end) / 900 * (1 + 29 * ((1 - end) / (2 - end) + end / (1 + end)))  # as Newcombe writes it
        assert (theta - end) ** 2 == pytest.approx(1.96**2 * max(k, newcombe), rel=3e-3)
    assert r.theta_interval(x, y, 3.0)[0] < low < theta < high < r.theta_interval(x, y, 3.0)[1]


def test_hodges_lehmann() -> None:
    x, y = draw(1, 8, 9)
    assert r.hodges_lehmann(x, y) == pytest.approx(np.median(np.subtract.outer(x, y)))
    assert r.hodges_lehmann([1.0, INF], [0.0, INF]) == 1  # -inf, 1, inf
    assert r.hodges_lehmann([INF, INF], [0.0, INF]) == INF
    assert math.isnan(r.hodges_lehmann([INF], [INF]))
    assert r.hodges_lehmann([INF, 1.0], [INF]) == -INF


def test_interval_of_the_shift() -> None:
    x, y = draw(1, 10, 12)
    low, high = r.shift_interval(x, y, asymptotic)
    assert low < r.hodges_lehmann(x, y) < high
    for d in np.linspace(low - 1, high + 1, 400):
        if not low <= d <= high:
            assert asymptotic(x - d, y) < 0.05
    width = 1e-6
    assert asymptotic(x - low - width, y) >= 0.05
    assert asymptotic(x - high + width, y) >= 0.05
    np.testing.assert_allclose(r.shift_interval(x + 3, y, asymptotic), (low + 3, high + 3))
    np.testing.assert_allclose(r.shift_interval(y, x, asymptotic), (-high, -low))
    assert r.shift_interval(x[:3], y[:3], r.p_exact) == (-INF, INF)  # a floor of 1/4
    assert r.shift_interval([INF] * 9, [INF] * 9, asymptotic) == (-INF, INF)
    assert np.isnan(r.shift_interval([INF] * 9, [1.0] * 9, asymptotic)).all()  # no shift makes up for that


@pytest.mark.parametrize("seed", range(12))
def test_sign_test(seed: int) -> None:
    a, b = draw(seed, 12, 12)
    untied = a != b
    assert r.sign_test(a, b) == pytest.approx(st.binomtest(int((a < b).sum()), int(untied.sum())).pvalue)
    assert r.sign_test([INF, 1.0], [INF, 1.0]) == 1


def test_means() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(0, 1, 40), rng.normal(0.4, 2, 50)
    draws = rng.integers(40, size=(1_999, 40)), rng.integers(50, size=(1_999, 50))
    known = st.ttest_ind(x, y, equal_var=False)
    interval = known.confidence_interval()
    assert r.welch(x, y) == pytest.approx((known.pvalue, interval.low, interval.high))
    p, low, high = r.bootstrap_t(x, y, *draws)
    assert p == pytest.approx(known.pvalue, abs=0.05)
    assert (low, high) == pytest.approx((interval.low, interval.high), abs=0.1)
    assert r.means(x, y, *draws) == (max(p, known.pvalue), min(low, interval.low), max(high, interval.high))
    # the interval holds the difference d where x - d and y have a p above 0.05
    assert r.bootstrap_t(x - low - 1e-6, y, *draws)[0] > 0.05 >= r.bootstrap_t(x - low + 1e-6, y, *draws)[0]
    assert r.bootstrap_t(x - high + 1e-6, y, *draws)[0] > 0.05 >= r.bootstrap_t(x - high - 1e-6, y, *draws)[0]
    swapped = r.bootstrap_t(y, x, draws[1], draws[0])
    assert swapped == pytest.approx((p, -high, -low))
    with pytest.raises(ValueError, match="no mean"):
        r.means([1.0, INF], [1.0, 2.0], *draws)


def test_two_packs_by_hand() -> None:
    """Pack 1: a wins all, so each S_h is 10. Pack 2: a's seeds 0 to 6 win all, the others none: each S_h is 7."""
    a = [0.0] * 10 + [0.0] * 7 + [INF] * 3
    b = [1.0] * 20
    q = np.arange(1, 50) / 50
    pi = q**2 * (1 - q) ** 2
    pi /= pi.sum()
    first, second = 2**10 * (pi * q**10).sum(), 2**20 * (pi * q**17 * (1 - q) ** 3).sum()
    assert np.exp(r.log_evidence(r.pack_sums(a, b), 0.5)) == pytest.approx([first, second])
    p, low, high, packs = r.anytime(a, b)
    assert (p, packs) == (pytest.approx(1 / max(first, second)), 2)
    assert high < 1  # a has lost
    assert r.anytime(a[:19], b)[0] == pytest.approx(1 / first)  # an incomplete pack is not read
    assert r.anytime(a[:19], b)[2:] == (1.0, 1)
    assert r.anytime(a[:9], b) == (1.0, 0.0, 1.0, 0)
    for end, outside in ((low, low - 0.001), (high, high + 0.001)):
        both = [
            max(
                (pi * q**10).sum() / t**10,
                (pi * q**17 * (1 - q) ** 3).sum() / (t**17 * (1 - t) ** 3),
            )
            for t in (end, outside)
        ]
        assert both[0] < 20 <= both[1]
    # the second pack against the first: what was won is not lost
    worse = r.anytime(a + [1.0] * 10, b + [0.0] * 10)
    assert worse[0] == p


def test_one_pack_whose_pairings_differ() -> None:
    a = [0.0, 2.0] * 5
    b = [1.0, 3.0, 1.0, 2.0, 1.0, 3.0, 1.0, 3.0, 1.0, 3.0]  # one level pair
    sums = r.pack_sums(a, b)[0]
    assert sums == [9.5, 5.0, 9.5, 5.0, 9.5, 5.0, 9.5, 5.0, 9.5, 5.0]
    q = np.arange(1, 50) / 50
    pi = q**2 * (1 - q) ** 2 / (q**2 * (1 - q) ** 2).sum()
    evidence = 2**10 * (pi * (q**9.5 * (1 - q) ** 0.5 + q**5 * (1 - q) ** 5) / 2).sum()
    assert r.anytime(a, b)[0] == pytest.approx(min(1, 1 / evidence))
    assert r.anytime_paired(a, b)[0] == pytest.approx(1 / (2**10 * (pi * q**9.5 * (1 - q) ** 0.5).sum()))


def test_evidence_has_mean_one_or_less_at_the_null() -> None:
    """All 2^10 outcomes of ten fair coins, as one pairing sees them: mean exactly 1."""
    total = sum(math.comb(10, s) / 2**10 * math.exp(r.log_evidence([[float(s)]], 0.5)[0]) for s in range(11))
    assert total == pytest.approx(1)


@pytest.mark.parametrize("seed", range(10))
def test_holm(seed: int) -> None:
    p = np.random.default_rng(seed).beta(0.5, 4, 9).round(2)
    np.testing.assert_allclose(r.holm(p), multipletests(p, method="holm")[1])


def test_best_of_several() -> None:
    rng = np.random.default_rng(2)
    samples = {name: rng.normal(shift, 1, 14) for name, shift in zip("abcdefgh", [0] * 7 + [9], strict=True)}
    samples["i"] = np.full(14, INF)
    assert r.left_out(samples, asymptotic) == r.left_out_hsu(samples, asymptotic) == {"h", "i"}
    few = {name: sample[:8] for name, sample in samples.items()}
    assert r.left_out(few, asymptotic) == set()  # 36 * 2^-7 is above 0.05
    assert {"h", "i"} <= r.left_out_hsu(few, asymptotic)  # 2^-8 is below 0.05/8
    assert r.left_out_hsu({name: sample[:7] for name, sample in samples.items()}, asymptotic) == set()


def test_no_worse_and_equivalent() -> None:
    x, y = np.linspace(1.0, 1.01, 9), np.linspace(1.0, 1.01, 9) + 0.001
    assert r.no_worse(x, y, 2, asymptotic) == r.no_worse(y, x, 2, asymptotic) == r.equivalent(x, y, 2, asymptotic) == 2**-9
    assert r.no_worse(1.1 * x, y, 2, asymptotic) == 1
    assert r.equivalent(1.1 * x, y, 2, asymptotic) == r.equivalent(y, 1.1 * x, 2, asymptotic) == 1
    assert r.equivalent(1.1 * x, y, 12, asymptotic) == 2**-9
    assert r.no_worse(x, x, 0, asymptotic) == 1


@pytest.mark.parametrize("seed", range(8))
def test_two_levels_are_two_samples(seed: int) -> None:
    """C_J of (shorter, longer) is R1's C of longer against shorter; 1 - 4 J^2 is 4 theta (1 - theta)."""
    x, y = draw(seed, 4, 5)
    theta, J, V, C = r.trend([y, x])
    assert theta[0, 1] == pytest.approx(r.placements(x, y)[0])
    assert pytest.approx(r.placements(x, y)[0] - 0.5) == J
    assert pytest.approx(r.placements(x, y)[1], abs=1e-14) == V
    assert pytest.approx(r.c_statistic(x, y)) == C
    c_star, _ = r.all_relabellings(x, y)
    share = r.reached(c_star, r.c_statistic(x, y)) / len(c_star)
    expected = max(share, 2.0**-3, st.norm.sf(C) * 2)
    assert r.trend_exact([y, x]) == pytest.approx(expected)


def test_a_perfect_trend() -> None:
    groups = [np.array([5.0, INF]), np.array([3.0, 4.0]), np.array([1.0, 2.0])]
    theta, J, V, C = r.trend(groups)
    assert set(theta.values()) == {1.0}
    assert (J, V, C) == (0.5, 0.0, INF)
    assert len(list(r.assignments(np.arange(6.0), [2, 2, 2]))) == 90
    assert r.trend_exact(groups) == 0.5  # the floor of two seeds
    assert r.trend_exact(groups[::-1]) == 0.5
    assert r.trend(groups[::-1])[1] == -0.5
    # the middle level first: two of the three pairs are lost, yet V is 0
    assert r.trend([groups[1], groups[2], groups[0]])[1:] == (pytest.approx(1 / 3 - 0.5), 0.0, INF)


def test_three_levels_by_hand() -> None:
    groups = [[1.0, 4.0], [2.0, 3.0], [0.0, 5.0]]
    theta, J, V, C = r.trend(groups)
    assert theta == {(0, 1): 0.5, (0, 2): 0.5, (1, 2): 0.5}
    assert (J, C) == (0, 0)
    # psi: level 0 1/2, 3/2; level 1 1/2 + 1/2 and 1/2 + 1/2; level 2 2, 0
    assert pytest.approx((0.5 / 2 + 0 / 2 + 2 / 2) / 9) == V


def test_paired_trend() -> None:
    base = np.array([0.0, 10.0, 20.0, 30.0, 40.0])
    matrix = np.column_stack([base + 3, base + 2, base + 1])  # the longest always the best, under large differences of seeds
    assert r.trend([*matrix.T])[1] == pytest.approx(0.1)
    one, other = r.trend_paired_exact(matrix[:4]), r.trend_paired_exact(matrix[:4, ::-1])
    assert one == other >= 2**-3
    # two levels: each seed's pair is kept or turned
    x, y = draw(1, 6, 6)
    p = r.trend_paired_exact(np.column_stack([y, x]))
    c = []
    for way in range(2**6):
        turn = np.array([way >> i & 1 for i in range(6)], dtype=bool)
        c.append(r.c_statistic(np.where(turn, y, x), np.where(turn, x, y)))
    expected = max(r.reached(c, r.c_statistic(x, y)) / 64, 2.0**-5, 2 * st.norm.sf(r.c_statistic(x, y)))
    assert p == pytest.approx(expected)


def test_shortest() -> None:
    rng = np.random.default_rng(4)
    good = [100 + rng.normal(0, 0.1, 12) for _ in range(3)]
    index, p = r.shortest([good[0] * 1.5, *good], 2, asymptotic)
    assert index == 1
    assert p[0] == 1
    np.testing.assert_allclose(p[1:], 4 * 2.0**-12)
    assert r.shortest([group[:6] for group in [good[0] * 1.5, *good]], 2, asymptotic)[0] is None  # from 7 seeds: 4 * 2^-6 > 0.05
    assert r.shortest([group[:7] for group in [good[0], *good]], 2, asymptotic)[0] == 0
    assert r.shortest(good, 0, asymptotic)[0] is None
