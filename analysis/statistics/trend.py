"""K as the ordered factor that it is: does the error fall with it, and which is the shortest that will do?

Both ask about wins, as :mod:`analysis.statistics.wins`. A valley hides from any test of a trend: "no trend" does not say that K does not matter.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial

import numba
import numpy as np
from scipy import special

from analysis.statistics import Outcome, errors, relabelling
from analysis.statistics.wins import each_no_worse, floor
from ltm.errors import UserError

FINEST = 1
"""Up to which of :data:`analysis.statistics.relabelling.RESAMPLES` a trend's small share is counted anew."""

FIRST = (999, 4_999)
"""Relabellings of paired seeds, whose law cannot be kept, before the finer ones are asked: enough where p is above 0.1, and above 0.02."""


def trend(levels: Mapping[int, np.ndarray], pairs: bool = False) -> Outcome:
    """Does a longer filter beat a shorter one? Null hypothesis: J = 0.

    J is the mean, over all pairs of levels, of P(a seed of the longer beats one of the shorter) - 1/2; above 0 where errors fall with K. Its
    variance comes from each seed's share of wins. p is the largest of the share of relabellings with a C = |J| sqrt((1 - 4 J^2) / V) at least
    as large, 2 P(Z > C), and 2^(1 - the seeds of the smallest level).

    Args:
        levels: errors by K, +inf for diverged seeds.
        pairs: the i-th seed of every level starts from the same parameters: V is then that of whole seeds, and levels are permuted within a seed.

    Returns:
        J, C, the number of levels as ``dof``, and p; NaN with fewer than two levels or an empty one.
    """
    samples = [errors(levels[K], f"sample of K = {K}") for K in sorted(levels)]
    sizes = np.array([len(one) for one in samples])
    if len(samples) < 2 or sizes.min() == 0:
        return Outcome(np.nan)
    if pairs and len(set(sizes)) > 1:
        raise UserError(f"a trend of pairs was asked of {', '.join(map(str, sizes))} seeds; expected the same seeds for every K.")
    together = np.concatenate(samples)
    order = np.argsort(together, kind="stable")
    ends = relabelling.groups_of(together[order])
    level = np.repeat(np.arange(len(sizes)), sizes)[order]
    seed = np.concatenate([np.arange(n) for n in sizes])[order]
    J, c = trended(level, seed, np.array(ends), sizes, pairs)
    least = floor(int(sizes.min()), int(sizes.min()))
    p = max(float(special.erfc(c / np.sqrt(2))), least)
    if least < 1:
        p = max(
            p,
            by_relabelling(seed, ends, sizes, c)
            if pairs
            else float(relabelling.refined(relabelling.of_law(partial(law, ends, tuple(sizes.tolist())), (np.array([c]),)), 1, FINEST)[0]),
        )
    return Outcome(float(J), statistic=float(c), dof=len(samples), p=min(p, 1.0))


def shortest(levels: Mapping[int, np.ndarray], margin: float, pairs: bool = False, sign: int = 1, points: float = 0.0) -> dict[int, float]:
    """By K: p of "no worse, by more than the margin, than every other K", the largest of its p against each (not yet corrected).

    Args:
        sign, points: as of :func:`analysis.statistics.wins.each_no_worse`.
    """
    names = sorted(levels)
    found = dict.fromkeys(names, 0.0)
    for K in names:
        others = [L for L in names if L != K]
        if not len(levels[K]) or any(not len(levels[L]) for L in others):
            found[K] = np.nan
            continue
        by_size: dict[int, list[np.ndarray]] = {}
        for L in others:
            by_size.setdefault(len(levels[L]), []).append(levels[L])
        for group in by_size.values():
            x = np.repeat(levels[K][None], len(group), 0)
            found[K] = max(found[K], float(each_no_worse(x, np.stack(group), margin, pairs, sign=sign, points=points).max()))
    return found


