"""Temporal order: in which order two or three symbols came, far apart (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Symbolic
from ltm.errors import unknown

ALPHABET = "EBabcdXY"
CLASSES = {"a": "QRSU", "b": "QRSUVABC"}
"""By the variant, in the order of XX, XY, YX, YY, and of XXX, XXY, XYX, ..., YYY."""


@dataclass(frozen=True, kw_only=True)
class TemporalOrder(Symbolic):
    """A sequence of symbols: first E, last B, between them a, b, c, d at random, but X or Y at two places, or three; their order is the class, asked for at B.

    Hochreiter and Schmidhuber (1997), Neural Computation 9, section 5.6. With T = ``length``, 100 in the paper, a sequence has T to T + T/10 steps, all
    as likely; places, counted from 0, are uniform over T/10 + 1 steps. The paper takes one for right where the error of every output is below 0.3;
    here outputs are the logits of classes, and the largest counts. For other T than the paper's, places scale with it, rounded down.

    - ``a`` (task 6a): places from T/10 (10 to 20) and T/2 (50 to 60) on; classes Q, R, S, U for XX, XY, YX, YY.
    - ``b`` (task 6b): places from T/10, T/3 (33 to 43) and 2T/3 (66 to 76) on; classes Q, R, S, U, V, A, B, C for XXX, XXY, XYX, ..., YYY.
    """

    kind = "temporal_order"
    variant: str = "a"
    length: int = 100
    ranges: ClassVar = Symbolic.ranges | {"length": (10, 1_000_000)}

    def __post_init__(self) -> None:
        if self.variant not in CLASSES:
            raise unknown("choice of dataset.variant", self.variant, CLASSES)
        super().__post_init__()

    @property
    def longest(self) -> int:
        return self.length + self.length // 10

    @property
    def alphabet(self) -> int:
        return len(ALPHABET)

    def facts(self) -> dict[str, Any]:
        labels = tuple(CLASSES[self.variant])
        return {**super().facts(), "classes": len(labels), "labelled": True, "labels": labels}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        T, spread = self.length, self.length // 10
        from_ = np.array([spread, T // 2] if self.variant == "a" else [spread, T // 3, 2 * T // 3])
        last = rng.integers(T, self.longest + 1, n)[:, None] - 1
        place = from_ + rng.integers(0, spread + 1, (n, len(from_)))
        which = rng.integers(0, 2, (n, len(from_)))
        symbols = rng.integers(ALPHABET.index("a"), ALPHABET.index("X"), (n, self.longest))
        symbols[:, 0] = ALPHABET.index("E")
        np.put_along_axis(symbols, last, ALPHABET.index("B"), 1)
        np.put_along_axis(symbols, place, ALPHABET.index("X") + which, 1)
        step = np.arange(self.longest)
        label = which @ 2 ** np.arange(len(from_))[::-1]
        return Sequences(self.coded(symbols, step <= last), (step == last) * label[:, None], (step == last).astype(float))
