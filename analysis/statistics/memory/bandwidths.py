"""Estimates of d over a range of bandwidths: a plateau speaks for d, a slope for short memory or a level shift on top of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.statistics.memory.exact import exact_local_whittle
from analysis.statistics.memory.spectral import bandwidth, gph, local_whittle, series_of
from ltm.errors import UserError

POWERS = tuple(np.round(np.arange(0.45, 0.801, 0.05), 2).tolist())
"""Bandwidths n^power of a curve."""

ESTIMATORS = {"gph": gph, "local Whittle": local_whittle, "exact local Whittle": exact_local_whittle}


@dataclass(frozen=True, eq=False)
class Curve:
    """d by each of :data:`ESTIMATORS` at M bandwidths.

    Attributes:
        power, m: the bandwidths m = n^power, ``(M,)``.
        d: by estimator, estimate and both ends of its interval, ``(M, 3)``.
    """

    power: np.ndarray
    m: np.ndarray
    d: dict[str, np.ndarray]


def by_bandwidth(x: np.ndarray, powers: Sequence[float] = POWERS, confidence: float = 0.95) -> Curve:
    """The estimates of one series ``(n,)`` at the bandwidths n^power of at least 4 frequencies; equal ones once.

    Raises:
        UserError: none of them has 4 frequencies.
    """
    x = series_of(x)
    m = {bandwidth(len(x), power): power for power in powers if 4 <= bandwidth(len(x), power) < len(x) // 2}
    if not m:
        raise UserError(
            f"no bandwidth of {', '.join(f'n^{p:g}' for p in powers)} has 4 to {len(x) // 2 - 1} frequencies of a series of {len(x)}."
        )
    found = {name: [estimate(x, one, confidence) for one in m] for name, estimate in ESTIMATORS.items()}
    return Curve(
        np.array([*m.values()]),
        np.array([*m]),
        {name: np.array([(o.estimate, o.low, o.high) for o in each]) for name, each in found.items()},
    )
