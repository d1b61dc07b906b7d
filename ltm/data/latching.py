"""Information latching: which of two values began the sequence (Bengio, Simard and Frasconi 1994)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ltm import checks
from ltm.data.base import Sequences
from ltm.data.generated import Generated, at_the_end, normal


@dataclass(frozen=True, kw_only=True)
class Latching(Generated):
    """The first value is +1 (class 1) or -1 (class 0), by a fair coin, all others are 0, and every value has normal noise; the class is asked for at the end.

    The task of Bengio, Simard and Frasconi (1994), IEEE Transactions on Neural Networks 5, section III, in the form of the question on StackExchange
    whose figures the study meets. Classes follow each other by chance, so that validation holds both.

    Attributes:
        noise: standard deviation.
    """

    kind = "latching"
    length: int = 100
    noise: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.number("dataset.noise", self.noise, low=0)

    def facts(self) -> dict[str, Any]:
        return {"classes": 2, "labelled": True, "labels": ("-1", "+1")}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        label = rng.integers(0, 2, n)
        inputs = self.noise * normal(rng, n, self.length, 1)
        inputs[:, 0, 0] += 2 * label - 1
        return Sequences(inputs, np.broadcast_to(label[:, None], (n, self.length)), at_the_end(n, self.length))
