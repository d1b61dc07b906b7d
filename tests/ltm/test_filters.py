"""Filters: weights of every decay against closed forms, and the Chebyshev form against the direct one."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import binom, eval_gegenbauer, loggamma

from ltm import filters


@given(d=st.floats(0.001, 0.499))
def test_weights_are_signed_binomial_coefficients(d: float) -> None:
    k = np.arange(1, 301)
    np.testing.assert_allclose(filters.weights(d, 300), (-1.0) ** k * binom(d, k), rtol=1e-9, atol=1e-13)


def test_first_weights_are_those_of_the_paper() -> None:
    np.testing.assert_allclose(filters.weights(0.4, 2), [-0.4, -0.4 * 0.6 / 2])


@settings(max_examples=60, deadline=None)
@given(K=st.integers(1, 2000), d=st.floats(1e-4, 0.4999))
def test_chebyshev_weights_equal_direct_ones_for_every_K(K: int, d: float) -> None:
    terms = np.polynomial.chebyshev.chebvander(4 * d - 1, filters.BASIS_TERMS - 1)
    assert np.abs(terms @ filters.chebyshev_coefficients(K) - filters.weights(d, K)).max() < 1e-6


@pytest.mark.parametrize("K", [1, 2, 25, 100, 1000, 2000])
def test_chebyshev_filter_equals_the_direct_one(K: int) -> None:
    rng = np.random.default_rng(K)
    x = rng.standard_normal((2100, 2))
    basis = torch.tensor(filters.chebyshev_basis(x, K))
    windows = filters.lagged(x, K)
    for t in (0, 1, 50, 2099):
        d = torch.tensor(rng.uniform(0.01, 0.49, 2))
        direct = filters.direct(torch.tensor(windows[t].copy()), d)
        torch.testing.assert_close(filters.chebyshev(basis[t], d), direct, rtol=0, atol=1e-6)


def test_a_window_holds_the_present_first_and_zeros_before_the_start() -> None:
    np.testing.assert_array_equal(filters.lagged(np.array([[1.0], [2.0], [3.0]]), 2)[..., 0], [[1, 0], [2, 1], [3, 2]])


# -- other decays --------------------------------------------------------------------------------------------------------

LAGS = np.arange(1, 301)


@settings(deadline=None)
@given(d=st.floats(0.01, 0.49), r=st.floats(0.01, 0.999), a=st.floats(0.01, 2.0), nu=st.floats(0.01, 3.13))
def test_weights_of_every_decay_equal_their_closed_forms(d: float, r: float, a: float, nu: float) -> None:
    fractional = -d / np.exp(loggamma(1 - d)) * np.exp(loggamma(LAGS - d) - loggamma(LAGS + 1))  # Gamma(k - d) / (Gamma(-d) Gamma(k + 1))
    expected = {
        "fractional": fractional,
        "exponential": r**LAGS - r ** (LAGS - 1.0),
        "power": (LAGS + 1.0) ** -a - LAGS**-a,
        "tempered": fractional * np.exp(np.log(r) * LAGS),
        "gegenbauer": eval_gegenbauer(LAGS, -d, np.cos(nu)),
    }
    given = {"d": d, "r": r, "a": a, "nu": nu}
    assert expected.keys() == filters.PATTERNS.keys()
    for name, pattern in filters.PATTERNS.items():
        found = pattern.weights(*(given[q] for q in pattern.parameters), 300)
        np.testing.assert_allclose(found, expected[name], rtol=1e-9, atol=1e-13, err_msg=name)


def test_decays_have_the_tails_that_they_are_called_by() -> None:
    k = np.array([10_000, 20_000])
    assert np.diff(np.log(-filters.power_weights(0.7, 20_000)[k - 1])) == pytest.approx(-1.7 * np.log(2), rel=1e-3)
    assert np.diff(np.log(-filters.weights(0.4, 20_000)[k - 1])) == pytest.approx(-1.4 * np.log(2), rel=1e-3)
    for decay, theta in (("fractional", [0.4]), ("exponential", [0.9]), ("power", [0.7]), ("tempered", [0.4, 0.9])):
        w = filters.PATTERNS[decay].weights(*theta, 1000)
        assert (w < 0).all()
        assert -1.0 <= w.sum() < -0.6  # so a cell state that is summed with them stays bounded
    quarter = filters.gegenbauer_weights(0.4, np.pi / 2, 1000)
    np.testing.assert_allclose(quarter[::2], 0, atol=1e-15)  # of four steps a cycle: (1 + B^2)^d
    np.testing.assert_allclose(quarter[1::2], filters.weights(0.4, 500) * (-1.0) ** np.arange(1, 501), rtol=1e-9)
    np.testing.assert_allclose(filters.gegenbauer_weights(0.2, 0.0, 500), filters.weights(0.4, 500), rtol=1e-9)  # (1 - B)^2d


@pytest.mark.parametrize("decay", filters.PATTERNS)
@pytest.mark.parametrize("K", [1, 2, 9])
def test_direct_sums_have_these_weights_and_their_gradients(decay: str, K: int) -> None:
    pattern, rng = filters.PATTERNS[decay], np.random.default_rng(K)
    theta = [high * rng.uniform(0.05, 0.95, 3) for high in pattern.parameters.values()]
    window = rng.standard_normal((K, 3))
    tensors = [torch.tensor(value, requires_grad=True) for value in (window, *theta)]
    np.testing.assert_allclose(pattern.direct(*tensors).detach(), (pattern.weights(*theta, K) * window).sum(0), rtol=1e-12)
    assert torch.autograd.gradcheck(pattern.direct, tensors)


@settings(max_examples=60, deadline=None)
@given(K=st.integers(1, 2000), a=st.floats(1e-3, 1.999))
def test_chebyshev_weights_of_a_power_law_equal_direct_ones_for_every_K(K: int, a: float) -> None:
    terms = np.polynomial.chebyshev.chebvander(a - 1, filters.PATTERNS["power"].terms - 1)
    assert np.abs(terms @ filters.chebyshev_coefficients(K, "power") - filters.power_weights(a, K)).max() < 1e-9


@pytest.mark.parametrize("decay", filters.PATTERNS)
def test_what_a_filter_reads_of_the_input_gives_the_sum_over_its_last_K_values(decay: str) -> None:
    pattern, rng = filters.PATTERNS[decay], np.random.default_rng(0)
    x, theta = rng.standard_normal((40, 2)), [high * np.array([0.3, 0.8]) for high in pattern.parameters.values()]
    w = pattern.weights(*theta, 7)
    for t in (0, 3, 39):
        read = SimpleNamespace(**{name: torch.tensor(value[t].copy()) for name, value in filters.features(x, 7, decay).items()})
        expected = sum(w[k] * x[t - k] for k in range(min(7, t + 1)))
        np.testing.assert_allclose(pattern.filtered(read, *map(torch.tensor, theta)), expected, atol=1e-9)
