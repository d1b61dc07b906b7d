"""Permutation laws: what statistics of ranks do when seeds are handed out to the samples at random. Compiled by numba.

Errors enter by their order alone: pooled and sorted, equal ones form a group (the diverged seeds are one, the last). A law depends on the
sizes of samples and groups only, so it is computed once and kept. Without ties that is once for every pair of sizes. Scores such as accuracies of
few test sequences tie, and nearly every pair of samples has groups of its own: all pairs are then counted in the same relabellings, each of which is
drawn once and asked for what stands below the end of every group (:func:`counted`).
"""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numba
import numpy as np

RESAMPLES = (19_999, 199_999, 999_999)
"""Random relabellings of the first law, and of the finer ones that are asked where the one before counts fewer than ``ENOUGH``."""

ENOUGH = 100
"""Relabellings at least as extreme as the seeds, from which on a share of them is precise enough: within a tenth."""

ALL_WAYS = 20_000
"""Up to so many relabellings every one is taken, and the share is exact."""

TAIL = 0.05
"""The share of a finer law that is kept: its largest values, the only ones that it is asked for."""

CLOSE = 1e-9
BLOCK = 1_000
TOGETHER = 200
"""Relabellings whose sums are kept side by side: what fits the first cache."""

Grid = tuple[int, ...]
T = TypeVar("T")

Shares = Callable[[int, np.ndarray], tuple[np.ndarray, bool]]
"""(stage, which of the samples) -> shares of relabellings at least as extreme, and whether they are exact."""


@dataclass(frozen=True)
class Law:
    """Statistics under random relabelling: ``count`` of them, each kept in ascending order from its largest ``kept`` down.

    ``exact`` where every relabelling was taken.
    """

    count: int
    exact: bool
    kept: tuple[np.ndarray, ...]

    def p(self, which: int, observed: np.ndarray) -> np.ndarray:
        """Share of relabellings at least as extreme as ``observed``; the seeds' own labels are counted where not all were taken."""
        values = self.kept[which]
        extreme = len(values) - np.searchsorted(values, observed - CLOSE, "left")
        return extreme / self.count if self.exact else (1 + extreme) / (1 + self.count)

    def critical(self, which: int, level: float = 0.05) -> float:
        """The largest value whose share is not below ``level``."""
        values = self.kept[which]
        least = math.ceil(level * self.count - CLOSE) if self.exact else math.ceil(level * (1 + self.count) - CLOSE) - 1
        return float(values[len(values) - max(least, 1)] + CLOSE)

    def quantile(self, which: int, share: float) -> float:
        """The value that ``share`` of all relabellings do not exceed."""
        values = self.kept[which]
        return float(values[max(len(values) - 1 - int((1 - share) * self.count), 0)])


def groups_of(ordered: np.ndarray) -> Grid:
    """Where each group of equal values ends in an ascending array: ``(1, 2, ..., n)`` without ties."""
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True)) + 1
    return tuple(ends.tolist())


def has_finite_ties(ends: Grid) -> bool:
    """Whether values are equal other than in the last group, that of the diverged seeds."""
    return ends[:-1] != tuple(range(1, len(ends)))


@lru_cache(maxsize=256)
def two_samples(n: int, m: int, ends: Grid, stage: int = 0) -> Law:
    """The law of C and D (:func:`placed`) for samples of n and m whose pooled values form these groups.

    Args:
        stage: which of :data:`RESAMPLES`; every law is drawn anew, from its own fixed seed, so that one does not know the other.
    """
    bounds = np.array(ends, np.int64)
    if stage == 0 and math.comb(n + m, n) <= ALL_WAYS:
        below = every_way(n, m)
        c, d = of_ways(below, bounds, n, m)
        return Law(len(below), True, (np.sort(c), np.sort(d)))

    def block(rng: np.random.Generator, count: int) -> tuple[np.ndarray, ...]:
        return of_ways(random_ways(rng, count, n, m), bounds, n, m)

    return drawn(block, RESAMPLES[stage], stage)


