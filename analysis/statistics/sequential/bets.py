"""A verdict to read after every pack of ten seeds, by betting on wins: however often one looks, the promise holds at all readings at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from analysis.statistics import errors

PACK = 10
"""Seeds of a reading."""

BETS = np.linspace(0.02, 0.98, 49)
"""The probabilities bet on, weighted by Beta(3, 3)."""

GRID = np.linspace(0.001, 0.999, 999)
"""Values of theta that the confidence sequence is read from."""

EVIDENCE = 20.0
"""A theta against which the bets have ever won so much is out: 1 / 0.05."""


@dataclass(frozen=True)
class Reading:
    """After ``packs`` of ten seeds each: ``theta``, the mean share of wins, with its 95 % confidence sequence, and the anytime ``p``."""

    packs: int
    theta: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class Bets:
    """What is known after every pack, ``(packs,)`` each: ``theta``, the mean share of wins of a; logarithms of the largest evidence so far that a beats b
    (``of_a``) and that b beats a (``of_b``)."""

    theta: np.ndarray
    of_a: np.ndarray
    of_b: np.ndarray

    def turned(self) -> Bets:
        """The same about b against a."""
        return Bets(1 - self.theta, self.of_b, self.of_a)


def packs(seeds_a: np.ndarray, a: np.ndarray, seeds_b: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The complete packs of both models, ``(packs, 10)`` each, in the order of the seeds' numbers, counted from the study's first.

    Never by finishing time: diverged seeds end early. Reading stops at the first pack that is not complete for both.
    """
    of_a, of_b = dict(zip(seeds_a.tolist(), a.tolist(), strict=True)), dict(zip(seeds_b.tolist(), b.tolist(), strict=True))
    at, rows_a, rows_b = min([*of_a, *of_b], default=0), [], []
    while all(seed in of_a and seed in of_b for seed in range(at, at + PACK)):
        rows_a.append([of_a[seed] for seed in range(at, at + PACK)])
        rows_b.append([of_b[seed] for seed in range(at, at + PACK)])
        at += PACK
    return np.array(rows_a).reshape(-1, PACK), np.array(rows_b).reshape(-1, PACK)


def anytime(a: np.ndarray, b: np.ndarray, pairs: bool = False, interval: bool = True) -> Reading:
    """Bets on theta = P(a < b) + P(a = b) / 2, pack by pack. Null hypothesis of p: theta = 1/2.

    In each pack the seeds of a meet those of b in all ten cyclic pairings, whose bets are averaged; p is one over the most that
    the mixture of bets has ever won (Robbins 1970; Waudby-Smith and Ramdas 2024), so by Ville's inequality it holds at any time, for any
    distributions: each pairing has independent pairs, and an average of e-values is one (Vovk and Wang 2021).

    Args:
        a, b: errors of complete packs ``(packs, 10)`` (:func:`packs`), +inf for diverged seeds.
        pairs: seeds belong together: only they meet.
        interval: whether to find the confidence sequence, which takes some milliseconds.
    """
    a, b = (errors(one.ravel()).reshape(-1, PACK) for one in (a, b))
    if not len(a):
        return Reading(0, np.nan, 0.0, 1.0, 1.0)
    shares, counts = wins(a, b, pairs)
    evidence = mixture(counts @ _even()).max()
    low, high = confidence_sequence(counts) if interval else (np.nan, np.nan)
    return Reading(len(a), float(shares.mean()), low, high, float(min(1.0, np.exp(-evidence))))


def wins(a: np.ndarray, b: np.ndarray, pairs: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Wins of a in each pack: the mean share ``(packs,)``, and the share of pairings with 0, 1/2, ... 10 wins ``(packs, 21)``."""
    turned = (np.arange(PACK)[:, None] + np.arange(1 if pairs else PACK)) % PACK  # (seed, pairing)
    met = b[:, turned]
    twice = (2 * (a[:, :, None] < met) + (a[:, :, None] == met)).sum(1)  # (packs, pairings)
    counts = (twice[:, :, None] == np.arange(2 * PACK + 1)).mean(1)
    return twice.mean(1) / (2 * PACK), counts


@cache
def _whole_grid() -> np.ndarray:
    return multipliers(GRID)


@cache
def _even() -> np.ndarray:
    """Those of theta = 1/2, ``(21, bets)``."""
    return multipliers(np.array([0.5]))[:, :, 0]


def multipliers(theta: np.ndarray) -> np.ndarray:
    """What a bet on q multiplies its stake by at so many wins of ten, were theta the truth: ``(21, bets, thetas)``."""
    won = np.arange(2 * PACK + 1)[:, None, None] / 2
    q, t = BETS[None, :, None], theta[None, None, :]
    return np.exp(won * np.log(q / t) + (PACK - won) * np.log((1 - q) / (1 - t)))


def directed(a: np.ndarray, b: np.ndarray, pairs: bool = False) -> Bets:
    """Evidence, pack by pack, that a beats b and that b beats a: bets on theta above 1/2 alone, and below it alone.

    Each is an e-process of its whole null hypothesis (theta at most 1/2; at least 1/2), as what a pack multiplies it by is linear in theta. So the largest
    so far, at any time, passes 1/c with a probability of at most c, whatever decides how many packs there are.

    Args:
        a, b, pairs: as of :func:`anytime`.
    """
    if not len(a):
        return Bets(np.zeros(0), np.zeros(0), np.zeros(0))
    shares, counts = wins(a, b, pairs)
    factors = counts @ _even()
    of_a, of_b = (np.maximum.accumulate(mixture(factors[:, side], BETS[side])) for side in (BETS > 0.5, BETS < 0.5))
    return Bets(np.cumsum(shares) / np.arange(1, len(a) + 1), of_a, of_b)


def mixture(factors: np.ndarray, bets: np.ndarray = BETS) -> np.ndarray:
    """Logarithm of what the weighted bets have won after each pack, from each pack's factors ``(packs, bets, ...)``: ``(packs, ...)``."""
    weights = np.log(bets**2 * (1 - bets) ** 2)
    weights -= log_sum(weights, 0)
    stakes = np.cumsum(np.log(np.maximum(factors, 1e-300)), 0)
    return log_sum(stakes + weights.reshape(1, -1, *[1] * (factors.ndim - 2)), 1)


def log_sum(x: np.ndarray, axis: int) -> np.ndarray:
    """log(sum(exp(x))) of finite numbers; scipy's takes ten times as long on arrays of this size."""
    most = x.max(axis, keepdims=True)
    return (most + np.log(np.exp(x - most).sum(axis, keepdims=True))).squeeze(axis)


def confidence_sequence(counts: np.ndarray) -> tuple[float, float]:
    """The smallest and largest theta of the grid that the bets have never won twenty times their stake against."""
    table = _whole_grid()
    factors = (counts @ table.reshape(len(table), -1)).reshape(len(counts), len(BETS), len(GRID))
    inside = GRID[mixture(factors).max(0) < np.log(EVIDENCE)]
    return (float(inside[0]), float(inside[-1])) if len(inside) else (np.nan, np.nan)
