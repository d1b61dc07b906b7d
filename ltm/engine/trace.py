"""Reads a cell's step as scalar expressions: the step is run once on symbolic arrays, through ``__torch_function__``.

Small linear maps and all pointwise work become scalar nodes, shared where they are equal; what would unroll into too many
stays one node with a loop inside ("macro"): large linear maps, and filters over K past values.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from ltm import filters
from ltm.cells import Cell

UNROLLED = 32
"""Linear maps of at most so many weights become scalar nodes; larger ones stay loops, which compile faster."""

TRANSCENDENTAL = {"tanh", "sigmoid", "exp", "log", "sqrt", "div"}
"""Operations whose results are kept for the backward step instead of being computed again."""


class Unsupported(Exception):
    """The step has an operation that cannot be derived; the message names it and the line."""


@dataclass(frozen=True, eq=False)
class Node:
    """One scalar of one lane at one time step, or a macro that yields several.

    ``op`` with ``data``: ``const`` (value); ``param`` (flat index); ``read`` (state variable, unit, lag); ``feature``
    (name, index in its row); ``seed`` (what the backward step is given); macros ``matvec``, ``filter``, ``free`` and the backward
    ``matvec_t``, whose results are ``out`` nodes (index); all else is arithmetic.
    """

    index: int
    op: str
    args: tuple[Node, ...] = ()
    data: Any = None


@dataclass
class Graph:
    """Makes nodes; equal nodes are one node, and arithmetic with 0 and 1 is simplified away."""

    nodes: dict[Hashable, Node] = field(default_factory=dict)

    def make(self, op: str, *args: Node, data: Any = None) -> Node:
        key = (op, tuple(arg.index for arg in args), data)
        if key not in self.nodes:
            self.nodes[key] = Node(len(self.nodes), op, args, data)
        return self.nodes[key]

    def const(self, value: float) -> Node:
        return self.make("const", data=float(value))

    def add(self, a: Node, b: Node) -> Node:
        return b if is_const(a, 0) else a if is_const(b, 0) else self.make("add", a, b)

    def sub(self, a: Node, b: Node) -> Node:
        return a if is_const(b, 0) else self.neg(b) if is_const(a, 0) else self.make("sub", a, b)

    def mul(self, a: Node, b: Node) -> Node:
        if is_const(a, 0) or is_const(b, 0):
            return self.const(0)
        return b if is_const(a, 1) else a if is_const(b, 1) else self.make("mul", a, b)

    def div(self, a: Node, b: Node) -> Node:
        return self.const(0) if is_const(a, 0) else a if is_const(b, 1) else self.make("div", a, b)

    def neg(self, a: Node) -> Node:
        return a.args[0] if a.op == "neg" else self.const(-a.data) if a.op == "const" else self.make("neg", a)

    def total(self, terms: Iterable[Node]) -> Node:
        out = self.const(0)
        for term in terms:
            out = self.add(out, term)
        return out


def is_const(node: Node, value: float) -> bool:
    return node.op == "const" and node.data == value


@dataclass(frozen=True)
class Traced:
    """A cell's step as a graph: the new value of every state unit, and the outputs."""

    graph: Graph
    states: dict[str, list[Node]]
    outputs: list[Node]


def trace(cell: Cell, features: dict[str, tuple[int, ...]]) -> Traced:
    """Run a cell's step and read-out on symbols.

    Args:
        features: shape of every feature of one step, by name.

    Raises:
        Unsupported: an operation of the step that is not known here.
    """
    graph = Graph()
    offset, p = 0, {}
    for name, parameter in cell.parameters().items():
        nodes = [graph.make("param", data=offset + i) for i in range(parameter.size)]
        p[name] = Symbol(graph, np.array(nodes, object).reshape(parameter.shape))
        offset += parameter.size
    x: dict[str, Any] = {name: Feature(graph, name, shape) for name, shape in features.items()}
    s = {name: Window(graph, name, q.size, q.lags) if q.lags > 1 else Window(graph, name, q.size, 1)[0] for name, q in cell.state().items()}
    try:
        new = cell.step(SimpleNamespace(**p), SimpleNamespace(**s), SimpleNamespace(**x))
        states = {name: symbol(graph, new[name]).flat() for name in cell.state()}
        y = cell.readout(SimpleNamespace(**p), SimpleNamespace(**{name: symbol(graph, new[name]) for name in new}))
        return Traced(graph, states, symbol(graph, y).flat())
    except Unsupported:
        raise
    except (TypeError, AttributeError, NotImplementedError, ValueError, IndexError) as error:
        raise Unsupported(f"{error} ({line_of(error)})") from None


