"""Reads a cell's step as scalar expressions: the step is run once on symbols, whose torch functions are intercepted.

A symbol is a tensor of node numbers. What only moves elements (views, slices, stacking, writes in place) torch itself does to the
numbers, with its own rules of aliasing; what computes makes nodes (:mod:`ltm.engine.operations`). Small linear maps and all pointwise
work become scalar nodes, shared where they are equal; what would unroll into too many stays one node with a loop inside
("macro"): large linear maps, and filters over K past values.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ltm.cells import Network

UNROLLED = 32
"""Linear maps of at most so many weights become scalar nodes; larger ones stay loops, which compile faster."""

MOST_NODES = 6000
"""A step of more nodes than this would take minutes to compile."""

MOST_LAGS = 64
"""Past values of a state that are read one by one, each through a view of its own; filters have no such limit."""

TRANSCENDENTAL = {"tanh", "sigmoid", "exp", "log", "sqrt", "div", "sin", "cos", "log1p", "expm1", "pow"}
"""Operations whose results are kept for the backward step instead of being computed again."""

COMPARISONS = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}

MASKS = {*COMPARISONS, "and", "or", "not"}
"""Operations that yield 1 or 0 and pass no gradient."""


class Unsupported(Exception):
    """The step has an operation that cannot be derived; the message names it and the line."""


@dataclass(frozen=True, eq=False)
class Node:
    """One scalar of one lane at one time step, or a macro that yields several.

    ``op`` with ``data``: ``const`` (value); ``param`` (flat index); ``read`` (state variable, unit, lag); ``feature``
    (name, index in its row); ``seed`` (what the backward step is given); ``power`` (whole exponent); macros ``matvec``, ``filter``,
    ``free`` and the backward ``matvec_t``, whose results are ``out`` nodes (index); all else is arithmetic.
    """

    index: int
    op: str
    args: tuple[Node, ...] = ()
    data: Any = None


@dataclass
class Graph:
    """Makes nodes; equal nodes are one node. Only what changes no value is simplified: 0 * x stays, since x may be infinite."""

    nodes: dict[Hashable, Node] = field(default_factory=dict)
    by_index: list[Node] = field(default_factory=list)

    def make(self, op: str, *args: Node, data: Any = None) -> Node:
        # the text of a constant tells 0 from -0, and NaN equals itself
        key = (op, tuple(arg.index for arg in args), repr(data) if op == "const" else data)
        if key not in self.nodes:
            self.nodes[key] = Node(len(self.nodes), op, args, data)
            self.by_index.append(self.nodes[key])
        return self.nodes[key]

    def const(self, value: float) -> Node:
        return self.make("const", data=float(value))

    def add(self, a: Node, b: Node) -> Node:
        return self.make("add", a, b)

    def sub(self, a: Node, b: Node) -> Node:
        return a if is_const(b, 0) else self.make("sub", a, b)

    def mul(self, a: Node, b: Node) -> Node:
        return b if is_const(a, 1) else a if is_const(b, 1) else self.make("mul", a, b)

    def div(self, a: Node, b: Node) -> Node:
        return a if is_const(b, 1) else self.make("div", a, b)

    def neg(self, a: Node) -> Node:
        return a.args[0] if a.op == "neg" else self.const(-a.data) if a.op == "const" else self.make("neg", a)

    def where(self, mask: Node, a: Node, b: Node) -> Node:
        return self.make("where", mask, a, b)

    def power(self, a: Node, b: Node) -> Node:
        """a ** b; small whole powers and square roots are plain arithmetic."""
        if b.op != "const":
            return self.make("pow", a, b)
        n = b.data
        if n in (0, 1):
            return a if n else self.const(1)
        if n == 0.5:
            return self.make("sqrt", a)
        return self.make("power", a, data=int(n)) if n.is_integer() and abs(n) <= 8 else self.make("pow", a, b)

    def total(self, terms: Iterable[Node]) -> Node:
        first, *rest = terms
        for term in rest:
            first = self.add(first, term)
        return first


def is_const(node: Node, value: float) -> bool:
    return node.op == "const" and bool(node.data == value)


@dataclass(frozen=True)
class Traced:
    """A cell's step as a graph: the new value of every state unit, and the outputs."""

    graph: Graph
    states: dict[str, list[Node]]
    outputs: list[Node]

    def same(self, other: Traced) -> bool:
        """Whether two traces are one and the same program."""

        def key(traced: Traced) -> object:
            roots = [*traced.states.values(), traced.outputs]
            return list(traced.graph.nodes), [[node.index for node in nodes] for nodes in roots]

        return key(self) == key(other)


