"""What a step is to the compiler: nodes of n units, equal nodes shared, and ONE table of operations that says how each prints,
differentiates, what it costs, and whether its result is kept for the backward step.

A leaf is a node whose ``op`` is not in the table: ``const`` (value); ``param`` (first index, stride); ``read`` (state, unit, lag);
``feature`` (name, index); ``below`` (piece, index: what the layer below hands on);
``seed`` (name, unit: an adjoint that the backward step is given). A ``block`` (:mod:`blocks`) has a loop
inside and yields arrays, each read through ``out`` nodes (result, first unit).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """An array of ``n`` units of one lane at one time step. An argument of one unit is spread over the units of the others."""

    graph: Graph
    index: int
    op: str
    args: tuple[Node, ...]
    data: Any
    n: int

    def __add__(self, other: Node | float) -> Node:
        return self.graph("add", self, other)

    def __radd__(self, other: float) -> Node:
        return self.graph("add", other, self)

    def __sub__(self, other: Node | float) -> Node:
        return self.graph("sub", self, other)

    def __rsub__(self, other: float) -> Node:
        return self.graph("sub", other, self)

    def __mul__(self, other: Node | float) -> Node:
        return self.graph("mul", self, other)

    def __rmul__(self, other: float) -> Node:
        return self.graph("mul", other, self)

    def __truediv__(self, other: Node | float) -> Node:
        return self.graph("div", self, other)

    def __rtruediv__(self, other: float) -> Node:
        return self.graph("div", other, self)

    def __abs__(self) -> Node:
        return self.graph("abs", self)

    def __neg__(self) -> Node:
        return self.graph("neg", self)

    def is_const(self, value: float) -> bool:
        return self.op == "const" and bool(self.data == value)

    def __repr__(self) -> str:
        return f"{self.op}{self.index}[{self.n}]"

    @cached_property
    def fixed(self) -> bool:
        """Whether this is a function of parameters alone."""
        return self.op in ("param", "const") or (self.op in OPERATIONS and all(arg.fixed for arg in self.args))

    @property
    def leaf(self) -> bool:
        return self.op not in OPERATIONS and self.op not in ("block", "out")


@dataclass(frozen=True)
class Operation:
    """A pointwise operation.

    ``text`` is how it prints, from the functions that every target has (:mod:`render`), ``{0}`` its first argument.
    ``adjoints`` takes (adjoint of the result, result, arguments) to the adjoint of every argument, None where nothing passes.
    ``cost`` counts floating-point operations; the result is kept for the backward step where computing it again costs more (``keep``).
    A ``mask`` is 1 or 0.
    """

    text: str | Callable[..., str]
    adjoints: Callable[..., tuple[Node | None, ...]] = lambda b, y, *args: (None,) * len(args)
    cost: int = 1
    keep: bool = False
    mask: bool = False


def printed_power(y: Node, a: str, _: str) -> str:
    product, times = a, int(y.args[1].data)
    for _n in range(abs(times) - 1):
        product = f"mul({product}, {a})"
    return product if times > 0 else f"div(ONE, {product})"


def of_division(b: Node, y: Node, a: Node, c: Node) -> tuple[Node, Node]:
    slope = b * (1.0 / c)  # one division serves both
    return slope, -(slope * y)


def of_power(b: Node, y: Node, x: Node, e: Node) -> tuple[Node | None, Node | None]:
    g, zero = b.graph, b.graph.const(0)
    if e.op == "const":
        return b * (e * g.power(x, g.const(e.data - 1))), None
    slope = b * (e * g.power(x, e - 1.0))
    flat = g("and", g("eq", x, zero), g("ge", e, zero))
    return g("where", g("eq", e, zero), zero, slope), b * g("where", flat, zero, y * g("log", x))


def of_maximum(b: Node, y: Node, x: Node, z: Node) -> tuple[Node, Node]:
    """Equal arguments share; NaN is below nothing."""
    g, zero = b.graph, b.graph.const(0)
    shared = g("where", g("eq", x, z), 0.5 * b, b)
    return g("where", g("lt", x, z), zero, shared), g("where", g("gt", x, z), zero, shared)


def of_largest(b: Node, y: Node, value: Node, *args: Node) -> tuple[Node | None, ...]:
    """All that are equal to the largest share."""
    g = b.graph
    equal = [g("eq", x, value) for x in args]
    count = g.total([g.sum(e) if e.n > y.n else e for e in equal])
    return (None, *((b * e) / count for e in equal))


OPERATIONS = {
    "add": Operation("add({0}, {1})", lambda b, y, a, c: (b, b)),
    "sub": Operation("sub({0}, {1})", lambda b, y, a, c: (b, -b)),
    "mul": Operation("mul({0}, {1})", lambda b, y, a, c: (b * c, b * a) if a is not c else ((b + b) * a, None)),
    "div": Operation("div({0}, {1})", of_division, keep=True),
    "neg": Operation("neg({0})", lambda b, y, a: (-b,)),
    "tanh": Operation("tanh({0})", lambda b, y, a: (b * (1.0 - y * y),), 22, keep=True),
    "sigmoid": Operation("sigmoid({0})", lambda b, y, a: (b * (y * (1.0 - y)),), 23, keep=True),
    "exp": Operation("exp({0})", lambda b, y, a: (b * y,), 35, keep=True),
    "log": Operation("log({0})", lambda b, y, a: (b / a,), 20, keep=True),
    "log1p": Operation("log1p({0})", lambda b, y, a: (b / (a + 1.0),), 20, keep=True),
    "expm1": Operation("expm1({0})", lambda b, y, a: (b * (y + 1.0),), 20, keep=True),
    "sqrt": Operation("sqrt({0})", lambda b, y, a: (b * (0.5 / y),), keep=True),
    "sin": Operation("sin({0})", lambda b, y, a: (b * b.graph("cos", a),), 20, keep=True),
    "cos": Operation("cos({0})", lambda b, y, a: (-(b * b.graph("sin", a)),), 20, keep=True),
    "softsign": Operation("div({0}, add(ONE, absolute({0})))", lambda b, y, a: (b / (1.0 + abs(a)) * (1.0 - y * b.graph("sign", a)),), 3, keep=True),
    "erf": Operation("erf({0})", lambda b, y, a: (b * (2 / math.sqrt(math.pi) * b.graph("exp", -(a * a))),), 20, keep=True),
    "abs": Operation("absolute({0})", lambda b, y, a: (b * b.graph("sign", a),)),
    "floor": Operation("floor({0})"),
    "sign": Operation("sign({0})"),
    "power": Operation(printed_power, lambda b, y, a, n: (b * (n * b.graph.power(a, b.graph.const(n.data - 1))), None)),
    "pow": Operation(lambda y, a, e: f"div(ONE, sqrt({a}))" if y.args[1].is_const(-0.5) else f"power({a}, {e})", of_power, 20, keep=True),
    "max": Operation("maximum({0}, {1})", of_maximum),
    "where": Operation("where({0}, {1}, {2})", lambda b, y, m, a, c: (None, b.graph("where", m, b, 0.0), b.graph("where", m, 0.0, b))),
    "lt": Operation("less({0}, {1})", mask=True),
    "le": Operation("less_equal({0}, {1})", mask=True),
    "gt": Operation("less({1}, {0})", mask=True),
    "ge": Operation("less_equal({1}, {0})", mask=True),
    "eq": Operation("equal({0}, {1})", mask=True),
    "ne": Operation("unequal({0}, {1})", mask=True),
    "and": Operation("mul({0}, {1})", mask=True),
    "or": Operation("maximum({0}, {1})", mask=True),
    "not": Operation("sub(ONE, {0})", mask=True),
    "detach": Operation("{0}", cost=0),
    "spread": Operation("{0}", lambda b, y, a: (b,), cost=0),  # one unit as many: what a block reads lies side by side
    "sloped": Operation("{0}", lambda b, y, value, x, slope: (None, b * slope, None), cost=0),  # a value whose slope by x is given
    "filtered": Operation("{0}", lambda b, y, value, d, slope: (b, b * slope, None), cost=0),  # the same of a filter, whose states get theirs
    "amax": Operation("{0}", of_largest, cost=0),  # the largest (first argument) of the others
}  # fmt: skip

FLAT = {"detach", "floor", "sign", *(name for name, operation in OPERATIONS.items() if operation.mask)}
"""Operations that pass no gradient."""


@dataclass
class Graph:
    """Makes nodes; equal nodes are one node. Only what changes no value is simplified: 0 * x stays, since x may be infinite."""

    nodes: dict[Hashable, Node] = field(default_factory=dict)

    def make(self, op: str, *args: Node, data: Any = None, n: int = 1) -> Node:
        # the text of a constant tells 0 from -0, and NaN equals itself
        key = (op, tuple(arg.index for arg in args), repr(data) if op == "const" else data, n)
        if key not in self.nodes:
            self.nodes[key] = Node(self, len(self.nodes), op, args, data, n)
        return self.nodes[key]

    def const(self, value: float) -> Node:
        return self.make("const", data=float(value))

    def __call__(self, op: str, *values: Node | float, data: Any = None) -> Node:
        """A pointwise operation of nodes and numbers."""
        args = tuple(v if isinstance(v, Node) else self.const(v) for v in values)
        return simpler(op, *args) or self.make(op, *args, data=data, n=1 if op == "amax" and args[0].n == 1 else max(a.n for a in args))

    def power(self, a: Node, b: Node) -> Node:
        """a ** b; small whole powers and square roots are plain arithmetic."""
        if b.op != "const":
            return self("pow", a, b)
        n = b.data
        if n in (0, 1):
            return a if n else self.const(1)
        if n == 0.5:
            return self("sqrt", a)
        return self("power", a, b) if n.is_integer() and abs(n) <= 8 else self("pow", a, b)

    def total(self, terms: Iterable[Node]) -> Node:
        first, *rest = terms
        for term in rest:
            first = first + term
        return first

    def whole(self, a: Node, n: int) -> Node:
        """A node as an array of n units, to be written to memory."""
        return a if a.n == n and a.op != "const" else self.make("spread", a, n=n)

    def out(self, block: Node, result: int, n: int) -> Node:
        return self.make("out", block, data=(result, 0), n=n)

    def sum(self, a: Node) -> Node:
        """The sum of all units."""
        return a if a.n == 1 else self.out(self.make("block", a, data=Reduction("add"), n=0), 0, 1)

    def largest(self, a: Node) -> Node:
        """The largest unit, without gradient."""
        return a if a.n == 1 else self.out(self.make("block", a, data=Reduction("maximum"), n=0), 0, 1)

    def slice(self, a: Node, first: int, n: int, stride: int = 1) -> Node:
        """Units ``first, first + stride, ...`` of a node, pushed down to the leaves: all pointwise work on a part has its size."""
        if a.n == 1 or (first == 0 and n == a.n):
            return a
        match a.op:
            case "param":
                return self.make("param", data=(a.data[0] + first * a.data[1], a.data[1] * stride if n > 1 else 1), n=n)
            case "read" | "feature" | "below" | "seed":
                return self.make(a.op, data=(a.data[0], a.data[1] + first, *a.data[2:]), n=n)
            case "out":
                return self.make("out", *a.args, data=(a.data[0], a.data[1] + first), n=n)
            case "spread":
                return self.whole(a.args[0], n)
        return self(a.op, *(self.slice(arg, first, n) for arg in a.args), data=a.data)


def simpler(op: str, *args: Node) -> Node | None:
    match op, args:
        case "sub", (a, b) if b.is_const(0):
            return a
        case "add", (a, b) if a.op == "sub" and a.args[0].op == "mul":
            return a.args[0] + (b - a.args[1])  # x y - a + b: what is known early is added first, and the product last
        case "mul", (a, b) if a.is_const(1):
            return b
        case "mul" | "div", (a, b) if b.is_const(1):
            return a
        case "neg", (a,) if a.op == "neg":
            return a.args[0]
        case "neg", (a,) if a.op == "const":
            return a.graph.const(-a.data)
        case "where", (_, a, b) if a is b:
            return a
    return None


def below(roots: Iterable[Node], stop: Iterable[Node] = (), of: Callable[[Node], tuple[Node, ...]] = lambda node: node.args) -> list[Node]:
    """Nodes below the roots, arguments first (they always have a smaller index); what is below ``stop`` is not entered."""
    seen: set[Node] = set()
    ends, todo = set(stop), list(roots)
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += () if node in ends else of(node)
    return sorted(seen, key=lambda node: node.index)


def tiled(parts: Sequence[tuple[int, Node, int]], size: int, graph: Graph) -> list[Node]:
    """Values at (first unit, value, units) as arrays side by side from 0 to ``size``: overlaps added, gaps 0."""
    edges = sorted({0, size, *(e for first, _, n in parts for e in (first, first + n))})
    out = []
    for low, high in itertools.pairwise(edges):
        here = [graph.slice(value, low - first, high - low) for first, value, n in parts if first <= low and high <= first + n]
        out.append(graph.whole(graph.total(here) if here else graph.const(0), high - low))
    return out


def reads(node: Node) -> tuple[Node, ...]:
    """The arguments that a node's value is computed of."""
    return node.args[:1] if node.op in ("sloped", "filtered", "amax") else node.args


