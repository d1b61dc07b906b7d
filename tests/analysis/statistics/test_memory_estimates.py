"""Estimates of d, and tests of long memory, against transcriptions of their papers, a peer, published values and known d."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.statistics import memory
from analysis.statistics.memory import scaling, spurious
from ltm.data import arfima, fractional
from ltm.errors import UserError
from tests.analysis.statistics import memory_transcribed as transcribed


def noise(d: float, n: int, seed: int) -> np.ndarray:
    return arfima.fractional_noise(d, n, np.random.default_rng(seed))


def integrated(d: float, n: int, seed: int) -> np.ndarray:
    """White noise integrated d times from zeros on."""
    return memory.differenced(np.random.default_rng(seed).standard_normal(n), -d)


class Unit:
    """A generator whose k-th draw is 1 and all others 0."""

    def __init__(self, k: int) -> None:
        self.k = k

    def standard_normal(self, size: tuple[int, int]) -> np.ndarray:
        draws = np.zeros(size[0] * size[1])
        draws[self.k] = 1.0
        return draws.reshape(size)


@pytest.mark.parametrize("d", [-0.4, 0.2, 0.45])
def test_simulated_fractional_noise_has_its_autocovariances_exactly(d: float) -> None:
    """A path is linear in the normals that it is drawn from, so its covariance is that of the map."""
    n = 12
    paths = np.stack([arfima.fractional_noise(d, n, Unit(k)) for k in range(2 * (n + 1))])
    gamma = arfima.fractional_noise_autocovariance(d, n)
    np.testing.assert_allclose(paths.T @ paths, gamma[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))], atol=1e-10)


@pytest.mark.parametrize("d", [-0.3, 0.0, 0.4, 0.7, 1.3])
def test_fractional_differences_are_the_sums_over_the_past(d: float) -> None:
    x = noise(0.2, 60, 0)
    np.testing.assert_allclose(memory.differenced(x, d), transcribed.differenced(x, d), atol=1e-12)
    np.testing.assert_allclose(memory.differenced(memory.differenced(x, d), -d), x, atol=1e-10)


def test_estimates_are_those_of_their_papers() -> None:
    x, m = noise(0.3, 200, 1) + 7, 30
    assert memory.gph(x, m).estimate == pytest.approx(transcribed.gph(x, m), abs=1e-9)
    assert memory.local_whittle(x, m).estimate == pytest.approx(transcribed.local_whittle(x, m), abs=1e-6)
    assert memory.qu(x, m, 0.1).statistic == pytest.approx(transcribed.qu(x, m, 0.1), abs=1e-5)


@pytest.mark.parametrize("d", [0.3, 0.8])
def test_exact_local_whittle_is_that_of_its_paper(d: float) -> None:
    x = integrated(d, 96, 2)
    found = memory.exact_local_whittle(x, 20, mean=0.0).estimate
    assert found == pytest.approx(transcribed.exact_local_whittle(x, 20, found + 0.05), abs=1e-6)


@pytest.mark.parametrize("d", [-0.3, 0.0, 0.4, 0.65, 1.2])
def test_exact_local_whittle_is_that_of_a_peer(d: float) -> None:
    peer = pytest.importorskip("pyelw", reason="pip install pyelw")
    x = integrated(d, 800, 3)
    assert memory.exact_local_whittle(x, 60, mean=0.0).estimate == pytest.approx(peer.ELW().fit(x, 60).d_hat_, abs=1e-6)
    two_steps = peer.TwoStepELW(bounds=(-1.0, 2.2)).fit(x + 5, 60)
    assert memory.exact_local_whittle(x + 5, 60).estimate == pytest.approx(two_steps.d_hat_, abs=1e-6)
    assert fractional.tapered(x + 5, 60) == pytest.approx(two_steps.d_step1_, abs=1e-6)


@pytest.mark.parametrize("d", [0.2, 0.4, 0.7, 1.1])
def test_exact_local_whittle_finds_d_beyond_one_half_and_covers_it(d: float) -> None:
    found = [memory.exact_local_whittle(integrated(d, 500, seed) + 3) for seed in range(100)]
    assert np.mean([o.estimate for o in found]) == pytest.approx(d, abs=0.035)
    assert np.mean([o.low <= d <= o.high for o in found]) > 0.86  # 100 paths: 0.022 is one standard error


def test_a_parametric_fit_finds_d_with_its_asymptotic_error() -> None:
    fits = [memory.arfima_of(noise(0.3, 400, seed)).d for seed in range(40)]
    assert np.mean([o.estimate for o in fits]) == pytest.approx(0.3, abs=0.035)
    widths = [(o.high - o.low) / 2 / 1.959964 for o in fits]
    assert np.mean(widths) == pytest.approx(np.sqrt(6 / (np.pi**2 * 400)), rel=0.1)


def test_the_order_of_a_parametric_fit_is_found() -> None:
    x = arfima.arma(noise(0.3, 1500, 0), [0.7], [])
    assert memory.arfima(x).name == "ARFIMA(1, d, 0)"


@pytest.mark.parametrize(
    ("of_many", "size", "longest"),
    [(memory.dfa_each, transcribed.fluctuation, 4), (memory.rescaled_range_each, transcribed.range_over_sd, 2)],
)
def test_growth_with_the_stretch_is_that_of_its_paper(
    of_many: Callable[[np.ndarray], np.ndarray], size: Callable[[np.ndarray, int], float], longest: int
) -> None:
    x = noise(0.3, 300, 4)
    lengths = np.unique(np.geomspace(8, len(x) // longest, 20).astype(int))
    alpha = np.polyfit(np.log(lengths), np.log([size(x, s) for s in lengths]), 1)[0]
    assert of_many(x[None])[0] == pytest.approx(alpha - 0.5, abs=1e-9)


def test_dfa_finds_d() -> None:
    assert memory.dfa_each(np.stack([noise(0.3, 2000, seed) for seed in range(60)])).mean() == pytest.approx(0.3, abs=0.03)


def test_simulated_intervals_are_those_of_the_spread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "PATHS", 30)
    scaling.spread.cache_clear()
    x = noise(0.3, 200, 0)
    found = memory.dfa(x)
    half = 1.959964 * scaling.spread(memory.dfa_each, 200, float(np.round(found.estimate, 1)))
    assert (found.low, found.high) == pytest.approx((found.estimate - half, found.estimate + half))
    assert 0.1 < half < 0.6
    scaling.spread.cache_clear()


def test_lo_holds_its_level_under_short_memory_and_sees_long_memory() -> None:
    short = [memory.lo(arfima.arma(noise(0.0, 1000, seed), [0.5], [])).p for seed in range(200)]
    assert np.mean(np.array(short) < 0.05) < 0.1
    assert np.mean([memory.lo(noise(0.4, 1000, seed)).p < 0.05 for seed in range(50)]) > 0.5
    white = np.random.default_rng(5).standard_normal(4000)
    assert memory.lo(white).statistic == pytest.approx(np.ptp(np.cumsum(white - white.mean())) / (white.std() * 4000**0.5), rel=0.1)


def test_published_critical_values_of_qu_are_those_of_the_simulated_limit() -> None:
    for trim, levels in spurious.CRITICAL.items():
        law = spurious.law_of_qu(trim, 2400, 4000)
        for level, published in levels.items():  # one standard error: 0.008, 0.012 and 0.03
            assert np.quantile(law, 1 - level) == pytest.approx(published, abs=0.07 if level == 0.01 else 0.035)


def test_qu_holds_its_level_under_long_memory_and_sees_level_shifts() -> None:
    _, w = memory.qu_each(np.stack([noise(0.4, 1000, seed) for seed in range(400)]))
    assert np.mean(w > memory.CRITICAL[0.02][0.05]) < 0.08
    assert np.mean(w > memory.CRITICAL[0.02][0.10]) > 0.03
    step = np.where(np.arange(1000) < 500, 0.0, 1.0)
    _, w = memory.qu_each(np.stack([np.random.default_rng(seed).standard_normal(1000) + step for seed in range(100)]))
    assert np.mean(w > memory.CRITICAL[0.02][0.05]) > 0.7
    one = np.random.default_rng(0).standard_normal(1000) + step
    found = memory.qu(one)
    assert found.p < 0.05
    assert found.estimate > 0.1
    assert memory.qu(noise(0.4, 1000, 1)).p > 0.05


def test_a_line_is_taken_off_and_then_moves_nothing() -> None:
    x = noise(0.2, 600, 6)
    trend = x + 0.05 * np.arange(600)
    assert memory.local_whittle(trend).estimate > 0.9
    assert memory.local_whittle(memory.detrended(trend)).estimate == pytest.approx(
        memory.local_whittle(memory.detrended(x)).estimate, abs=1e-9
    )
    assert abs(memory.detrended(trend).sum()) < 1e-8


def test_a_curve_has_the_estimates_at_its_bandwidths() -> None:
    x = noise(0.3, 500, 7)
    curve = memory.by_bandwidth(x, (0.1, 0.5, 0.501, 0.7))
    assert list(curve.m) == [22, 77]
    for name, estimate in (
        ("gph", memory.gph),
        ("local Whittle", memory.local_whittle),
        ("exact local Whittle", memory.exact_local_whittle),
    ):
        found = [estimate(x, m) for m in curve.m]
        np.testing.assert_array_equal(curve.d[name], [(o.estimate, o.low, o.high) for o in found])


ESTIMATES = (
    memory.gph,
    memory.local_whittle,
    memory.exact_local_whittle,
    memory.rescaled_range,
    memory.dfa,
    memory.lo,
    memory.qu,
    memory.by_bandwidth,
)


@pytest.mark.parametrize("estimate", [*ESTIMATES, memory.arfima_of, memory.detrended])
def test_bad_series_are_refused_in_a_line(estimate: Callable[[np.ndarray], object]) -> None:
    x = noise(0.2, 100, 0)
    x[7] = np.nan
    for series, words in (
        (np.ones(100), "constant"),
        (x, "first at step 7"),
        (np.ones((4, 30)), "shape"),
        (np.arange(2.0), "at least"),
    ):
        with pytest.raises(UserError, match=words) as caught:
            estimate(series)
        assert "\n" not in str(caught.value)


def test_bandwidths_that_a_series_has_not_are_refused() -> None:
    x = noise(0.2, 100, 0)
    for estimate in (memory.gph, memory.local_whittle, memory.exact_local_whittle, memory.qu):
        for m in (3, 51):
            with pytest.raises(UserError, match="frequencies of a series of 100; expected 4 to"):
                estimate(x, m)
    with pytest.raises(UserError, match="no bandwidth"):
        memory.by_bandwidth(x, (0.1,))
    with pytest.raises(UserError, match="straight line"):
        memory.detrended(np.arange(50.0))
    with pytest.raises(UserError, match="no power"):
        memory.gph(np.tile([1.0, -1.0], 50))
