"""The two-sequence problem: signal and noise on the same line (Bengio, Simard and Frasconi 1994; Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Generated, normal
from ltm.errors import unknown

VARIANTS = ("a", "b", "c")

VARIANCE = 0.2
"""Of the noise on the inputs."""

TARGETS = 3
"""The noise on the targets that are trained on is drawn apart from the three parts."""

OF_TARGETS = 0.1
"""Variance of the noise on the targets of variant c, whose standard deviation is 0.32."""


@dataclass(frozen=True, kw_only=True)
class TwoSequence(Generated):
    """One input: +1 for class 1 and -1 for class 2 in the first N steps, normal noise of variance 0.2 after; the class is asked for at the end, as a number.

    Hochreiter and Schmidhuber (1997), Neural Computation 9, section 5.3. A sequence has T to T + T/10 steps, T being ``length``; classes come by a fair
    coin. Networks here read out a number without a sigmoid, so the target is met by squared error alone.

    - ``a`` (task 3a): the target is 1 for class 1 and 0 for class 2; right where the error is below 0.2.
    - ``b`` (task 3b): noise of variance 0.2 on the first N steps, too.
    - ``c`` (task 3c): as ``a``, but the targets are 0.2 and 0.8, and those that are trained on have normal noise of variance 0.1; validation and test
      have none. Right where the error is below 0.1.

    Attributes:
        informative: N.
    """

    kind = "two_sequence"
    variant: str = "a"
    length: int = 100
    informative: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.variant not in VARIANTS:
            raise unknown("choice of dataset.variant", self.variant, VARIANTS)
        if self.informative > self.length:
            self.fail(f"informative is {self.informative} and length {self.length}; expected informative to be at most length.")

    @property
    def longest(self) -> int:
        return self.length + self.length // 10

    def facts(self) -> dict[str, Any]:
        return {"labelled": True}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        N, T = self.informative, self.longest
        second = rng.integers(0, 2, n)
        last = rng.integers(self.length, T + 1, n)[:, None] - 1
        inputs = VARIANCE**0.5 * normal(rng, n, T)
        inputs[:, :N] = (1 - 2 * second)[:, None] + (inputs[:, :N] if self.variant == "b" else 0)
        target = 0.2 + 0.6 * second if self.variant == "c" else 1.0 - second
        counted = np.arange(T) == last
        return Sequences((inputs * (np.arange(T) <= last))[..., None], (counted * target[:, None])[..., None], counted.astype(float))

    def part(self, part: int, seed: int, epoch: int) -> Sequences:
        found = super().part(part, seed, epoch)
        if part or self.variant != "c":
            return found
        noise = OF_TARGETS**0.5 * normal(self.generator(TARGETS, seed, epoch), len(found), 1, 1)
        return replace(found, targets=found.targets + noise * found.weight[..., None])
