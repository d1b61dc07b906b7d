"""Filters whose weights decay otherwise than the fractional one's (:data:`ltm.filters.PATTERNS`), as loops over K lags: of past inputs, or of the past
values of a state. Each weight, and its slopes by the parameters, is made from the one before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ltm import filters
from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.ir import Given, Node, Parts, tiled
from ltm.engine.compiler.layout import Slot

if TYPE_CHECKING:
    from ltm.engine.compiler.program import Program


@dataclass(frozen=True)
class Recurrence:
    """The weights of a decay as statements, lag after lag. They read its parameters ``d0`` and ``d1``, and 1/k as ``i`` and (k-1)/k as ``j`` at lag k.

    Attributes:
        start: before the first lag.
        both: of a lag, its weight ``y`` and its slopes ``y0`` and ``y1``.
        alone: its weight alone.
        cost: operations of ``both``, about.
    """

    start: tuple[str, ...]
    both: tuple[str, ...]
    alone: tuple[str, ...]
    cost: int


RECURRENCES = {
    "exponential": Recurrence(
        ("m, m0 = sub(d0, ONE), ONE",),
        ("y, y0 = m, m0", "m, m0 = mul(d0, m), fma(d0, m0, m)"),
        ("y = m", "m = mul(d0, m)"), 3,
    ),
    "power": Recurrence(  # m is k^-a
        ("m, m0 = ONE, ZERO",),
        ("z = log(div(i, add(ONE, i)))", "n = exp(mul(d0, z))", "n0 = mul(n, z)", "y, y0 = sub(n, m), sub(n0, m0)", "m, m0 = n, n0"),
        ("n = exp(mul(d0, log(div(i, add(ONE, i)))))", "y = sub(n, m)", "m = n"), 65,
    ),
    "tempered": Recurrence(
        ("y, y0, y1 = ONE, ZERO, ZERO",),
        ("r = fnma(d0, i, j)", "y0, y1 = mul(d1, fnma(y, i, mul(y0, r))), mul(r, fma(d1, y1, y))", "y = mul(y, mul(r, d1))"),
        ("y = mul(y, mul(fnma(d0, i, j), d1))",), 10,
    ),
    "gegenbauer": Recurrence(  # d1 is cos(nu); m and n are the weights one and two lags before
        ("y, y0, y1, m, m0, m1 = ONE, ZERO, ZERO, ZERO, ZERO, ZERO", "e = add(d1, d1)"),
        (
            "n, n0, n1, m, m0, m1 = m, m0, m1, y, y0, y1",
            "r = fnma(d0, i, j)", "z, r2 = mul(e, r), add(r, r)", "x2 = sub(r2, ONE)",
            "y = fms(z, m, mul(x2, n))",
            "y0 = fms(z, m0, fma(x2, n0, mul(i, fms(e, m, add(n, n)))))",
            "y1 = fma(z, m1, fms(r2, m, mul(x2, n1)))",
        ),
        ("n, m = m, y", "r = fnma(d0, i, j)", "y = fms(mul(e, r), m, mul(sub(add(r, r), ONE), n))"), 22,
    ),
}  # fmt: skip
"""Of every decay that a kernel knows but the fractional one, which is :class:`ltm.engine.compiler.blocks.Filter`."""


def lag(body: Sequence[str]) -> list[str]:
    """The statements of lag ``k + 1``, with what they read of the table."""
    return ["i, j = spread(kt, 2 * k + 2), spread(kt, 2 * k + 1)", *body]


@dataclass(frozen=True)
class Decay:
    """``sum_k w_k(theta) v_k`` over the last K values of a state, n units, or (``state`` is empty) over K past inputs, one unit; and its derivatives by
    the parameters.

    ``arrays``: how many arrays every parameter is made of. Of inputs, their past is an argument before them.
    """

    decay: str
    state: str
    n: int
    K: int
    arrays: tuple[int, ...]

    def naive(self, window: np.ndarray, *theta: np.ndarray) -> np.ndarray:
        return (weights_of(self.decay, self.K, *theta) * window).sum(0)

    @property
    def results(self) -> list[int]:
        return [self.n] * (1 + len(self.arrays))

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return self.n * self.K * (RECURRENCES[self.decay].cost + 2 + 2 * len(self.arrays))

    def adjoint(self, node: Node, parts: Parts) -> Given:
        if not self.state:
            return [], []
        bars = tiled([(first, value, n) for _, first, value, n in parts], self.n, node.graph)
        scattered = Scattered(self.decay, self.state, self.n, self.K, (len(bars), *self.arrays))
        return [], [node.graph.make("block", *bars, *node.args, data=scattered, n=0)]

    def lines(self, program: Program, node: Node) -> list[str]:
        layout, to, pattern = program.layout, program.at[node], RECURRENCES[self.decay]
        copies, theta = cut(program, node.args if self.state else node.args[1:], self.arrays)
        parameters = range(len(self.arrays))
        if self.state:
            value = layout.load(Slot("tr", program.state_slot[self.state], program.past("(k + 1)")), u=1)
            lags = f"min({program.reach(self.K)}, {program.started})"
        else:
            value, lags = layout.load(program.where(node.args[0]), one=True, k=1), str(self.K)
        body = [f"d{i} = {layout.load(theta[i], u=1)}" for i in parameters]
        body += [*pattern.start, "h = ZERO", *(f"h{i} = ZERO" for i in parameters)]
        inner = lag([*pattern.both, f"c = {value}", "h = fma(y, c, h)", *(f"h{i} = fma(y{i}, c, h{i})" for i in parameters)])
        body += [f"for k in range({lags}):", *indented(inner)]
        names = ["h", *(f"h{i}" for i in parameters)]
        body += [layout.store(to + r * self.n, name, self.n, left=f"{self.n} - u", u=1) for r, name in enumerate(names)]
        return [*copies, *layout.over_lanes([program.over(self.n), *indented(body)])]


@dataclass(frozen=True)
class Scattered:
    """The adjoint of such a filter by the states: ``g w_k(theta)`` to each of the K rows before.

    ``arrays``: how many arrays the adjoint and every parameter are made of.
    """

    decay: str
    state: str
    n: int
    K: int
    arrays: tuple[int, ...]

    def naive(self, g: np.ndarray, *theta: np.ndarray) -> np.ndarray:
        return g * weights_of(self.decay, self.K, *theta)

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return self.n * self.K * (RECURRENCES[self.decay].cost // 2 + 2)

    def lines(self, program: Program, node: Node) -> list[str]:
        layout, pattern = program.layout, RECURRENCES[self.decay]
        copies, (g, *theta) = cut(program, node.args, self.arrays)
        row = Slot("tr", program.history[self.state], program.past("(k + 1)"))
        body = [f"h = {layout.load(g, u=1)}", *(f"d{i} = {layout.load(slot, u=1)}" for i, slot in enumerate(theta)), *pattern.start]
        inner = lag([*pattern.alone, layout.store(row, "mul(h, y)", self.n, add=True, left=f"{self.n} - u", u=1)])
        body += [f"for k in range(min({program.reach(self.K)}, {program.started})):", *indented(inner)]
        return [*copies, *layout.over_lanes([program.over(self.n), *indented(body)])]


def cut(program: Program, args: Sequence[Node], arrays: Sequence[int]) -> tuple[list[str], list[Slot]]:
    """Arguments cut into so many arrays each: the statements that put each side by side, and where it is."""
    lines, slots, first = [], [], 0
    for count in arrays:
        copies, slot = program.gathered(args[first : first + count])
        lines += copies
        slots.append(slot)
        first += count
    return lines, slots


def weights_of(decay: str, K: int, *theta: np.ndarray) -> np.ndarray:
    """The weights of the parameters that a block reads, which of a frequency has the cosine."""
    d, *others = theta
    return filters.PATTERNS[decay].weights(d, *(np.arccos(eta) for eta in others) if decay == "gegenbauer" else others, K)
