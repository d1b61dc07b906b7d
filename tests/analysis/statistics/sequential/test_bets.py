"""The verdict to read after every pack, against its second implementation; its packs are the seeds' numbers."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.statistics import sequential
from tests.analysis.statistics import recipes


def test_bets_are_the_recipes() -> None:
    for seed in range(6):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(size=(4, 10)), rng.normal(0.6, 1, (4, 10))
        if seed % 2:
            a, b = (np.where(rng.random(one.shape) < 0.2, np.inf, one.round(0)) for one in (a, b))
        for pairs, oracle in ((False, recipes.anytime), (True, recipes.anytime_paired)):
            p, low, high, packs = oracle(a.ravel(), b.ravel())
            found = sequential.anytime(a, b, pairs)
            assert (found.p, found.packs) == (pytest.approx(p, rel=1e-9), packs)
            assert (found.low, found.high) == pytest.approx((low, high), abs=1.5e-3)


def test_one_pack_won_whole() -> None:
    found = sequential.anytime(np.zeros((1, 10)), np.ones((1, 10)))
    q = sequential.BETS
    weights = q**2 * (1 - q) ** 2
    assert found.p == pytest.approx(1 / ((weights / weights.sum()) @ (2 * q) ** 10))
    assert found.theta == 1


def test_p_never_rises_and_a_tie_wins_nothing() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(20, 10)), rng.normal(0.8, 1, (20, 10))
    p = [sequential.anytime(a[:g], b[:g], interval=False).p for g in range(1, 21)]
    assert (np.diff(p) <= 1e-12).all()
    assert p[-1] < 1e-4
    assert sequential.anytime(np.ones((3, 10)), np.ones((3, 10))).p == 1
    none = sequential.anytime(np.zeros((0, 10)), np.zeros((0, 10)))
    assert (none.packs, none.p, none.low, none.high) == (0, 1.0, 0.0, 1.0)


def test_packs_are_the_same_for_killed_resumed_and_reordered_sweeps() -> None:
    rng = np.random.default_rng(0)
    seeds, a, b = np.arange(100, 145), rng.normal(size=45), rng.normal(size=45)
    whole = sequential.packs(seeds, a, seeds, b)
    assert whole[0].shape == (4, 10), "the fifth is not complete"
    order = rng.permutation(45)
    for one, other in zip(whole, sequential.packs(seeds[order], a[order], seeds, b), strict=True):
        np.testing.assert_array_equal(one, other)
    lacking = np.delete(seeds, 15)  # of the second pack: what comes after it waits
    first, second = sequential.packs(lacking, np.delete(a, 15), seeds, b)
    assert first.shape == second.shape == (1, 10)
    np.testing.assert_array_equal(first[0], a[:10])
    unequal = sequential.packs(seeds[:20], a[:20], seeds, b)
    assert unequal[0].shape == (2, 10)
    assert sequential.packs(np.array([]), np.array([]), seeds, b)[0].shape == (0, 10)
