"""A verdict to read after every pack of ten seeds, by betting on wins: however often one looks, the promise holds at all readings at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.special import logsumexp

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
    evidence = mixture(counts @ multipliers(np.array([0.5]))[:, :, 0]).max()
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


def multipliers(theta: np.ndarray) -> np.ndarray:
    """What a bet on q multiplies its stake by at so many wins of ten, were theta the truth: ``(21, bets, thetas)``."""
    won = np.arange(2 * PACK + 1)[:, None, None] / 2
    q, t = BETS[None, :, None], theta[None, None, :]
    return np.exp(won * np.log(q / t) + (PACK - won) * np.log((1 - q) / (1 - t)))


def mixture(factors: np.ndarray) -> np.ndarray:
    """Logarithm of what the weighted bets have won after each pack, from each pack's factors ``(packs, bets, ...)``: ``(packs, ...)``."""
    weights = np.log(BETS**2 * (1 - BETS) ** 2)
    weights -= logsumexp(weights)
    stakes = np.cumsum(np.log(np.maximum(factors, 1e-300)), 0)
    return logsumexp(stakes + weights.reshape(1, -1, *[1] * (factors.ndim - 2)), axis=1)


def confidence_sequence(counts: np.ndarray) -> tuple[float, float]:
    """The smallest and largest theta of the grid that the bets have never won twenty times their stake against."""
    table = _whole_grid()
    factors = (counts @ table.reshape(len(table), -1)).reshape(len(counts), len(BETS), len(GRID))
    inside = GRID[mixture(factors).max(0) < np.log(EVIDENCE)]
    return (float(inside[0]), float(inside[-1])) if len(inside) else (np.nan, np.nan)
