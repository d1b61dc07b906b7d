"""Bit relay: whether two values far apart have the same sign, a latch that must be set, kept and compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm import checks
from ltm.data.base import Sequences
from ltm.data.generated import Generated, at_the_end, normal


@dataclass(frozen=True, kw_only=True)
class BitRelay(Generated):
    """The first value and the one halfway are each +1 or -1, by fair coins, all others are 0, and every value has normal noise; class 1 where both have
    the same sign, asked for at the end.

    The second task of the question on StackExchange whose first is :class:`ltm.data.latching.Latching`
    (stats.stackexchange.com/questions/340898). Halfway is step T // 2, counted from 0, of T steps; the noise is that of latching.

    Attributes:
        noise: standard deviation.
    """

    kind = "bit_relay"
    length: int = 100
    noise: float = 0.1
    ranges: ClassVar = Generated.ranges | {"length": (2, 1_000_000)}

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("dataset.noise", self.noise, low=0)

    def facts(self) -> dict[str, Any]:
        return {"classes": 2, "labelled": True, "labels": ("opposite", "same")}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        first, halfway = rng.integers(0, 2, (2, n))
        inputs = self.noise * normal(rng, n, self.length, 1)
        inputs[:, 0, 0] += 2 * first - 1
        inputs[:, self.length // 2, 0] += 2 * halfway - 1
        label = (first == halfway).astype(np.int64)
        return Sequences(inputs, np.broadcast_to(label[:, None], (n, self.length)), at_the_end(n, self.length))