def line_of(error: BaseException | None = None) -> str:
    """The innermost line outside the engine and torch: where the cell says what cannot be derived."""
    frames = traceback.extract_tb(error.__traceback__) if error else traceback.extract_stack()
    inner = (str(Path(__file__).parent), str(Path(torch.__file__).parent))
    own = [f for f in frames if not f.filename.startswith(inner)]
    return f"{own[-1].filename}:{own[-1].lineno}: {own[-1].line}" if own else "unknown line"


def symbol(graph: Graph, value: Any) -> Symbol:
    """A value as an array of nodes: symbols as they are, numbers as constants."""
    if isinstance(value, Symbol):
        return value
    if isinstance(value, Feature):
        return value[...]
    if isinstance(value, Window):
        raise Unsupported(f"a whole window of past states is used as a tensor; read single lags or filters.direct ({line_of()})")
    array = np.asarray(value, float)
    return Symbol(graph, np.array([graph.const(v) for v in array.flat] or [], object).reshape(array.shape))


class Overloads:
    """Torch functions on symbols become the symbol's own method of that name."""

    @classmethod
    def __torch_function__(cls, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        own: dict[Any, Callable[..., Symbol]] = {filters.direct: direct, filters.free: free, torch.cat: cat, torch.stack: stack}
        if function in own:
            return own[function](*args, **(kwargs or {}))
        name = function.__name__.removeprefix("special_")
        first = next(a for a in args if isinstance(a, Overloads))
        if isinstance(first, Feature):
            args = tuple(symbol(first.graph, a) if isinstance(a, Feature) else a for a in args)
            first = args[0]
        method = getattr(Symbol, name, None)
        if method is None or not isinstance(first, Symbol):
            raise Unsupported(f"torch operation '{name}' ({line_of()})")
        if not isinstance(args[0], Symbol):
            args = (symbol(first.graph, args[0]), *args[1:])
        return method(*args, **(kwargs or {}))


class Symbol(Overloads):
    """An array of nodes that behaves as the tensors of one lane do in a step."""

    __array_priority__ = 1000

    def __init__(self, graph: Graph, array: np.ndarray) -> None:
        self.graph, self.array = graph, array

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    def flat(self) -> list[Node]:
        return list(self.array.ravel())

    def map(self, function: Callable[..., Node], *others: Any) -> Symbol:
        arrays = np.broadcast_arrays(self.array, *(symbol(self.graph, other).array for other in others))
        nodes = [function(*values) for values in zip(*(a.ravel() for a in arrays), strict=True)]
        out = np.empty(len(nodes), object)
        out[:] = nodes
        return Symbol(self.graph, out.reshape(arrays[0].shape))

    def pointwise(self, op: str) -> Symbol:
        return self.map(lambda a: self.graph.make(op, a))

    def tanh(self) -> Symbol:
        return self.pointwise("tanh")

    def sigmoid(self) -> Symbol:
        return self.pointwise("sigmoid")

    def exp(self) -> Symbol:
        return self.pointwise("exp")

    def log(self) -> Symbol:
        return self.pointwise("log")

    def sqrt(self) -> Symbol:
        return self.pointwise("sqrt")

    def detach(self) -> Symbol:
        return self.pointwise("detach")

    def relu(self) -> Symbol:
        return self.maximum(0.0)

    def neg(self) -> Symbol:
        return self.map(self.graph.neg)

    def square(self) -> Symbol:
        return self * self

    def maximum(self, other: Any) -> Symbol:
        return self.map(lambda a, b: self.graph.make("max", a, b), other)

    def minimum(self, other: Any) -> Symbol:
        return -(-self).maximum(-symbol(self.graph, other))

    def abs(self) -> Symbol:
        return self.maximum(-self)

    def clamp(self, min: float | None = None, max: float | None = None) -> Symbol:
        out = self if min is None else self.maximum(min)
        return out if max is None else out.minimum(max)

    def add(self, other: Any) -> Symbol:
        return self.map(self.graph.add, other)

    def sub(self, other: Any) -> Symbol:
        return self.map(self.graph.sub, other)

    def mul(self, other: Any) -> Symbol:
        return self.map(self.graph.mul, other)

    def div(self, other: Any) -> Symbol:
        return self.map(self.graph.div, other)

    def rsub(self, other: Any) -> Symbol:
        return symbol(self.graph, other).sub(self)

    def rdiv(self, other: Any) -> Symbol:
        return symbol(self.graph, other).div(self)

    __add__ = __radd__ = add
    __mul__ = __rmul__ = mul
    __sub__, __rsub__, __truediv__, __rtruediv__, __neg__ = sub, rsub, div, rdiv, neg
    multiply, subtract, true_divide, divide, negative = mul, sub, div, div, neg

    def __pow__(self, power: int) -> Symbol:
        if not isinstance(power, int) or power < 1:
            raise Unsupported(f"power {power!r}; only whole powers of at least 1 ({line_of()})")
        return self if power == 1 else self * self ** (power - 1)

    pow = __pow__

    def __matmul__(self, other: Any) -> Symbol:
        W, v = self.array, symbol(self.graph, other)
        if W.ndim == 1 and v.array.ndim == 1:
            return (self * v).sum(0)
        if W.ndim != 2 or v.array.ndim != 1:
            raise Unsupported(f"product of shapes {W.shape} and {v.shape}; only matrix times vector ({line_of()})")
        base, (R, C) = W[0, 0], W.shape
        regular = all(W[r, c].op == "param" and W[r, c].data == base.data + r * C + c for r in range(R) for c in range(C))
        if regular and R * C > UNROLLED:
            macro = self.graph.make("matvec", *v.flat(), data=(base.data, R, C))
            return outs(self.graph, macro, R)
        terms = [[self.graph.mul(W[r, c], v.array[c]) for c in range(C)] for r in range(R)]
        return Symbol(self.graph, np.array([self.graph.total(row) for row in terms], object))

    matmul = mv = __matmul__

    def sum(self, dim: int | None = None) -> Symbol:
        array = self.array.ravel() if dim is None else np.moveaxis(self.array, dim, 0)
        out = Symbol(self.graph, array[0] if isinstance(array[0], np.ndarray) else np.array(array[0], object))
        for part in array[1:]:
            out = out + Symbol(self.graph, part if isinstance(part, np.ndarray) else np.array(part, object))
        return out

    def mean(self, dim: int | None = None) -> Symbol:
        return self.sum(dim) / (self.array.size if dim is None else self.shape[dim])

    def softmax(self, dim: int = 0) -> Symbol:
        if self.array.ndim != 1:
            raise Unsupported(f"softmax of shape {self.shape}; only of a vector ({line_of()})")
        top = self[0]
        for i in range(1, len(self.array)):
            top = top.maximum(self[i])
        e = (self - top.detach()).exp()
        return e * (1.0 / e.sum())

    def __getitem__(self, index: Any) -> Symbol:
        part = self.array[index]
        return Symbol(self.graph, part if isinstance(part, np.ndarray) else np.array(part, object))

    def chunk(self, chunks: int, dim: int = 0) -> list[Symbol]:
        return [Symbol(self.graph, part) for part in np.split(self.array, chunks, axis=dim)]

    def split(self, size: int | Sequence[int], dim: int = 0) -> list[Symbol]:
        ends = np.cumsum(size)[:-1] if not isinstance(size, int) else np.arange(size, self.shape[dim], size)
        return [Symbol(self.graph, part) for part in np.split(self.array, ends, axis=dim)]

    def reshape(self, *shape: Any) -> Symbol:
        return Symbol(self.graph, self.array.reshape(*shape))

    view = reshape

    def unsqueeze(self, dim: int) -> Symbol:
        return Symbol(self.graph, np.expand_dims(self.array, dim))


class Feature(Overloads):
    """What a step reads of the input: nodes are made only for the elements it touches."""

    def __init__(self, graph: Graph, name: str, shape: tuple[int, ...]) -> None:
        self.graph, self.name, self.shape = graph, name, shape

    def __getitem__(self, index: Any) -> Symbol:
        places = np.arange(int(np.prod(self.shape))).reshape(self.shape)[index]
        nodes = [self.graph.make("feature", data=(self.name, int(i))) for i in np.ravel(places)]
        return Symbol(self.graph, np.array(nodes, object).reshape(np.shape(places)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self[...], name)

    def __add__(self, other: Any) -> Symbol:
        return self[...] + other

    def __mul__(self, other: Any) -> Symbol:
        return self[...] * other

    def __sub__(self, other: Any) -> Symbol:
        return self[...] - other

    def __rsub__(self, other: Any) -> Symbol:
        return other - self[...]

    __radd__, __rmul__ = __add__, __mul__


class Window(Overloads):
    """The past of a state variable: ``w[i]`` is its value i+1 steps ago, ``w[:K]`` the last K values."""

    def __init__(self, graph: Graph, name: str, size: int, lags: int) -> None:
        self.graph, self.name, self.size, self.lags = graph, name, size, lags

    @property
    def shape(self) -> tuple[int, int]:
        return self.lags, self.size

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice) and index.start in (None, 0) and index.step in (None, 1) and (index.stop is None or index.stop > 0):
            return Window(self.graph, self.name, self.size, min(self.lags, index.stop or self.lags))
        if not isinstance(index, int) or not 0 <= index < self.lags:
            raise Unsupported(f"index {index!r} of a window of past states; expected one lag or a slice [:K] ({line_of()})")
        nodes = [self.graph.make("read", data=(self.name, unit, index + 1)) for unit in range(self.size)]
        return Symbol(self.graph, np.array(nodes, object))


def outs(graph: Graph, macro: Node, n: int) -> Symbol:
    """The first n results of a macro."""
    return Symbol(graph, np.array([graph.make("out", macro, data=i) for i in range(n)], object))


def direct(window: Any, d: Any) -> Symbol:
    """:func:`ltm.filters.direct` over stored states: results 0..n-1 are values, n..2n-1 their derivatives by d."""
    if not isinstance(window, Window):
        raise Unsupported(f"filters.direct on anything but a window of past states ({line_of()})")
    d = symbol(window.graph, d)
    return outs(window.graph, window.graph.make("filter", *d.flat(), data=(window.name, window.size, window.lags)), window.size)


def free(window: Any, a: Any) -> Symbol:
    """:func:`ltm.filters.free` over past inputs, with parameters as weights."""
    weights = a.array.ravel()
    if not isinstance(window, Feature) or any(w.op != "param" or w.data != weights[0].data + i for i, w in enumerate(weights)):
        raise Unsupported(f"filters.free on anything but past inputs and a parameter ({line_of()})")
    K, I = window.shape
    return outs(window.graph, window.graph.make("free", data=(weights[0].data, window.name, K, I)), I)


def cat(parts: Sequence[Any], dim: int = 0) -> Symbol:
    graph = next(part.graph for part in parts if isinstance(part, Overloads))  # type: ignore[attr-defined]
    return Symbol(graph, np.concatenate([symbol(graph, part).array for part in parts], axis=dim))


def stack(parts: Sequence[Any], dim: int = 0) -> Symbol:
    graph = next(part.graph for part in parts if isinstance(part, Overloads))  # type: ignore[attr-defined]
    return Symbol(graph, np.stack([symbol(graph, part).array for part in parts], axis=dim))