@lru_cache(maxsize=64)
def law(ends: relabelling.Grid, sizes: tuple[int, ...], stage: int) -> relabelling.Law:
    bounds, counts = np.array(ends), np.array(sizes)

    def block(rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        return (random_levels(rng, count, bounds, counts),)

    return relabelling.drawn(block, relabelling.RESAMPLES[stage], stage)


def by_relabelling(seed: np.ndarray, ends: relabelling.Grid, sizes: np.ndarray, c: float) -> float:
    """Share of the ways to permute levels within every seed with a C at least as large; counted anew, ten times finer, where it is small."""
    counts, bounds, p = (*FIRST, relabelling.RESAMPLES[0]), np.array(ends), 1.0
    for stage, count in enumerate(counts):

        def block(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
            return (random_within(rng, size, seed, bounds, sizes),)

        values = relabelling.drawn(block, count, stage).kept[0]
        p = (1 + int((values >= c - relabelling.CLOSE).sum())) / (1 + count)
        if p * (1 + count) >= 1 + relabelling.ENOUGH:
            break
    return p


@numba.njit(cache=True, nogil=True)
def passed(shares, level, weight):  # type: ignore[no-untyped-def]
    """A seed of this level is smaller than all that follow: the longer levels beat fewer of it, and it beats more of the shorter ones."""
    for k in range(level):
        shares[k] += weight
    for k in range(level + 1, len(shares)):
        shares[k] -= weight


@numba.njit(cache=True, nogil=True)
def trended(level, seed, ends, sizes, pairs):  # type: ignore[no-untyped-def]
    """J and C of values in ascending order, given each one's level and seed; groups of equal values end at ``ends``."""
    L, few = len(sizes), sizes.min()
    shares = np.arange(L) * 1.0  # by level: of the shorter levels' seeds that are larger, and of the longer ones' that are smaller
    weight = 1.0 / sizes
    sums, squares = np.zeros(L), np.zeros(L)
    of_seed = np.zeros(few if pairs else 1)
    start = 0
    for end in ends:
        part = 1.0 if end == start + 1 else 0.5  # equal values count half before they are asked, and half after
        if part < 1:
            for i in range(start, end):
                passed(shares, level[i], part * weight[level[i]])
        for i in range(start, end):
            k = level[i]
            sums[k] += shares[k]
            squares[k] += shares[k] * shares[k]
            if pairs:
                of_seed[seed[i]] += shares[k]
        for i in range(start, end):
            passed(shares, level[i], part * weight[level[i]])
        start = end
    couples = L * (L - 1) / 2
    J = (sums / sizes).sum() / (2 * couples) - 0.5
    if few < 2:
        return J, 0.0
    if pairs:
        V = of_seed.var() * few / (few - 1) / few
    else:
        V = 0.0
        for k in range(L):
            V += max(squares[k] - sums[k] * sums[k] / sizes[k], 0.0) / (sizes[k] - 1) / sizes[k]
    V /= couples * couples
    if abs(J) < 1e-12:
        return J, 0.0
    if V < 1e-15 or 1 - 4 * J * J < 1e-12:
        return J, np.inf
    return J, abs(J) * np.sqrt((1 - 4 * J * J) / V)


@numba.njit(cache=True, nogil=True)
def random_levels(rng, count, ends, sizes):  # type: ignore[no-untyped-def]
    """C of so many random assignments of the pooled values to the levels."""
    size = sizes.sum()
    level, seed, out = np.empty(size, np.int64), np.zeros(1, np.int64), np.empty(count)
    at = 0
    for k in range(len(sizes)):
        level[at : at + sizes[k]] = k
        at += sizes[k]
    for row in range(count):
        for i in range(size - 1):
            j = i + int(rng.random() * (size - i))
            level[i], level[j] = level[j], level[i]
        out[row] = trended(level, seed, ends, sizes, False)[1]
    return out


@numba.njit(cache=True, nogil=True)
def random_within(rng, count, seed, ends, sizes):  # type: ignore[no-untyped-def]
    """C of so many random permutations of the levels within every seed."""
    n, L = sizes[0], len(sizes)
    level, out = np.empty(n * L, np.int64), np.empty(count)
    orders = np.empty((n, L), np.int64)
    for i in range(n):
        orders[i] = np.arange(L)
    met = np.empty(n, np.int64)
    for row in range(count):
        for i in range(n):
            for k in range(L - 1):
                j = k + int(rng.random() * (L - k))
                orders[i, k], orders[i, j] = orders[i, j], orders[i, k]
        met[:] = 0
        for at in range(n * L):
            level[at] = orders[seed[at], met[seed[at]]]
            met[seed[at]] += 1
        out[row] = trended(level, seed, ends, sizes, True)[1]
    return out
