"""The default verdict against its second implementation (``recipes.py``), closed forms, and the laws that it obeys."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats as st
from hypothesis import given, settings
from hypothesis import strategies as some

from analysis.statistics import relabelling, wins
from ltm.errors import UserError
from tests.analysis.statistics import recipes


def draw(seed: int, n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Two samples: shifted or skewed, one in four with ties, one in four with diverged seeds."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(0, 1, n), (rng.normal(0.7, 2, m) if seed % 2 else rng.lognormal(0, 0.7, m))
    if seed % 4 == 1:
        x, y = x.round(), y.round()
    if seed % 4 == 2:
        x, y = (np.where(rng.random(len(a)) < 0.2, np.inf, a) for a in (x, y))
    return x, y


def p_of(x: np.ndarray, y: np.ndarray) -> float:
    return float(wins.p_values(x[None], y[None])[1][0])


@pytest.mark.parametrize(("n", "m"), [(4, 4), (5, 7), (7, 5), (2, 9), (1, 6), pytest.param(8, 8, marks=pytest.mark.long)])
def test_p_with_all_relabellings_is_the_recipes(n: int, m: int) -> None:
    for seed in range(8 if n + m < 14 else 2):
        x, y = draw(seed, n, m)
        assert p_of(x, y) == pytest.approx(recipes.p_exact(x, y), abs=1e-12)


@pytest.mark.long
def test_p_of_random_relabellings_is_the_recipes_to_within_their_noise() -> None:
    for seed in range(12):
        x, y = draw(seed, 15, 22)
        ordered, _labels = wins.pooled(x, y)
        law = relabelling.two_samples(15, 22, relabelling.groups_of(ordered))
        theirs = recipes.p_from(x, y, law.kept[0], law.kept[1])
        mine = float(wins.p_values(x[None], y[None], finest=0)[1][0])
        assert mine == pytest.approx(theirs, abs=1e-9), "the same relabellings"
        rng = np.random.default_rng(100 + seed)
        both = np.concatenate([x, y])
        star = [
            (recipes.c_statistic(z[:15], z[15:]), recipes.d_statistic(z[:15], z[15:])) for z in (rng.permutation(both) for _ in range(1500))
        ]
        own = recipes.p_from(x, y, *np.transpose(star))
        assert abs(own - mine) < 4 * np.sqrt(max(mine, 0.002) / 1500) + 1 / 1500


def test_small_p_are_counted_again_in_finer_laws() -> None:
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=40), rng.normal(1.3, 1, 40)
    coarse, fine = (float(wins.p_values(x[None], y[None], finest=k)[1][0]) for k in (0, 2))
    assert coarse == pytest.approx(1 / 20_000)
    assert fine < 2e-5
    ends = tuple(range(1, 81))
    first, second = relabelling.two_samples(40, 40, ends), relabelling.two_samples(40, 40, ends, 1)
    for share in (0.95, 0.99, 0.999):
        assert first.quantile(0, share) == pytest.approx(second.quantile(0, share), rel=0.03 if share < 0.999 else 0.12)


@pytest.mark.parametrize(("n", "m"), [(6, 7), (20, 20), (15, 40)])
def test_pairs_of_ties_are_counted_together_as_each_by_its_law(n: int, m: int) -> None:
    rng = np.random.default_rng(n)
    levels = (np.arange(12) // 3)[:, None]
    x, y = (rng.integers(0, 9, (12, n)) / 50, (rng.integers(0, 9, (12, m)) + levels) / 50)
    y[:4, :2] = np.inf
    theta, p = wins.p_values(x, y)
    for i in range(12):
        ordered, labels = wins.pooled(x[i], y[i])
        ends = relabelling.groups_of(ordered)
        _, _, c, d = relabelling.placed(np.append(0, labels.cumsum()), np.array(ends), n, m)
        shares = relabelling.of_law(lambda stage, ends=ends: relabelling.two_samples(n, m, ends, stage), (np.array([c]), np.array([d])))
        least = max(float(st.chi2.sf(c**2, 1)), float(relabelling.coin(labels, np.array(ends), n, m, theta[i] >= 0.5)))
        assert p[i] == pytest.approx(max(float(relabelling.refined(shares, 1, 1)[0]), least), rel=1e-12)
        assert p[i] == wins.p_values(x[[i]], y[[i]])[1][0], "whatever the company"


def test_relabellings_are_the_same_whatever_the_number_of_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = tuple(range(1, 20))
    relabelling.two_samples.cache_clear()
    many = relabelling.two_samples(9, 10, ends, 1)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    relabelling.two_samples.cache_clear()
    one = relabelling.two_samples(9, 10, ends, 1)
    np.testing.assert_array_equal(many.kept[0], one.kept[0])


def test_separated_samples_have_the_closed_form() -> None:
    for n, m in ((5, 5), (6, 10), (12, 20)):
        x, y = np.arange(n), 100.0 + np.arange(m)
        found = wins.beats(x, y)
        assert found.estimate == 1
        ways = st.binom.pmf(0, 1, 0) and 2 / float(np.exp(sum(np.log(range(m + 1, n + m + 1))) - sum(np.log(range(1, n + 1)))))
        assert found.p == pytest.approx(max(ways, 2.0 ** (1 - n)), rel=0.2)
        assert found.low <= 0.025 ** (1 / n)
        assert found.high == 1


SAMPLES = some.lists(some.one_of(some.integers(0, 6).map(float), some.just(float("inf"))), min_size=2, max_size=5)


@settings(max_examples=40, deadline=None)
@given(SAMPLES, SAMPLES)
def test_swapping_and_any_rising_change_of_units_leave_the_verdict(x: list[float], y: list[float]) -> None:
    a, b = np.array(x), np.array(y)
    theta, p = wins.p_values(a[None], b[None])
    back, p_back = wins.p_values(b[None], a[None])
    assert theta[0] == pytest.approx(1 - back[0], abs=1e-12)
    assert p[0] == pytest.approx(p_back[0], abs=1e-12)
    assert wins.p_values(np.exp(a)[None] - 3, np.exp(b)[None] - 3)[1][0] == p[0]
    assert p[0] == pytest.approx(recipes.p_exact(a, b), abs=1e-12)


def test_a_diverged_seed_is_last_whatever_number_stands_for_it() -> None:
    x, y = draw(2, 20, 30)
    assert np.isinf(np.concatenate([x, y])).any()
    large = [np.where(np.isinf(a), 1e9, a) for a in (x, y)]
    assert p_of(x, y) == p_of(*large)
    assert wins.beats(x, y) == wins.beats(*large)


def test_a_steady_model_of_which_seeds_diverge_does_not_beat_a_few_noisy_ones_too_often() -> None:
    rng = np.random.default_rng(0)
    steady = np.where(rng.random((3000, 100)) < 0.25, np.inf, 0.01 * rng.normal(size=(3000, 100)))
    noisy = rng.normal(st.norm.ppf(0.5 / 0.75), 1, (3000, 6))  # theta is 1/2
    theta, p = wins.p_values(steady, noisy)
    assert theta.mean() == pytest.approx(0.5, abs=0.01)
    assert (p < 0.05).mean() < 0.03  # with a fair coin's floor alone it is 0.075


def test_a_sample_of_one_value_makes_the_other_so_many_tosses() -> None:
    rng = np.random.default_rng(0)
    lump, tossed = np.ones((4000, 100)), rng.integers(0, 3, (4000, 14)).astype(float)  # theta is 1/2
    assert (wins.p_values(lump, tossed, finest=1)[1] < 0.05 / 60).mean() < 0.002
    x, y = np.ones(100), np.repeat([0.0, 1.0], [8, 4])
    assert p_of(x, y) == pytest.approx(st.binomtest(8, 8).pvalue)


def test_the_interval_of_theta_is_the_recipes() -> None:
    for seed in range(12):
        for n, m in ((6, 6), (12, 20), (20, 8)):
            x, y = draw(seed, n, m)
            c = relabelling.two_samples(n, m, wins.without_ties(x, y)).quantile(0, 0.95)
            mine = wins.beats(x, y)
            low, high = recipes.theta_interval(x, y, c)
            assert (mine.low, mine.high) == pytest.approx((low, high), abs=2e-4)
            assert mine.low <= mine.estimate <= mine.high


def test_the_typical_difference_is_the_median_of_all_and_its_interval_inverts_the_test() -> None:
    for seed in (0, 2, 3, 6, 7, 10):
        x, y = draw(seed, 14, 12)
        mine = wins.typical_difference(x, y)
        assert mine.estimate == pytest.approx(recipes.hodges_lehmann(x, y), nan_ok=True)

        def p(a: np.ndarray, b: np.ndarray) -> float:
            return float(wins.p_values(a[None], b[None], finest=0)[1][0])

        assert (mine.low, mine.high) == pytest.approx(recipes.shift_interval(x, y, p), rel=1e-9, abs=1e-9)


def test_the_typical_difference_of_diverged_seeds() -> None:
    assert wins.typical_difference(np.full(9, np.inf), np.arange(9.0)).estimate == np.inf
    assert np.isnan(wins.typical_difference(np.full(9, np.inf), np.full(9, np.inf)).estimate)
    few = wins.typical_difference(np.arange(3.0), np.arange(3.0))
    assert (few.low, few.high) == (-np.inf, np.inf)


def test_the_sign_test_is_the_exact_binomial_one_without_ties() -> None:
    for seed in range(40):
        a, b = draw(seed, 17, 17)
        mine, untied = wins.signs(a, b), int((a != b).sum())
        theirs = st.binomtest(int((a < b).sum()), untied)
        assert mine.p == pytest.approx(recipes.sign_test(a, b))
        assert mine.p == pytest.approx(theirs.pvalue)
        assert (mine.low, mine.high) == pytest.approx(tuple(theirs.proportion_ci()))
        gap = wins.paired_difference(a, b)
        if np.isfinite(gap.low):
            assert gap.low <= gap.estimate <= gap.high
    assert np.isnan(wins.signs(np.ones(5), np.ones(5)).p)
    with pytest.raises(UserError, match="same seeds"):
        wins.signs(np.ones(5), np.ones(6))


def test_no_worse_and_equivalent_are_the_recipes() -> None:
    for seed in range(4):
        x, y = (np.abs(a) + 0.1 for a in draw(seed, 5, 6))
        for margin in (2.0, 40.0):
            assert wins.no_worse(x, y, margin) == pytest.approx(recipes.no_worse(x, y, margin, recipes.p_exact), abs=1e-12)
            assert wins.equivalent(x, y, margin) == pytest.approx(recipes.equivalent(x, y, margin, recipes.p_exact), abs=1e-12)
    with pytest.raises(UserError, match="margin is 0 per cent"):
        wins.no_worse(np.ones(3), np.ones(3), 0)
    with pytest.raises(UserError, match="margin is inf per cent"):
        wins.no_worse(np.ones(3), np.ones(3), np.inf)


def test_values_that_are_no_errors_are_refused_in_one_line() -> None:
    for bad in ([1.0, np.nan], [1.0, -np.inf]):
        with pytest.raises(UserError, match="no errors"):
            wins.beats(np.array(bad), np.arange(3.0))