@dataclass
class Adjoints:
    """What reverse accumulation leaves: the adjoint of every leaf, and blocks that have an effect on memory (gradients of a matrix,
    adjoints of past states)."""

    of: dict[Node, Node] = field(default_factory=dict)
    effects: list[Node] = field(default_factory=list)


def adjoints(seeds: Iterable[tuple[Node, Node]], leaves: Iterable[Node] = ()) -> Adjoints:
    """Reverse accumulation from pairs of a node and what its adjoint starts with; it ends at leaves, and at ``leaves``."""
    out, seeds, ends = Adjoints(), list(seeds), set(leaves)
    bar = out.of
    parts: dict[Node, list[tuple[int, int, Node, int]]] = {}

    def give(node: Node, value: Node | None, times: int = 1) -> None:
        if value is None or node.op in ("const", "feature") or value.is_const(0) or (node.op in FLAT and node not in ends):
            return
        if value.n > node.n:
            value = value.graph.sum(value)
        elif node.n == 1 and times > 1:  # one unit met many, and each has the same adjoint, as below a sum
            value = value * float(times)
        bar[node] = bar[node] + value if node in bar else value

    for node, start in seeds:
        give(node, start)
    for node in reversed(below((node for node, _ in seeds), ends)):
        if node in ends or node.leaf:
            continue
        if node.op == "block" and node in parts:
            given, effects = node.data.adjoint(node, parts.pop(node))
            for arg, value in given:
                give(arg, value)
            out.effects += effects
        elif node.op == "out" and node in bar:
            result, first = node.data
            parts.setdefault(node.args[0], []).append((result, first, bar.pop(node), node.n))
        elif node.op in OPERATIONS and node in bar:
            b = bar.pop(node)
            for arg, value in zip(node.args, OPERATIONS[node.op].adjoints(b, node, *node.args), strict=True):
                give(arg, value, node.n)
    return out


Parts = list[tuple[int, int, Node, int]]
"""Adjoints of a block's results: result, first unit, value, units."""

Given = tuple[list[tuple[Node, Node]], list[Node]]
"""Adjoints of a block's arguments, and the blocks that have an effect on memory."""


@dataclass(frozen=True)
class Reduction:
    """All units of an array combined (``add`` or ``maximum``); it runs along with the loop that computes them."""

    combine: str

    def naive(self, x: np.ndarray) -> np.ndarray:
        return {"add": np.sum, "maximum": np.max}[self.combine](x, keepdims=True)  # type: ignore[operator]

    @property
    def results(self) -> list[int]:
        return [1]

    def cost(self, exponential: bool, args: Sequence[Node]) -> int:
        return 0

    def adjoint(self, node: Node, parts: Parts) -> Given:
        return [(node.args[0], value) for _, _, value, _ in parts] if self.combine == "add" else [], []
