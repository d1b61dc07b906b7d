"""The copying problem: symbols to be remembered over a gap and then repeated in their order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Symbolic

ITEMS = 8
"""Symbols that may have to be remembered; the blank and the delimiter are two more."""

BLANK, DELIMITER = ITEMS, ITEMS + 1


@dataclass(frozen=True, kw_only=True)
class Copying(Symbolic):
    """Ten symbols of eight, at random; T - 1 blanks; a delimiter; ten blanks. The answer, at every step, is a blank, and in the last ten the ten symbols.

    Arjovsky, Shah and Bengio (2016), *Unitary Evolution Recurrent Neural Networks*, section 5.1, after Hochreiter and Schmidhuber (1997): T is
    ``length``, a sequence has T + 20 steps, every one of which counts. Without memory the best cross-entropy is 10 ln 8 / (T + 20): the blanks, and
    guesses at the end. The delimiter is never an answer, so there are nine classes.

    Attributes:
        items: symbols to be remembered.
    """

    kind = "copying"
    length: int = 100
    items: int = 10

    @property
    def longest(self) -> int:
        return self.length + 2 * self.items

    @property
    def alphabet(self) -> int:
        return ITEMS + 2

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "classes": ITEMS + 1, "labels": (*map(str, range(ITEMS)), "blank")}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        given = rng.integers(0, ITEMS, (n, self.items))
        symbols = np.full((n, self.longest), BLANK)
        targets = symbols.copy()
        symbols[:, : self.items] = targets[:, -self.items :] = given
        symbols[:, self.items + self.length - 1] = DELIMITER
        return Sequences(self.coded(symbols), targets, np.ones(symbols.shape))