@lru_cache(maxsize=16)
def every_way(n: int, m: int) -> np.ndarray:
    """All ways to choose the n of the first sample from n + m places: of each, how many stand below every place, ``(ways, n + m + 1)``."""
    chosen = np.array(list(itertools.combinations(range(n + m), n)), np.int64).reshape(-1, n)
    below = np.zeros((len(chosen), n + m + 1), np.int64)
    np.put_along_axis(below, chosen + 1, 1, 1)
    return below.cumsum(1)


def counted(n: int, m: int, patterns: Sequence[Grid], observed: tuple[np.ndarray, np.ndarray]) -> Shares:
    """What :func:`refined` asks, of many pairs of samples whose pooled values form these groups: their shares are those of :func:`two_samples`.

    Args:
        observed: C and D of every pair, ``(S,)`` each.
    """
    least = np.stack(observed, 1) - CLOSE

    def share(stage: int, few: np.ndarray) -> tuple[np.ndarray, bool]:
        starts = np.cumsum([0, *(len(patterns[i]) for i in few)])
        ends = np.concatenate([np.array(patterns[i], np.int64) for i in few])
        if stage == 0 and math.comb(n + m, n) <= ALL_WAYS:
            below = every_way(n, m)
            return extremes(below, ends, starts, n, m, least[few]).max(1) / len(below), True
        found = in_blocks(
            lambda rng, count: extremes(random_ways(rng, count, n, m), ends, starts, n, m, least[few]), RESAMPLES[stage], stage
        )
        return (1 + np.sum(found, axis=0).max(1)) / (1 + RESAMPLES[stage]), False

    return share


