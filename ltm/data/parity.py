"""Parity: whether the ones so far are odd, of sequences of unequal length whose inputs are symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Generated


@dataclass(frozen=True, kw_only=True)
class Parity(Generated):
    """Fair bits as symbols 0 and 1; class 1 where the number of ones is odd. Every length from ``shortest`` to ``length`` is as likely as another.

    Attributes:
        every: asked for at every step, of the bits so far; else at the last step, of all.
    """

    kind = "parity"
    length: int = 20
    shortest: int = 1
    every: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.length:
            self.fail(f"shortest is {self.shortest} and length {self.length}; expected shortest to be at most length.")

    def facts(self) -> dict[str, Any]:
        return {"classes": 2, "symbols": 2, "labelled": not self.every, "labels": ("even", "odd")}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        last = rng.integers(self.shortest, self.length + 1, n)[:, None] - 1
        step = np.arange(self.length)
        bits = rng.integers(0, 2, (n, self.length)) * (step <= last)
        counted = step <= last if self.every else step == last
        return Sequences(bits, np.cumsum(bits, 1) % 2 * (step <= last), counted.astype(float))
