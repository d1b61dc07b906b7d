"""The adding and the multiplication problem: two values among many, far apart, to be summed or multiplied at the end (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Generated


@dataclass(frozen=True, kw_only=True)
class Adding(Generated):
    """Steps of two inputs, a value and a marker; the target, at the last step, is 0.5 + (X1 + X2) / 4 of the two values that are marked.

    Hochreiter and Schmidhuber (1997), Neural Computation 9, section 5.4: values are uniform in [-1, 1]; a sequence has T to T + T/10 steps, T being
    ``length``; the marker is 1 at one of the first ten steps (X1) and at another of the first T/2 - 1 that are left (X2), -1 at the first and the last
    step, 0 elsewhere. A first step that is marked keeps its 1 and has the value 0. A sequence is processed correctly where the error is below 0.04.
    """

    kind = "adding"
    length: int = 100
    ranges: ClassVar = Generated.ranges | {"length": (6, 1_000_000)}
    low: ClassVar[float] = -1.0
    """The smallest value; the largest is 1."""
    neutral: ClassVar[float] = 0.0
    """The value of a first step that is marked."""

    @property
    def longest(self) -> int:
        return self.length + self.length // 10

    def facts(self) -> dict[str, Any]:
        return {"labelled": True}

    def asked(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """The target of two marked values."""
        return 0.5 + (first + second) / 4

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        row, T = np.arange(n), self.longest
        last = rng.integers(self.length, T + 1, n) - 1
        first = rng.integers(0, min(10, self.length - 1), n)
        second = rng.integers(0, self.length // 2 - 1, n)
        second += second >= first
        inputs, weight, targets = np.zeros((n, T, 2)), np.zeros((n, T)), np.zeros((n, T, 1))
        values, markers = inputs[..., 0], inputs[..., 1]
        values[:] = rng.uniform(self.low, 1, (n, T))
        values[row[(first == 0) | (second == 0)], 0] = self.neutral
        markers[row, last] = markers[:, 0] = -1
        markers[row, first] = markers[row, second] = 1
        values[np.arange(T) > last[:, None]] = 0
        weight[row, last] = 1
        targets[row, last, 0] = self.asked(values[row, first], values[row, second])
        return Sequences(inputs, targets, weight)


@dataclass(frozen=True, kw_only=True)
class Multiplication(Adding):
    """As :class:`Adding`, but values are uniform in [0, 1], a first step that is marked has the value 1, and the target is the product X1 X2.

    Hochreiter and Schmidhuber (1997), section 5.5: a task that integrating the inputs does not solve.
    """

    kind = "multiplication"
    low = 0.0
    neutral = 1.0

    def asked(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return first * second