class Symbol(torch.Tensor):
    """Node numbers in the shape of the tensor of one lane that they stand for. It has no rules of its own: the tracer has them."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


def trace(cell: Network, features: dict[str, tuple[int, ...]]) -> Traced:
    """Run a cell's step and read-out on symbols.

    Args:
        features: shape of every feature of one step, by name.

    Raises:
        Unsupported: an operation of the step that is not known here.
    """
    tracer = Tracer(features, {name: (q.lags, q.size) for name, q in cell.state().items()})
    graph = tracer.graph
    for i in range(cell.size):
        graph.make("param", data=i)  # first of all, so that a parameter's number is its place
    numbers = torch.arange(cell.size)
    p = {name: part.as_subclass(Symbol) for name, part in cell.unflatten(numbers).items()}
    x = {name: tracer.sources[name].clone().as_subclass(Symbol) for name in features}
    windows = {name: tracer.sources["state", name].clone().as_subclass(Symbol) for name in cell.state()}
    s = {name: w if cell.state()[name].lags > 1 else w[0].clone().as_subclass(Symbol) for name, w in windows.items()}
    for value in (numbers, *x.values(), *windows.values()):
        tracer.hold(value)
    try:
        with torch.enable_grad(), tracer:
            new = cell.step(SimpleNamespace(**p), SimpleNamespace(**s), SimpleNamespace(**x))
            y = cell.readout(SimpleNamespace(**p), SimpleNamespace(**new))
        traced = Traced(graph, {name: tracer.nodes(new[name]) for name in cell.state()}, tracer.nodes(y))
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"{str(error).splitlines()[0] if str(error) else type(error).__name__} ({line_of(error)})") from None
    lags = {n.data[2] for n in graph.nodes.values() if n.op == "read"}
    if len(lags) > MOST_LAGS:
        raise Unsupported(f"{len(lags)} past values are read one by one, more than {MOST_LAGS}; filters.direct has no such limit")
    return traced


def line_of(error: BaseException | None = None) -> str:
    """The innermost line outside the engine and torch: where the cell says what cannot be derived."""
    frames = traceback.extract_tb(error.__traceback__) if error else traceback.extract_stack()
    inner = (str(Path(__file__).parent), str(Path(torch.__file__).parent), "<")
    own = [f for f in frames if not f.filename.startswith(inner)]
    return f"{own[-1].filename}:{own[-1].lineno}: {own[-1].line}" if own else ""


class Tracer(TorchFunctionMode):
    """Makes nodes of every torch function on symbols; functions of plain tensors, the constants of a step, run as they are.

    Past states and features have numbers below 0, and become nodes only where they are used.
    """

    def __init__(self, features: dict[str, tuple[int, ...]], windows: dict[str, tuple[int, int]]) -> None:
        super().__init__()
        self.graph = Graph()
        self._lazy: list[Callable[[int], Node]] = []
        self.composed = False
        self._held: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.sources: dict[Hashable, torch.Tensor] = {}
        count, graph = len(features) + len(windows), self.graph
        for name, shape in features.items():
            self.sources[name] = self._numbers(shape, count)
            self._lazy.append(lambda i, name=name: graph.make("feature", data=(name, i)))  # type: ignore[misc]
        for name, (lags, size) in windows.items():
            self.sources["state", name] = self._numbers((lags, size), count)
            self._lazy.append(lambda i, name=name, size=size: graph.make("read", data=(name, i % size, i // size + 1)))  # type: ignore[misc]

    def _numbers(self, shape: tuple[int, ...], count: int) -> torch.Tensor:
        return -1 - (torch.arange(math.prod(shape)) * count + len(self._lazy)).reshape(shape)

    def node(self, number: int) -> Node:
        if number >= 0:
            return self.graph.by_index[number]
        element, source = divmod(-1 - number, len(self._lazy))
        return self._lazy[source](element)

    def nodes(self, value: Any) -> list[Node]:
        return [self.node(i) for i in self.numbers(value).flatten().tolist()]

    def numbers(self, value: Any) -> torch.Tensor:
        """A value as node numbers: symbols as they are, numbers and plain tensors as constants."""
        if isinstance(value, Symbol):
            return value.as_subclass(torch.Tensor)
        if isinstance(value, bool | int | float):
            return torch.tensor(self.graph.const(value).index)
        array = torch.as_tensor(value)
        numbers = [self.graph.const(v).index for v in array.flatten().tolist()]
        return torch.tensor(numbers, dtype=torch.int64).reshape(array.shape)

    def point(self, function: Callable[..., Node], *values: Any) -> Symbol:
        """A function of scalars, element by element, with torch's broadcasting."""
        columns = torch.broadcast_tensors(*(self.numbers(value) for value in values))
        made = [function(*map(self.node, row)).index for row in zip(*(c.flatten().tolist() for c in columns), strict=True)]
        if len(self.graph.nodes) > MOST_NODES:
            raise Unsupported(f"more than {MOST_NODES} scalar operations in one step ({line_of()})")
        out = torch.empty_like(columns[0]).copy_(torch.tensor(made, dtype=torch.int64).reshape(columns[0].shape))
        return out.as_subclass(Symbol)

    def outs(self, macro: Node, n: int) -> Symbol:
        """The first n results of a macro."""
        return torch.tensor([self.graph.make("out", macro, data=i).index for i in range(n)]).as_subclass(Symbol)

    @contextmanager
    def composing(self) -> Iterator[None]:
        """While a function is expressed by others, which write nothing in place."""
        before, self.composed = self.composed, True
        yield
        self.composed = before

    def hold(self, value: torch.Tensor) -> None:
        """This must not be written to in place from now on: torch's result would depend on what shares its memory."""
        plain = value.as_subclass(torch.Tensor)
        self._held.append((plain, plain.clone()))

    def touched(self) -> bool:
        """Whether something held has been written to."""
        return not all(torch.equal(now, then) for now, then in self._held)

    def __torch_function__(self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        from ltm.engine import operations

        kwargs = dict(kwargs or {})
        if not any(isinstance(value, Symbol) for value in leaves((args, kwargs))):
            return function(*args, **kwargs)
        if not torch.is_grad_enabled():
            raise Unsupported(f"torch.no_grad or an own autograd.Function ({line_of()})")
        return operations.call(self, function, args, kwargs)


def leaves(value: Any) -> Iterator[Any]:
    """All values in nested tuples, lists and dictionaries, and in slices."""
    if isinstance(value, tuple | list):
        for part in value:
            yield from leaves(part)
    elif isinstance(value, dict):
        yield from leaves(list(value.values()))
    elif isinstance(value, slice):
        yield from (value.start, value.stop, value.step)
    else:
        yield value
