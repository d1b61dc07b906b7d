"""The embedded Reber grammar: which symbols may follow, at every step of a string (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Symbolic

ALPHABET = "BTPSXVE"

REBER = ((("T", 1), ("P", 2)), (("S", 1), ("X", 3)), (("T", 2), ("V", 4)), (("X", 2), ("S", 5)), (("P", 3), ("V", 5)))
"""Of every node of the Reber grammar after its B, the edges that leave it: the symbol, and the node where it leads. From node 5, E ends the string."""


def embedded() -> tuple[np.ndarray, np.ndarray]:
    """The embedded grammar: symbols and next nodes of both edges of every node, ``(nodes, 2)``; where there is but one edge, it stands twice.

    Node 0 begins; from node 1, T and P lead to a Reber grammar each, of seven nodes, and an eighth that the same symbol leaves. The last node is the
    end, whose edges lead to itself.
    """
    edges: list[tuple[tuple[str, int], ...]] = [(("B", 1),), (("T", 2), ("P", 10))]
    for own, first in (("T", 2), ("P", 10)):
        inner = [tuple((symbol, first + 1 + node) for symbol, node in leaving) for leaving in REBER]
        edges += [(("B", first + 1),), *inner, (("E", first + 7),), ((own, 18),)]
    edges += [(("E", 19),), (("E", 19),)]
    both = [(leaving[0], leaving[-1]) for leaving in edges]
    return np.array([[ALPHABET.index(symbol) for symbol, _ in pair] for pair in both]), np.array(
        [[node for _, node in pair] for pair in both]
    )


SYMBOL, NEXT = embedded()
END = len(SYMBOL) - 1
MAY_FOLLOW = np.eye(len(ALPHABET))[SYMBOL].max(1) * (np.arange(len(SYMBOL)) < END)[:, None]
"""Of every node, 1 for the symbols that may come next, ``(nodes, 7)``; none at the end."""


@dataclass(frozen=True, kw_only=True)
class Reber(Symbolic):
    """Strings of the embedded Reber grammar, read symbol by symbol; the answer, at every step, is yes for each of the seven symbols that may be the next.

    Hochreiter and Schmidhuber (1997), Neural Computation 9, section 5.1 (the grammar: Smith and Zipser 1989, Cleeremans et al. 1989): B, then T or P, a
    string of the Reber grammar, the same T or P again, E; where two edges leave a node, each has probability 1/2. 256 strings are trained on and 256
    tested. A run succeeds where, in all strings, what may follow is what the most active outputs say: the metric ``ranked`` is 1.
    The paper trains on the symbol that does follow; its expectation, the set of those that may, is the target here, with binary cross-entropy.

    Attributes:
        length: symbols of the longest string; a longer one is drawn anew. The paper has no bound: of its strings, one in 400,000 has more than 50.
    """

    kind = "reber"
    length: int = 50
    sequences: int = 512
    validation_share: float = 0.5
    test_share: float = 0.5
    ranges: ClassVar = Symbolic.ranges | {"length": (9, 1_000_000)}

    @property
    def longest(self) -> int:
        return self.length - 1

    @property
    def alphabet(self) -> int:
        return len(ALPHABET)

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "yes_or_no": True}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        symbols, nodes = self.strings(rng, n)
        while len(symbols) < n:
            symbols, nodes = (np.concatenate(both) for both in zip((symbols, nodes), self.strings(rng, n), strict=True))
        symbols, following = symbols[:n, :-1], nodes[:n, 1:-1]
        goes_on = following != END
        return Sequences(self.coded(symbols, goes_on), MAY_FOLLOW[following], goes_on.astype(float))

    def strings(self, rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Of n strings those that are not too long: symbols ``(m, length)``, and the node before each and after the last, ``(m, length + 1)``."""
        coins = rng.integers(0, 2, (n, self.length))
        symbols, nodes = np.zeros((n, self.length), int), np.zeros((n, self.length + 1), int)
        for t in range(self.length):
            symbols[:, t] = SYMBOL[nodes[:, t], coins[:, t]]
            nodes[:, t + 1] = NEXT[nodes[:, t], coins[:, t]]
        short = nodes[:, -1] == END
        return symbols[short], nodes[short]
