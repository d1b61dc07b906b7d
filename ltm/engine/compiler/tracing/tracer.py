"""Symbols, which stand for the units of nodes, and the tracer, which holds what they mean while a step runs (:mod:`ltm.engine.compiler.tracing`)."""

from __future__ import annotations

import math
import traceback
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

from ltm.cells import State
from ltm.engine.compiler.ir import Graph, Node
from ltm.engine.compiler.layout import Layout

MOST_NODES = 3000
"""A step of more nodes than this would take a minute or more to compile."""

FOLDED = 16
"""Reductions of at most so many elements are written out; longer ones are loops."""


class Unsupported(Exception):
    """The step has something that cannot be derived; the message names it and the line."""


class Symbol(torch.Tensor):
    """Numbers in the shape of the tensor of one lane that they stand for. It has no rules of its own: the tracer has them."""

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]


Pieces = list[tuple[Node, int]]
"""Arrays side by side: a node, and how many units it stands for (a node of one unit may be spread over more)."""


def line_of(error: BaseException | None = None) -> str:
    """The innermost line outside the engine and torch: where the cell says what cannot be derived."""
    frames = traceback.extract_tb(error.__traceback__) if error else traceback.extract_stack()
    inner = (str(Path(__file__).parents[2]), str(Path(torch.__file__).parent), "<")
    own = [f for f in frames if not f.filename.startswith(inner)]
    return f"{own[-1].filename}:{own[-1].lineno}: {own[-1].line}" if own else ""


Call = Callable[["Tracer", Callable[..., Any], tuple[Any, ...], dict[str, Any]], Any]
"""The result of a torch function some of whose arguments are symbols."""


