"""Arithmetic expressions: the value of a tree of digits, sums and products, of unequal size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ltm.data.base import Sequences
from ltm.data.generated import Symbolic


@dataclass(frozen=True, kw_only=True)
class Expressions(Symbolic):
    """Expression trees of digits, + and * in postfix order (3 4 + 2 * for (3 + 4) * 2); the class is the value modulo ``modulus``, asked for at the root.

    A tree has 2 to (``length`` + 1) / 2 digits, every number of them as likely as another, each digit from 0 to ``modulus`` - 1, and one operator fewer. From
    left to right, where both a digit and an operator may follow, a coin decides; an operator is + or * by another. The root is the last step. ``children`` are
    the two operands, left and right; a network that reads no children sees the postfix order alone, which tells the tree as well.

    Attributes:
        length: nodes of the largest tree.
        modulus: how many digits, and how many classes, there are.
    """

    kind = "expressions"
    length: int = 15
    modulus: int = 3
    symbols: bool = True
    ranges: ClassVar = Symbolic.ranges | {"length": (3, 1_000_000), "modulus": (2, 1000)}

    @property
    def alphabet(self) -> int:
        return self.modulus + 2

    def facts(self) -> dict[str, Any]:
        return {**super().facts(), "classes": self.modulus, "labelled": True, "labels": tuple(map(str, range(self.modulus)))}

    def draw(self, rng: np.random.Generator, n: int) -> Sequences:
        digits, row = rng.integers(2, (self.length + 1) // 2 + 1, n), np.arange(n)
        coin, digit, product = (rng.integers(0, high, (n, self.length)) for high in (2, self.modulus, 2))
        symbols, children = np.zeros((n, self.length), int), np.full((n, self.length, 2), -1)
        # the stack of a calculator in postfix order: values, and the nodes that they are of
        values, nodes, depth, left = (np.zeros((n, *size), int) for size in ((self.length + 2,), (self.length + 2,), (), ()))
        left += digits
        for t in range(self.length):
            within = t < 2 * digits - 1
            leaf = within & ((depth < 2) | ((left > 0) & (coin[:, t] == 1)))
            inner = within & ~leaf
            a, b = values[row, depth - 2], values[row, depth - 1]
            found = np.where(leaf, digit[:, t], np.where(product[:, t], a * b, a + b) % self.modulus)
            symbols[:, t] = np.where(leaf, digit[:, t], self.modulus + product[:, t])
            children[inner, t] = np.stack([nodes[row, depth - 2], nodes[row, depth - 1]], 1)[inner]
            depth, left = depth + leaf - inner, left - leaf
            values[row[within], depth[within] - 1], nodes[row[within], depth[within] - 1] = found[within], t
        step, last = np.arange(self.length), 2 * digits[:, None] - 2
        root = step == last
        return Sequences(self.coded(symbols, step <= last), root * values[:, :1], root.astype(float), children)
