"""Dropout masks: the written recipe, number by number; what decides them; and that they are as random as they should be."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltm.training.masks import hashes, masks, scale, threshold


def by_hand(*values: int) -> int:
    """The recipe of the module's docstring in whole numbers of Python."""
    h = 0
    for v in values:
        h = ((h ^ v) * 0x9E3779B1 + 0x7F4A7C15) % 2**32
        h = (h ^ (h >> 16)) * 0x85EBCA6B % 2**32
        h = (h ^ (h >> 13)) * 0xC2B2AE35 % 2**32
        h ^= h >> 16
    return h


@given(st.integers(0, 2**63 - 1), st.integers(1, 2**31 - 1), st.integers(0, 99), st.integers(0, 999), st.integers(0, 9999))
def test_a_hash_is_that_of_the_recipe(seed: int, n: int, layer: int, place: int, step: int) -> None:
    found = hashes(seed, n, layer, np.array([place, place + 1]), np.array([step]), 3)
    assert found.shape == (2, 1, 3)
    assert found.dtype == np.uint32
    for at in np.ndindex(found.shape):
        assert found[at] == by_hand(seed % 2**32, seed >> 32, n, layer, place + at[0], step, at[2])


def test_known_values_stay() -> None:
    assert hashes(0, 1, 0, np.arange(2), np.arange(1), 2).tolist() == [[[1154689546, 3567132358]], [[1774721328, 793220278]]]
    assert hashes(2**40 + 3, 77, 2, np.array([15]), np.array([99]), 2).tolist() == [[[927598864, 1231349972]]]


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_units_are_kept_as_often_as_the_rate_says_and_the_mean_stays(rate: float) -> None:
    drawn = masks(7, 3, 1, np.arange(40), np.arange(50), 60, rate)
    assert set(np.unique(drawn)) == {0.0, 1.0 / (1.0 - rate)}
    error = 5 * np.sqrt(rate * (1 - rate) / drawn.size)
    assert abs((drawn == 0).mean() - rate) < error
    for axis in range(3):  # of every sequence, step and unit
        shares = (drawn == 0).mean(tuple({0, 1, 2} - {axis}))
        assert abs(shares - rate).max() < error * np.sqrt(drawn.shape[axis])


def test_masks_of_neighbours_are_unrelated() -> None:
    def drawn(seed: int = 0, n: int = 1, layer: int = 0) -> np.ndarray:
        return masks(seed, n, layer, np.arange(20), np.arange(20), 20, 0.5).ravel() > 0

    base = drawn()
    others = [drawn(seed=1), drawn(seed=2**32), drawn(n=2), drawn(layer=1)]
    cube = base.reshape(20, 20, 20)
    shifted = [np.roll(cube, 1, axis).ravel() for axis in range(3)]
    for other in (*others, *shifted, ~base[::-1]):
        assert abs((base == other).mean() - 0.5) < 5 * 0.5 / np.sqrt(base.size)


def test_rate_0_keeps_all_and_the_threshold_is_of_the_number_as_stored() -> None:
    assert (masks(0, 1, 0, np.arange(2), np.arange(3), 4, 0.0) == 1.0).all()
    assert threshold(0.5) == 2**31
    assert threshold(float(np.float32(0.1))) == int(float(np.float32(0.1)) * 2**32) != threshold(0.1)
    assert scale(0.75) == 4.0
