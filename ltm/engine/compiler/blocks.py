"""What has a loop inside: products, filters over past states in two forms, and reductions over units.

Each block is a dataclass: its results, what they cost, its adjoint, and its statements; ``naive`` is the same in a line or two of
NumPy for one lane, to read and to test against. ``program`` is the :class:`ltm.engine.compiler.program.Program` that prints it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from ltm import filters
from ltm.engine.compiler.ir import Given, Node, Parts, tiled
from ltm.engine.compiler.layout import Layout, Slot

if TYPE_CHECKING:
    from ltm.engine.compiler.program import Program

RATES, TERMS = 16, 8
"""Rates J of the sum of exponentials, and Chebyshev terms P of their amplitudes."""

EXPONENTIAL_FROM = 32
"""Filters over states of at least this length run as a sum of exponentials in float32; shorter ones, and float64, directly."""

TABLE = "table = anew(kt)"
"""Of a sum of exponentials: 160 numbers, one in all lanes each. Read once ahead of the steps, they would be as many vectors on the stack."""


def indented(lines: Sequence[str], depth: int = 1) -> list[str]:
    return ["    " * depth + line for line in lines]


def side_by_side(arrays: Sequence[tuple[Slot, int]]) -> list[tuple[Slot, int]]:
    """Arrays and their units; those that follow each other in memory are one."""
    out: list[tuple[Slot, int]] = []
    for slot, n in arrays:
        if out and out[-1][0] + out[-1][1] == slot:
            out[-1] = out[-1][0], out[-1][1] + n
        else:
            out.append((slot, n))
    return out


def tiles(total: int, tile: int, step: int, variable: str) -> Iterator[tuple[str, int]]:
    """A loop over ``total`` things in tiles, and one over what is left: its head, and how many things a round takes."""
    if whole := total // tile * tile:
        yield f"for {variable} in range(0, {whole * step}, {tile * step}):", tile
    if total - whole:
        yield f"for {variable} in range({whole * step}, {total * step}, {(total - whole) * step}):", total - whole


@dataclass(frozen=True)
class Product:
    """A matrix of parameters times a vector that is made of arrays: ``y_r = sum_c m[first + r sr + c sc] z_c``."""

    first: int
    R: int
    C: int
    sr: int
    sc: int

    def naive(self, m: np.ndarray, *z: np.ndarray) -> np.ndarray:
        return m[self.first + np.arange(self.R)[:, None] * self.sr + np.arange(self.C) * self.sc] @ np.concatenate(z)

    @property
    def results(self) -> list[int]:
        return [self.R]

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return 2 * self.R * self.C

    def adjoint(self, node: Node, parts: Parts) -> Given:
        """The transposed product of the adjoint gives that of z; their outer product is added to the gradient of the matrix."""
        g, (matrix, *z) = node.graph, node.args
        rows = tiled([(first, value, n) for _, first, value, n in parts], self.R, g)
        starts = list(itertools.accumulate((0, *(part.n for part in z))))
        wanted = [i for i, part in enumerate(z) if part.op != "feature" and not (part.op == "spread" and part.args[0].op == "const")]
        given = []
        if wanted:
            low, high = starts[wanted[0]], starts[wanted[-1] + 1]
            block = Product(self.first + low * self.sc, high - low, self.R, self.sc, self.sr)
            back = g.out(g.make("block", matrix, *rows, data=block, n=0), 0, high - low)
            given = [(z[i], g.slice(back, starts[i] - low, z[i].n)) for i in wanted]
        return given, [g.make("block", matrix, *rows, *z, data=Outer(self.first, self.sr, self.sc, len(rows)), n=0)]

    def lines(self, program: Program, node: Node) -> list[str]:
        layout = program.layout
        matrix, sr, sc = program.matrix(node)
        to, parts = program.at[node], [(program.where(z), z.n) for z in node.args[1:]]
        if layout.kind == "entries":
            parts = side_by_side(parts)
        rows = -(-self.R // layout.step)
        beside = min(2, layout.entries // layout.width) if layout.kind == "entries" else 1  # vectors that read the same weights
        chains = (
            1 if self.C < 8 or beside > 1 else {1: 8, 2: 4, 3: 2}.get(rows, 2 if rows < 8 else 1)
        )  # sums side by side hide their latency
        out = []
        for head, U in tiles(rows, max(1, layout.accumulators // (chains * beside)), layout.step, "a"):
            body = [f"s{k}_{j}_{b} = ZERO" for k in range(U) for j in range(chains) for b in range(beside)]
            low = 0
            for z, length in parts:
                for loop, M in tiles(length, chains, 1, "c"):
                    inner = []
                    for j in range(M):
                        inner += [f"z{b} = {layout.load(z, j, one=True, beside=b, c=1)}" for b in range(beside)]
                        for k in range(U):
                            weight = layout.load(Slot(matrix.buffer, matrix.index), k * layout.step * sr + (low + j) * sc, a=sr, c=sc)
                            inner.append(f"m = {weight}")
                            inner += [f"s{k}_{j}_{b} = fma(m, z{b}, s{k}_{j}_{b})" for b in range(beside)]
                    body += [loop, *indented(inner)]
                low += length
            for k, b in itertools.product(range(U), range(beside)):
                total = [f"s{k}_{j}_{b}" for j in range(chains)]
                while len(total) > 1:
                    total = [f"add({x}, {y})" for x, y in zip(total[::2], total[1::2], strict=True)]
                unit = k * layout.step
                body.append(layout.store(to, total[0], self.R, unit=unit, beside=b, a=1, left=f"{self.R - unit} - a"))
            out += [head, *indented(body)]
        return layout.over_lanes(out, beside)


@dataclass(frozen=True)
class Outer:
    """The gradient of a product's matrix: ``m[first + r sr + c sc] += d_r z_c``, summed over several steps before it is written."""

    first: int
    sr: int
    sc: int
    rows: int
    """How many of the arrays are d; the others are z."""

    def naive(self, m: np.ndarray, d: np.ndarray, z: np.ndarray) -> np.ndarray:
        out = np.zeros_like(m)
        np.add.at(out, self.first + np.arange(len(d))[:, None] * self.sr + np.arange(len(z)) * self.sc, np.outer(d, z))
        return out

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return 2 * sum(a.n for a in args[1 : 1 + self.rows]) * sum(a.n for a in args[1 + self.rows :])

    def lines(self, program: Program, node: Node) -> list[str]:
        """Statements over the steps ``t0 .. t1``; everything that they read lies in rows of the trajectory."""
        layout, step = program.layout, program.layout.step
        target = program.gradient(node.args[0]) + self.first
        arrays = [(program.where(arg), arg.n) for arg in node.args[1:]]
        rows, columns, sr, sc = side_by_side(arrays[: self.rows]), side_by_side(arrays[self.rows :]), self.sr, self.sc
        if layout.kind == "units" and (sc != 1 or any(slot.buffer == "px" for slot, _ in columns)):
            rows, columns, sr, sc = columns, rows, sc, sr
        wide = min(4, layout.accumulators)
        out, r = [], 0
        for d, n in rows:
            for head, U in tiles(n, max(1, layout.accumulators // wide), 1, "a"):
                body, c = [], 0
                for z, m in columns:
                    for loop, V in tiles(-(-m // step), wide, step, "c"):
                        over = [f"d{k} = {layout.load(d, k, one=True, a=1)}" for k in range(U)]
                        for j in range(V):
                            over.append(f"z = {layout.load(z, j * step, c=1)}")
                            over += [f"s{k}_{j} = fma(d{k}, z, s{k}_{j})" for k in range(U)]
                        inner = [f"s{k}_{j} = ZERO" for k in range(U) for j in range(V)]
                        inner += over_steps(layout, program.bases, over)
                        if layout.kind == "entries" and target.buffer != "g":  # sums lie where work does: those of all vectors in the first
                            inner.append(f"v = s * {layout.entries}")
                        for k, j in itertools.product(range(U), range(V)):
                            unit, left = (r + k) * sr + (c + j * step) * sc, f"{m - j * step} - c"
                            inner.append(layout.store(target, f"s{k}_{j}", m, add=True, unit=unit, left=left, a=sr, c=sc))
                        body += [loop, *indented(inner)]
                    c += m
                out += [head, *indented(body)]
            r += n
        return [f"for s in range({layout.side}):", *indented(out)] if layout.kind == "entries" else out


def over_steps(layout: Layout, bases: Sequence[str], body: Sequence[str]) -> list[str]:
    """A loop over the steps ``t0 .. t1``, and over all vectors of a seed's entries."""
    if layout.kind == "entries":
        body = [f"for v in range(s * {layout.entries}, (s + 1) * {layout.entries}, {layout.width}):", *indented(body)]
    return ["for t in range(t0, t1):", *indented([*bases, *body])]


@dataclass(frozen=True)
class Filter:
    """The fractional filter over the last K values of a state: ``sum_k w_k(d) c_{t-k}`` and its derivative by d, n units each.

    Direct: w_k = w_{k-1} (k-1-d)/k. As a sum of exponentials: S_j <- lambda_j S_j + c_{t-1} - lambda_j^K c_{t-1-K}, G_p = sum_j A[p, j] S_j,
    and sum_p T_p(4d - 1) G_p by Clenshaw; the delayed read makes the truncation at K exact.
    """

    state: str
    n: int
    K: int

    def naive(self, window: np.ndarray, d: np.ndarray) -> np.ndarray:
        return (filters.weights(d, self.K) * window).sum(0)

    @property
    def results(self) -> list[int]:
        return [self.n, self.n]

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return self.n * (RATES * (4 + 2 * TERMS) + 8 * TERMS if exponential else 10 * self.K)

    def adjoint(self, node: Node, parts: Parts) -> Given:
        bars = tiled([(first, value, n) for _, first, value, n in parts], self.n, node.graph)
        return [], [node.graph.make("block", *bars, *node.args, data=Scatter(self.state, self.n, self.K, len(bars)), n=0)]

    def lines(self, program: Program, node: Node) -> list[str]:
        layout, to, row = program.layout, program.at[node], program.state_slot[self.state]
        copies, d = program.gathered(node.args)
        value, slope = to, to + self.n

        def store(slot: Slot, text: str) -> str:
            return layout.store(slot, text, self.n, left=f"{self.n} - u", u=1)

        if not program.exponential:
            body = [f"d, s, ds, q0, dq = {layout.load(d, u=1)}, ZERO, ZERO, ONE, ZERO"]
            inner = [
                "i = spread(kt, 2 * k + 2)",
                "r = fnma(d, i, spread(kt, 2 * k + 1))",
                "dq = fnma(q0, i, mul(dq, r))",
                "q0 = mul(q0, r)",
            ]
            inner += [f"c = {layout.load(Slot('tr', row, program.past('(k + 1)')), u=1)}", "s = fma(q0, c, s)", "ds = fma(dq, c, ds)"]
            body += [
                f"for k in range(min({program.reach(self.K)}, {program.started})):",
                *indented(inner),
                store(value, "s"),
                store(slope, "ds"),
            ]
            return [*copies, *layout.over_lanes([program.over(self.n), *indented(body)])]
        J, P = RATES, TERMS
        sums = program.carry(self.n * J)
        body = [
            TABLE,
            f"c, e = {layout.load(Slot('tr', row, program.past('1')), u=1)}, {layout.load(Slot('tr', row, program.past('(K + 1)')), u=1)}",
        ]
        for j in range(J):
            s = sums + j * self.n
            body.append(f"s{j} = fma(spread(table, {1 + j}), {layout.load(s, u=1)}, fnma(spread(table, {1 + J + j}), e, c))")
            body.append(store(s, f"s{j}"))
        body += [f"g{p} = {weighted([(f'spread(table, {1 + 2 * J + p * J + j})', f's{j}') for j in range(J)])}" for p in range(P)]
        body += [f"y = sub(mul(FOUR, {layout.load(d, u=1)}), ONE)", "y2 = mul(TWO, y)", f"b1, b2, h1, h2 = g{P - 1}, ZERO, ZERO, ZERO"]
        for p in range(P - 2, 0, -1):
            body += ["h1, h2 = fma(y2, h1, sub(mul(TWO, b1), h2)), h1", f"b1, b2 = fma(y2, b1, sub(g{p}, b2)), b1"]
        body += [store(value, "fma(y, b1, sub(g0, b2))"), store(slope, "mul(FOUR, fma(y, h1, sub(b1, h2)))")]
        return [*copies, *layout.over_lanes([program.over(self.n), *indented(body)])]


@dataclass(frozen=True)
class Scatter:
    """The adjoint of a filter by the states: ``g w_k(d)`` to each of the K rows before.

    As exponentials: B_j <- lambda_j B_j + g a_j(d), a_j(d) = sum_p A[p, j] T_p(4d - 1); c_{t-1} receives sum_j B_j, c_{t-1-K} receives
    -sum_j lambda_j^K B_j.
    """

    state: str
    n: int
    K: int
    bars: int
    """How many of the arrays are the adjoint; the others are d."""

    def naive(self, g: np.ndarray, d: np.ndarray) -> np.ndarray:
        return g * filters.weights(d, self.K)

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return self.n * (RATES * (5 + 2 * TERMS) + 2 * TERMS if exponential else 4 * self.K)

    def lines(self, program: Program, node: Node) -> list[str]:
        layout, row = program.layout, program.history[self.state]
        first, g = program.gathered(node.args[: self.bars])
        second, d = program.gathered(node.args[self.bars :])

        def add(base: str, text: str) -> str:
            return layout.store(Slot("tr", row, base), text, self.n, add=True, left=f"{self.n} - u", u=1)

        if not program.exponential:
            body = [f"d, q0 = {layout.load(d, u=1)}, {layout.load(g, u=1)}"]
            inner = ["q0 = mul(q0, fnma(d, spread(kt, 2 * k + 2), spread(kt, 2 * k + 1)))", add(program.past("(k + 1)"), "q0")]
            body += [f"for k in range(min({program.reach(self.K)}, {program.started})):", *indented(inner)]
            return [*first, *second, *layout.over_lanes([program.over(self.n), *indented(body)])]
        J, P = RATES, TERMS
        sums = program.carry(self.n * J)
        body = [TABLE, f"y, p0 = sub(mul(FOUR, {layout.load(d, u=1)}), ONE), {layout.load(g, u=1)}", "p1, y2 = mul(y, p0), mul(TWO, y)"]
        body += [f"p{p} = sub(mul(y2, p{p - 1}), p{p - 2})" for p in range(2, P)]
        for j in range(J):
            s = sums + j * self.n
            amplitude = weighted([(f"spread(table, {1 + 2 * J + p * J + j})", f"p{p}") for p in range(P)])
            body.append(f"s{j} = fma(spread(table, {1 + j}), {layout.load(s, u=1)}, {amplitude})")
            body.append(layout.store(s, f"s{j}", self.n, left=f"{self.n} - u", u=1))
        total = [f"s{j}" for j in range(J)]
        while len(total) > 1:
            total = [f"add({x}, {y})" for x, y in zip(total[::2], total[1::2], strict=True)]
        body += [add(program.past("1"), total[0])]
        body += [add(program.past("(K + 1)"), f"neg({weighted([(f'spread(table, {1 + J + j})', f's{j}') for j in range(J)])})")]
        return [*first, *second, *layout.over_lanes([program.over(self.n), *indented(body)])]


def weighted(terms: Sequence[tuple[str, str]], chain: int = 4) -> str:
    """A sum of products in several short chains, which the processor adds side by side."""
    chains = []
    for i in range(0, len(terms), chain):
        (a, b), *rest = terms[i : i + chain]
        text = f"mul({a}, {b})"
        for a, b in rest:
            text = f"fma({a}, {b}, {text})"
        chains.append(text)
    while len(chains) > 1:
        chains = [f"add({x}, {y})" for x, y in zip(chains[::2], chains[1::2], strict=True)]
    return chains[0]


@lru_cache(maxsize=64)
def exponentials(K: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates lambda ``(J,)`` and coefficients A ``(P, J)`` with w_k(d) = sum_j (sum_p A[p, j] T_p(4d - 1)) lambda_j^{k-1} for k = 1..K.

    Amplitudes are fitted by least squares at the P Chebyshev nodes of d, for time constants spaced geometrically; of a few such
    ranges the one with the smallest error is taken. For K from 32 to 4000 the largest error of a weight is below 1e-6.
    """
    theta = (np.arange(TERMS) + 0.5) * np.pi / TERMS
    at_nodes = filters.weights((np.cos(theta) + 1.0) / 4.0, K)
    transform = np.cos(np.outer(np.arange(TERMS), theta)) * (2.0 / TERMS)
    transform[0] /= 2.0
    fits = []
    for shortest, longest in itertools.product((0.15, 0.2, 0.25, 0.3), (0.3 * K, 0.5 * K, K)):
        rates = np.exp(-1.0 / np.geomspace(shortest, longest, RATES))
        powers = rates ** np.arange(K)[:, None]
        amplitudes = np.linalg.lstsq(powers, at_nodes, rcond=1e-7)[0]
        if np.abs(amplitudes).sum(0).max() < 3:  # larger ones would cancel, which float32 cannot
            fits.append((np.abs(powers @ amplitudes - at_nodes).max(), rates, transform @ amplitudes.T))
    _, rates, coefficients = min(fits, key=lambda fit: fit[0])
    return rates, coefficients


def filter_table(K: int, exponential: bool, lags: int = 0) -> np.ndarray:
    """What a kernel reads of a filter over states: K, then lambda, lambda^K and A; or ((k-1)/k, 1/k) for k = 1..K, and on to ``lags`` where filters
    over inputs are longer."""
    if exponential:
        rates, coefficients = exponentials(K)
        return np.concatenate([[K], rates, rates**K, coefficients.ravel()])
    k = np.arange(1, max(K, lags) + 1)
    return np.concatenate([[K], np.stack([(k - 1) / k, 1 / k], 1).ravel()])