def in_blocks(block: Callable[[np.random.Generator, int], T], count: int, stage: int) -> list[T]:
    """``block`` of all random relabellings of a stage, a part of them at a time, on all cores; the same for every number of cores."""
    sizes = [BLOCK] * (count // BLOCK) + [count % BLOCK] * (count % BLOCK > 0)
    streams = np.random.default_rng(20_241 + stage).spawn(len(sizes))
    if len(sizes) == 1:
        return [block(streams[0], count)]
    with ThreadPoolExecutor(min(len(sizes), os.cpu_count() or 1)) as pool:
        return list(pool.map(block, streams, sizes))


def drawn(block: Callable[[np.random.Generator, int], tuple[np.ndarray, ...]], count: int, stage: int) -> Law:
    """A law from blocks of random relabellings (:func:`in_blocks`)."""
    least = 0 if stage == 0 else max(1, int(TAIL * BLOCK))

    def tail(rng: np.random.Generator, size: int) -> tuple[np.ndarray, ...]:
        values = block(rng, size)
        largest = min(4 * least, size)
        return tuple(np.partition(one, -largest)[-largest:] for one in values) if least else values

    parts = in_blocks(tail, count, stage)
    keep = count if not least else int(TAIL * count)
    return Law(count, False, tuple(np.sort(np.concatenate(one))[-keep:] for one in zip(*parts, strict=True)))


@numba.njit(cache=True, nogil=True)
def placed(below, ends, n, m):  # type: ignore[no-untyped-def]
    """Brunner and Munzel's placements of two samples in one walk along the groups of their sorted pool.

    Args:
        below: ``(n + m + 1,)``, how many of the smallest 0, 1, 2 ... values are of the first sample.
        ends: where each group of equal values ends.

    Returns:
        theta = P(first < second) + half the ties; v, its variance (Brunner and Munzel 2000); C and D of the recipe R1.
    """
    below_x = below_y = 0
    sum_x = sum_y = squares_x = squares_y = 0  # of placements in halves, so that they are whole numbers
    for end in ends:
        x = below[end] - below_x
        y = end - below_x - below_y - x
        place_x, place_y = 2 * below_y + y, 2 * below_x + x
        sum_x += x * place_x
        squares_x += x * place_x * place_x
        sum_y += y * place_y
        squares_y += y * place_y * place_y
        below_x += x
        below_y += y
    return of_sums(sum_x, sum_y, squares_x, squares_y, n, m)


@numba.njit(cache=True, nogil=True)
def of_sums(sum_x, sum_y, squares_x, squares_y, n, m):  # type: ignore[no-untyped-def]
    """What :func:`placed` returns, from the sums of the placements, in halves, of either sample, and of their squares."""
    theta = sum_y / (2 * n * m)
    if n < 2 or m < 2:
        return theta, np.nan, 0.0, 0.0
    v_x = max((squares_x - sum_x * (sum_x / n)) / (n - 1) / (4 * m * m), 0.0)
    v_y = max((squares_y - sum_y * (sum_y / m)) / (m - 1) / (4 * n * n), 0.0)
    v = v_x / n + v_y / m
    gap = abs(theta - 0.5)
    if sum_y == 0 or sum_y == 2 * n * m:
        return theta, v, np.inf, np.inf
    if gap == 0:
        return theta, v, 0.0, 0.0
    c = 2 * gap * np.sqrt(theta * (1 - theta) / v) if v > 1e-300 else np.inf
    return theta, v, c, gap / np.sqrt(v + 1 / (n * (n - 1)) + 1 / (m * (m - 1)))


def refined(shares: Shares, count: int, finest: int) -> np.ndarray:
    """The shares, of so many samples, of relabellings at least as extreme as those observed, ``(count,)``.

    Where fewer than :data:`ENOUGH` are, they are counted anew in ten times as many, up to the ``finest`` stage: a share is then precise enough
    for any family of tests. As each count is of relabellings of its own, the p of the count that is kept is a right one whichever it is.

    Args:
        shares: of a stage; asked only where they are needed (:func:`of_law`, :func:`counted`).
    """
    p, few = np.ones(count), np.arange(count)
    for stage in range(finest + 1):
        p[few], exact = shares(stage, few)
        few = few[p[few] * (1 + RESAMPLES[stage]) < 1 + ENOUGH]
        if exact or not len(few):
            break
    return p


def of_law(laws: Callable[[int], Law], observed: tuple[np.ndarray, ...]) -> Shares:
    """What :func:`refined` asks, where all samples have one law: the largest share over its statistics, ``(S,)`` each."""

    def share(stage: int, few: np.ndarray) -> tuple[np.ndarray, bool]:
        law = laws(stage)
        return np.max([law.p(which, one[few]) for which, one in enumerate(observed)], axis=0), law.exact

    return share


@numba.njit(cache=True, nogil=True)
def coin(labels, ends, n, m, ahead):  # type: ignore[no-untyped-def]
    """The least p of two samples of which one, that with the label ``ahead``, is ahead; arguments as of :func:`placed`.

    Where no seed of the n ahead beats more than a share s of the others, they may be tosses of a coin that all fall alike with probability
    (1 / (2 s))^n, theta being 1/2: a noisy model against a steady one of which some seeds diverge. p is at least twice that; so for the m.
    """
    of_ahead, of_behind = (n, m) if ahead else (m, n)
    before_ahead = before_behind = start = 0
    beaten, beating = -1.0, 0.0  # by the best seed ahead; the worst seed behind
    for end in ends:
        own = 0
        for i in range(start, end):
            own += labels[i] == ahead
        other = end - start - own
        if own and beaten < 0:
            beaten = (of_behind - before_behind - 0.5 * other) / of_behind
        if other:
            beating = (before_ahead + 0.5 * own) / of_ahead
        before_ahead += own
        before_behind += other
        start = end
    return min(2 * max((0.5 / max(beaten, 0.5)) ** of_ahead, (0.5 / max(beating, 0.5)) ** of_behind), 1.0)


@numba.njit(cache=True, nogil=True)
def of_rows(ordered, labels, n, m):  # type: ignore[no-untyped-def]
    """:func:`placed` and :func:`coin` of many pairs of samples: sorted pools ``(S, n + m)`` and their labels; returns five arrays ``(S,)``."""
    count, size = ordered.shape
    out = np.empty((5, count))
    ends, below = np.empty(size, np.int64), np.zeros(size + 1, np.int64)
    for row in range(count):
        groups = 0
        for i in range(size):
            below[i + 1] = below[i] + labels[row, i]
            if i + 1 == size or ordered[row, i] != ordered[row, i + 1]:
                ends[groups] = i + 1
                groups += 1
        out[0, row], out[1, row], out[2, row], out[3, row] = placed(below, ends[:groups], n, m)
        out[4, row] = coin(labels[row], ends[:groups], n, m, out[0, row] >= 0.5)
    return out


@numba.njit(cache=True, nogil=True)
def of_ways(below, ends, n, m):  # type: ignore[no-untyped-def]
    """C and D of relabellings ``(R, n + m + 1)`` of values that form these groups."""
    c, d = np.empty(len(below)), np.empty(len(below))
    for row in range(len(below)):
        _, _, c[row], d[row] = placed(below[row], ends, n, m)
    return c, d


@numba.njit(cache=True, nogil=True)
def extremes(below, ends, starts, n, m, least):  # type: ignore[no-untyped-def]
    """How many relabellings ``(R, n + m + 1)`` have a C, and a D, of at least ``least``, ``(S, 2)``; ``ends`` of pair i are those from ``starts[i]`` on.

    As :func:`placed`, but a vector of relabellings at a time.
    """
    found = np.zeros(least.shape, np.int64)
    for start in range(0, len(below), TOGETHER):
        some = np.ascontiguousarray(below[start : start + TOGETHER].T)
        sum_y, squares_x, squares_y = np.empty(some.shape[1]), np.empty(some.shape[1]), np.empty(some.shape[1])
        for pair in range(len(least)):
            sum_y[:], squares_x[:], squares_y[:] = 0.0, 0.0, 0.0
            last = 0
            for end in ends[starts[pair] : starts[pair + 1]]:
                low, high = some[last], some[end]
                for row in range(len(low)):
                    x = float(high[row] - low[row])
                    y = (end - last) - x
                    place_x, place_y = 2.0 * (last - low[row]) + y, 2.0 * low[row] + x
                    sum_y[row] += y * place_y
                    squares_x[row] += x * place_x * place_x
                    squares_y[row] += y * place_y * place_y
                last = end
            for row in range(some.shape[1]):
                _, _, c, d = of_sums(2.0 * n * m - sum_y[row], sum_y[row], squares_x[row], squares_y[row], n, m)
                found[pair, 0] += c >= least[pair, 0]
                found[pair, 1] += d >= least[pair, 1]
    return found


@numba.njit(cache=True, nogil=True)
def random_ways(rng, count, n, m):  # type: ignore[no-untyped-def]
    """So many random relabellings: of each, how many of the first sample stand below every place, ``(count, n + m + 1)``."""
    size, few = n + m, min(n, m)
    first = n <= m  # whose places are drawn: those of the smaller sample
    places = np.arange(size)
    labels = np.empty(size, np.bool_)
    below = np.zeros((count, size + 1), np.int32)
    for row in range(count):
        labels[:] = not first
        for i in range(few):
            j = i + int(rng.random() * (size - i))
            places[i], places[j] = places[j], places[i]
            labels[places[i]] = first
        for i in range(size):
            below[row, i + 1] = below[row, i] + labels[i]
    return below


@numba.njit(cache=True, nogil=True)
def shifts_kept(x, y, shifts, middle, c_most, d_most, level):  # type: ignore[no-untyped-def]
    """The farthest shifts, downwards and upwards from ``middle``, at which x - shift and y are not told apart; by halving.

    Args:
        x, y: ascending samples.
        shifts: ascending, none of which makes a value of x equal one of y.
        c_most, d_most: critical values of C and D.
    """
    n, m, found = len(x), len(y), np.empty(2, np.int64)
    labels, ends, below = np.empty(n + m, np.bool_), np.empty(n + m, np.int64), np.zeros(n + m + 1, np.int64)
    for side in range(2):
        inside, outside = middle, side * (len(shifts) - 1)
        at = outside
        while True:
            shift = shifts[at]
            i = j = groups = 0
            last = -np.inf
            for place in range(n + m):  # merge
                first = j == m or (i < n and x[i] - shift <= y[j])
                value = x[i] - shift if first else y[j]
                if place and value != last:
                    ends[groups] = place
                    groups += 1
                labels[place] = first
                below[place + 1] = below[place] + first
                last = value
                i += first
                j += not first
            ends[groups] = n + m
            theta, _, c, d = placed(below, ends[: groups + 1], n, m)
            kept = c <= c_most or d <= d_most or coin(labels, ends[: groups + 1], n, m, theta >= 0.5) >= level
            if kept and at == outside:
                inside = outside
                break
            if kept:
                inside = at
            else:
                outside = at
            if abs(inside - outside) <= 1:
                break
            at = (inside + outside) // 2
        found[side] = inside
    return found
