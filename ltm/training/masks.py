"""Dropout masks from a counter: a hash of what a mask belongs to decides it, with no generator and no state.

All is arithmetic on unsigned 32-bit integers that wraps: xor, multiply, add, shift. NumPy does it here for whole arrays; a compiled loop that
does the same to single numbers gives the same bits.

    mixed(h, v):  h = (h ^ v) * 0x9E3779B1 + 0x7F4A7C15
                  h = (h ^ (h >> 16)) * 0x85EBCA6B
                  h = (h ^ (h >> 13)) * 0xC2B2AE35
                  return h ^ (h >> 16)

    h = 0
    for v in (low 32 bits of seed, high 32 bits of seed, n, layer, place, step, unit):
        h = mixed(h, v)
    mask = 1 / (1 - rate) if h >= threshold(rate) else 0
"""

from __future__ import annotations

import numpy as np

WEYL, PLUS = 0x9E3779B1, 0x7F4A7C15
FIRST, SECOND = 0x85EBCA6B, 0xC2B2AE35
"""Of the finaliser of MurmurHash3 (Appleby 2011), in which every bit of the input turns every bit of the result about half of the time."""


def mixed(h: np.ndarray, value: np.ndarray) -> np.ndarray:
    """One more number in a hash: arrays of ``uint32`` that broadcast."""
    h = (h ^ value) * np.uint32(WEYL) + np.uint32(PLUS)
    h = (h ^ (h >> np.uint32(16))) * np.uint32(FIRST)
    h = (h ^ (h >> np.uint32(13))) * np.uint32(SECOND)
    return np.asarray(h ^ (h >> np.uint32(16)))


def hashes(seed: int, n: int, layer: int, places: np.ndarray, steps: np.ndarray, units: int) -> np.ndarray:
    """The hash of every unit, ``(places, steps, units)``, ``uint32``.

    Args:
        seed: of the seed run, within 64 bits.
        n: number of the update, from 1 on.
        layer: of the network, from 0 on.
        places: of the sequences within the batch of the update, from 0 on.
        steps: of the sequence, from 0 on; the one step 0 stands for all of them where the mask is variational.
    """
    h = np.zeros(1, np.uint32)
    for value in (seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF, n, layer):
        h = mixed(h, np.array([value], np.uint32))
    for values in (places, steps, np.arange(units)):
        h = mixed(h[..., None], values.astype(np.uint32))
    return h[0]


def threshold(rate: float) -> int:
    """The smallest hash that keeps a unit: the whole part of rate * 2^32, where rate (below 1) is a number as the engine stores it."""
    return int(float(rate) * 2.0**32)


def scale(rate: float) -> float:
    """What kept units are multiplied by, so that the mean stays: 1 / (1 - rate), in float64."""
    return 1.0 / (1.0 - float(rate))


def masks(seed: int, n: int, layer: int, places: np.ndarray, steps: np.ndarray, units: int, rate: float) -> np.ndarray:
    """What units are multiplied by, ``(places, steps, units)``, float64: 0, or 1 / (1 - rate). Arguments are those of :func:`hashes`."""
    if not rate:
        return np.ones((len(places), len(steps), units))
    return np.where(hashes(seed, n, layer, places, steps, units) >= np.uint32(threshold(rate)), scale(rate), 0.0)