class Tracer(TorchFunctionMode):
    """Makes nodes of every torch function on symbols; functions of plain tensors, the constants of a step, run as they are."""

    def __init__(self, layout: Layout, call: Call, parameters: int = 0) -> None:
        """``parameters``: how many there are, side by side."""
        super().__init__()
        self.call = call
        self.graph, self.layout = Graph(), layout
        self.composed = False
        self._starts: list[int] = []
        self._owners: list[Callable[[int, int, int], Node]] = []
        self._next = 0
        self._first: dict[Node, int] = {}
        self._held: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.sources: dict[Hashable, torch.Tensor] = {}
        self.parameters = torch.arange(parameters)
        self._count = parameters
        if parameters:
            self.number(self.graph.make("param", data=(0, 1), n=parameters))

    def feature(self, name: str, shape: tuple[int, ...], op: str = "feature") -> Symbol:
        """A leaf of this shape; its rows are arrays of their own."""
        self.sources[name] = self._rows(shape, lambda i, n: self.graph.make(op, data=(name, i), n=n))
        return self.symbol(self.sources[name])

    def window(self, name: str, state: State) -> Symbol:
        """The last values of a state, ``(lags, size)``."""
        size = state.size

        def read(i: int, n: int) -> Node:
            return self.graph.make("read", data=(name, i % size, i // size + 1), n=n)

        self.sources["state", name] = self._rows((state.lags, size), read)
        return self.symbol(self.sources["state", name])

    def symbol(self, numbers: torch.Tensor) -> Symbol:
        """Numbers as what a step is given, and may not write to."""
        given = numbers.clone().as_subclass(Symbol)
        self.hold(given)
        return given

    def _rows(self, shape: tuple[int, ...], make: Callable[[int, int], Node]) -> torch.Tensor:
        """Numbers of a leaf; those of different rows are never consecutive, so that no array is made of parts of two rows."""
        width = shape[-1] if shape else 1
        rows = math.prod(shape) // width
        self._starts.append(self._next)
        self._owners.append(lambda i, n, stride: make(i // (width + 1) * width + i % (width + 1), n))
        numbers = (self._next + torch.arange(rows)[:, None] * (width + 1) + torch.arange(width)).reshape(shape)
        self._next += rows * (width + 1) + 1
        return numbers

    # -- numbers and nodes --------------------------------------------------------------------------------------------

    def number(self, node: Node) -> int:
        """The number of a node's first unit."""
        if node not in self._first:
            self._first[node] = self._next
            self._starts.append(self._next)
            self._owners.append(lambda i, n, stride: self.graph.slice(node, i, n, stride))
            self._next += node.n + 1
        return self._first[node]

    def array(self, number: int, n: int = 1, stride: int = 1) -> Node:
        """The units with numbers ``number, number + stride, ...``."""
        owner = bisect_right(self._starts, number) - 1
        return self._owners[owner](number - self._starts[owner], n, stride)

    def numbers(self, value: Any) -> torch.Tensor:
        """A value as numbers: symbols as they are, plain numbers and tensors as constants."""
        if isinstance(value, Symbol):
            return value.as_subclass(torch.Tensor)
        if isinstance(value, bool | int | float):
            return torch.tensor(self.number(self.graph.const(value)))
        array = torch.as_tensor(value)
        numbers = [self.number(self.graph.const(v)) for v in array.flatten().tolist()]
        return torch.tensor(numbers, dtype=torch.int64).reshape(array.shape)

    def segments(self, columns: Sequence[np.ndarray]) -> Iterator[tuple[int, list[Node]]]:
        """Columns of numbers cut into stretches that are arrays in all of them: their length, and the node of every column."""
        position, size = 0, len(columns[0])
        while position < size:
            strides = [int(c[position + 1] - c[position]) if position + 1 < size else 1 for c in columns]
            length = min(self._run(c, position, stride) for c, stride in zip(columns, strides, strict=True))
            yield (
                length,
                [
                    self.array(int(c[position]), length if stride and length > 1 else 1, stride)
                    for c, stride in zip(columns, strides, strict=True)
                ],
            )
            position += length

    def _run(self, column: np.ndarray, position: int, stride: int) -> int:
        """How many numbers follow each other at this stride: 0 (one unit, spread), 1, or any within the parameters."""
        number = int(column[position])
        if stride not in (0, 1) and not (stride > 1 and number < self._count):
            return 1
        differs = np.flatnonzero(column[position + 1 :] - column[position:-1] != stride)
        run = int(differs[0]) + 1 if len(differs) else len(column) - position
        if stride > 1:
            run = min(run, (self._count - 1 - number) // stride + 1)
            return run if run > 2 else 1
        return run

    def pieces(self, value: Any) -> Pieces:
        flat = self.numbers(value).flatten().numpy()
        return [(nodes[0], length) for length, nodes in self.segments([flat])]

    def arrays(self, value: Any) -> list[Node]:
        """A vector as what a block reads."""
        return [self.graph.whole(node, n) for node, n in self.pieces(value)]

    def point(self, function: Callable[..., Node], *values: Any) -> Symbol:
        """A pointwise function, with torch's broadcasting."""
        columns = torch.broadcast_tensors(*(self.numbers(value) for value in values))
        made = []
        for length, nodes in self.segments([c.flatten().numpy() for c in columns]):
            node = function(*nodes)
            made.append(self.number(node) + (np.arange(length) if node.n > 1 else np.zeros(length, np.int64)))
            self.bounded()
        flat = torch.from_numpy(np.concatenate(made)) if made else torch.zeros(0, dtype=torch.int64)
        return torch.empty_like(columns[0]).copy_(flat.reshape(columns[0].shape)).as_subclass(Symbol)

    def bounded(self) -> None:
        if len(self.graph.nodes) > MOST_NODES:
            raise Unsupported(f"more than {MOST_NODES} operations in one step: it mixes units that are no one axis ({line_of()})")

    def side_by_side(self, pieces: Pieces) -> Symbol:
        """Arrays as one vector."""
        return torch.cat([self.number(node) + torch.arange(n) * (node.n > 1) for node, n in pieces]).as_subclass(Symbol)

    def matrix(self, A: torch.Tensor) -> tuple[Node, int, int, int] | None:
        """A view of the parameters, or of a function of them alone: its array, first unit, and strides of rows and columns."""
        R, C = A.shape
        first = int(A[0, 0])
        sr, sc = int(A[1, 0]) - first if R > 1 else C, int(A[0, 1]) - first if C > 1 else 1
        if min(sr, sc) < 1 or not torch.equal(A, first + torch.arange(R)[:, None] * sr + torch.arange(C) * sc):
            return None
        owner = bisect_right(self._starts, first) - 1
        start = self._starts[owner]
        whole = next((node for node, number in self._first.items() if number == start), None)
        if whole is None or not whole.fixed or int(A[-1, -1]) >= start + whole.n:
            return None
        return whole, first - start, sr, sc

    # -- what torch is asked ------------------------------------------------------------------------------------------

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
        kwargs = dict(kwargs or {})
        if not any(isinstance(value, Symbol) for value in leaves((args, kwargs))):
            return function(*args, **kwargs)
        if not torch.is_grad_enabled():
            raise Unsupported(f"torch.no_grad or an own autograd.Function ({line_of()})")
        return self.call(self, function, args, kwargs)


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
