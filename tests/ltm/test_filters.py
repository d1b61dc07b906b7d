"""The fractional filter: its weights, and the Chebyshev form against the direct one."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import binom

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
