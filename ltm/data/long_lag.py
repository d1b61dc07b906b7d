"""Long time lags: the last symbol of a sequence is the one that it began with (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Symbolic, at_the_end
from ltm.errors import unknown

VARIANTS = ("a", "b", "c")

MORE = 99
"""Distractors beyond the first q of variant c, at most. The paper has no bound; this one cuts one sequence in 38,000 short."""


@dataclass(frozen=True, kw_only=True)
class LongLag(Symbolic):
    """Symbols x or y, by a fair coin, then distractors, then x or y again, which is to be predicted.

    Hochreiter and Schmidhuber (1997), Neural Computation 9, section 5.2.

    - ``a`` (task 2a): (x, a_1, ..., a_p-1, x) or (y, a_1, ..., a_p-1, y) with p = ``length``; every next symbol is to be predicted, of p + 1.
    - ``b`` (task 2b): as ``a``, but the p - 1 symbols between are drawn at random from a_1, ..., a_p-1. Every next symbol is trained on; validation and
      test count the last alone, the only one that can be known, as the paper does.
    - ``c`` (task 2c): (b, x, distractors, e, x) or (b, y, distractors, e, y) with q = ``length`` random distractors of p, and after these one more with
      probability 9/10 each time; which of x and y follows e is asked for at e. At most 99 more, to bound the length.

    The paper's p and q are 100 in 2a and 2b, and 50 to 1000 in 2c. It takes a sequence for right where every output's error is below 0.25 (0.2 in 2c);
    here outputs are the logits of classes, and the largest counts.

    Attributes:
        distractors: p of variant c; 0 is as many as ``length``.
    """

    kind = "long_lag"
    variant: str = "a"
    length: int = 100
    distractors: int = 0
    ranges: ClassVar = Symbolic.ranges | {"length": (2, 1_000_000), "distractors": (0, 1_000_000)}

    def __post_init__(self) -> None:
        if self.variant not in VARIANTS:
            raise unknown("choice of dataset.variant", self.variant, VARIANTS)
        super().__post_init__()
        if self.distractors and self.variant != "c":
            self.fail(
                f"distractors is {self.distractors} and variant {self.variant}; expected 0, as only variant c may have another number than length."
            )

    @property
    def longest(self) -> int:
        return self.length + MORE + 3 if self.variant == "c" else self.length

    @property
    def between(self) -> int:
        """How many symbols can stand between both ends."""
        return (self.distractors or self.length) if self.variant == "c" else self.length - 1

    @property
    def alphabet(self) -> int:
        """Distractors, x and y, and b and e of variant c, in this order."""
        return self.between + (4 if self.variant == "c" else 2)

    def facts(self) -> dict[str, Any]:
        if self.variant == "c":
            return {**super().facts(), "classes": 2, "labelled": True, "labels": ("x", "y")}
        return {**super().facts(), "classes": self.alphabet}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        x = self.between
        label = rng.integers(0, 2, n)
        if self.variant == "a":
            symbols = np.tile(np.arange(-1, x + 1), (n, 1))
        else:
            symbols = rng.integers(0, x, (n, self.longest + (self.variant == "b")))
        if self.variant != "c":
            symbols[:, 0] = symbols[:, -1] = x + label
            return Sequences(self.coded(symbols[:, :-1]), symbols[:, 1:], np.ones((n, self.length)))
        last = self.length + 2 + np.minimum(rng.geometric(0.1, n) - 1, MORE)[:, None]
        symbols[:, 0], symbols[:, 1] = x + 2, x + label
        np.put_along_axis(symbols, last, x + 3, 1)
        step = np.arange(self.longest)
        return Sequences(self.coded(symbols, step <= last), (step == last) * label[:, None], (step == last).astype(float))

    def part(self, part: int, seed: int, epoch: int) -> Sequences:
        found = super().part(part, seed, epoch)
        return replace(found, weight=at_the_end(len(found), self.length)) if part and self.variant == "b" else found
