"""What a torch function does to symbols (:mod:`trace`), by its name; every value and gradient is torch's own, also at ties, kinks and
infinities. Functions that are neither listed here nor in the table of operations (:mod:`ir`) are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ltm.engine.compiler.blocks import Filter, Product
from ltm.engine.compiler.decays import Decay
from ltm.engine.compiler.ir import OPERATIONS, Graph, Node
from ltm.engine.compiler.tracing.tracer import FOLDED, Pieces, Symbol, Tracer, Unsupported, leaves, line_of

# -- pointwise -----------------------------------------------------------------------------------------------------------


def is_mask(a: Node) -> bool:
    return a.op in OPERATIONS and OPERATIONS[a.op].mask


def truth(g: Graph, a: Node) -> Node:
    return a if is_mask(a) else g("ne", a, 0.0)


def logical(op: str) -> Callable[..., Node]:
    return lambda g, *nodes: g(op, *(truth(g, n) for n in nodes))


def bits(op: str) -> Callable[..., Node]:
    """``&``, ``|``, ``~`` of masks."""

    def node(g: Graph, *nodes: Node) -> Node:
        if not all(is_mask(n) or n.op == "const" for n in nodes):
            raise Unsupported(f"a bitwise operation on anything but comparisons ({line_of()})")
        return logical(op)(g, *nodes)

    return node


def add(g: Graph, a: Node, b: Node) -> Node:
    if is_mask(a) and is_mask(b):
        raise Unsupported(f"a sum of two comparisons ({line_of()})")
    return a + b


def silu(g: Graph, a: Node) -> Node:
    below = 1.0 + g("exp", -a)  # the float32 kernel's sigmoid ends at 1e-7, which a large factor would show
    s = 1.0 / below
    return g("sloped", a / below, a, s * (1.0 + a * (1.0 - s)))


def logsigmoid(g: Graph, a: Node) -> Node:
    negative = g("lt", a, 0.0)
    z = g("exp", g("where", negative, a, -a))
    fraction = z / (z + 1.0)
    return g("sloped", g("where", negative, a, 0.0) - g("log1p", z), a, g("where", negative, 1.0 - fraction, fraction))


POINTWISE: dict[str, Callable[..., Node]] = {
    "add": add, "rsub": lambda g, a, b: b - a, "pow": Graph.power, "square": lambda g, a: g.power(a, g.const(2)),
    "reciprocal": lambda g, a: 1.0 / a, "rsqrt": lambda g, a: 1.0 / g("sqrt", a),
    "maximum": lambda g, a, b: g("max", a, b), "minimum": lambda g, a, b: -g("max", -a, -b),
    "silu": silu, "logsigmoid": logsigmoid, "relu": lambda g, a: g("where", g("le", a, 0.0), 0.0, a),
    "where": lambda g, mask, a, b: g("where", truth(g, mask), a, b),
    "masked_fill": lambda g, a, mask, value: g("where", truth(g, mask), value, a),
    "logical_and": logical("and"), "logical_or": logical("or"), "logical_not": logical("not"), "logical_xor": logical("ne"),
    "bitwise_and": bits("and"), "bitwise_or": bits("or"), "bitwise_not": bits("not"), "bitwise_xor": bits("ne"),
    "isnan": lambda g, a: g("ne", a, a),
    "zeros_like": lambda g, a: g.const(0), "ones_like": lambda g, a: g.const(1), "zero": lambda g, a: g.const(0),
    "empty_like": lambda g, a: g.const(math.nan),
}  # fmt: skip
"""Torch's names that are expressed by operations of the table. One that has the table's own name needs no entry."""

PRIVATE = {"max", "and", "or", "not", "power", "sloped", "filtered", "spread", "amax", "where", "detach"}
"""Operations of the table that are no function of torch's, or not the one of that name."""


def clamp(tracer: Tracer, x: Any, min: Any = None, max: Any = None) -> Symbol:
    """The gradient passes where min <= x <= max; NaN stays NaN but passes none, as in torch."""
    if isinstance(min, Symbol) or isinstance(max, Symbol):
        raise Unsupported(f"clamp to computed bounds; use torch.maximum and torch.minimum ({line_of()})")
    g = tracer.graph

    def node(a: Node, low: Node, high: Node) -> Node:
        value = g("where", g("lt", a, low), low, a)
        value = g("where", g("gt", value, high), high, value)
        inside = g("and", g("ge", a, low), g("le", a, high))
        return g("where", inside, a, g("detach", value))

    return tracer.point(node, x, -math.inf if min is None else min, math.inf if max is None else max)


def elu(tracer: Tracer, x: Any, alpha: float = 1.0) -> Symbol:
    g = tracer.graph

    def node(a: Node, alpha: Node) -> Node:
        negative = g("le", a, 0.0)
        low = g("where", negative, a, 0.0)
        return g("where", negative, alpha * g("sloped", g("expm1", low), low, g("exp", low)), a)

    return tracer.point(node, x, alpha)


def to(tracer: Tracer, x: Any, *args: Any, **kwargs: Any) -> Any:
    """A comparison as numbers. Of numbers there is one precision, that of the kernel."""
    g = tracer.graph
    if all(is_mask(node) for node, _ in tracer.pieces(x)):
        return tracer.point(lambda a: g("where", a, 1.0, 0.0), x)
    if any(isinstance(value, torch.dtype) and value != torch.float32 for value in leaves((args, kwargs))):
        raise Unsupported(f"a change of precision ({line_of()})")
    return x


# -- across units --------------------------------------------------------------------------------------------------------


def largest(g: Graph, pieces: Sequence[Node]) -> Node:
    """The largest of several arrays, whose gradient is shared equally by all that are equal to it."""
    fixed = [g("detach", node) for node in pieces]
    value = fixed[0]
    for node in fixed[1:]:
        value = g("max", value, node)
    return g("amax", value, *pieces)


def fold(combine: Callable[[Node, Node], Node]) -> Callable[[Graph, Sequence[Node]], Node]:
    def node(g: Graph, nodes: Sequence[Node]) -> Node:
        out = nodes[0]
        for n in nodes[1:]:
            out = combine(out, n)
        return out

    return node


def any_of(g: Graph, nodes: Sequence[Node]) -> Node:
    return fold(lambda a, b: g("or", a, b))(g, [truth(g, n) for n in nodes])


REDUCED: dict[str, Callable[[Graph, Sequence[Node]], Node]] = {
    "sum": Graph.total,
    "mean": lambda g, nodes: g.total(nodes) / len(nodes),
    "prod": fold(lambda a, b: a * b),
    "amax": largest,
    "amin": lambda g, nodes: -largest(g, [-n for n in nodes]),
    "any": any_of,
    "all": lambda g, nodes: g("not", any_of(g, [g("not", truth(g, n)) for n in nodes])),
}
"""Reductions of a few elements, or element by element of a few arrays."""


def of_units(g: Graph, name: str, pieces: Pieces) -> Node | None:
    """A reduction of arrays to one unit by loops over them; None where there is none."""
    if name in ("sum", "mean"):
        total = g.total([g.sum(node) if node.n > 1 else float(n) * node for node, n in pieces])
        return total / float(sum(n for _, n in pieces)) if name == "mean" else total
    if name == "amax":
        values = [g.largest(g("detach", node)) for node, _ in pieces]
        return g("amax", fold(lambda a, b: g("max", a, b))(g, values), *(node for node, _ in pieces))
    return None


def reduced(tracer: Tracer, name: str, x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Symbol:
    """One element of the elements along some dimensions (all of them without ``dim``)."""
    numbers, g = tracer.numbers(x), tracer.graph
    dims = range(numbers.ndim) if dim is None or dim == () else [dim] if isinstance(dim, int) else dim
    gone = sorted(d % max(numbers.ndim, 1) for d in dims) if numbers.ndim else []
    kept = [d for d in range(numbers.ndim) if d not in gone]
    rows = numbers.permute(*gone, *kept).reshape(math.prod(numbers.shape[d] for d in gone), -1)
    if not rows.numel():
        raise Unsupported(f"a reduction of no elements ({line_of()})")
    if name == "amin" and len(rows) > FOLDED and rows.shape[1] == 1:
        return tracer.point(lambda a: -a, reduced(tracer, "amax", tracer.point(lambda a: -a, x), dim, keepdim))
    made = None
    if len(rows) > FOLDED and rows.shape[1] < len(rows):
        columns = [of_units(g, name, tracer.pieces(column.contiguous().as_subclass(Symbol))) for column in rows.T]
        if all(column is not None for column in columns):
            made = tracer.side_by_side([(column, 1) for column in columns if column is not None])
    if made is None:
        made = tracer.point(lambda *nodes: REDUCED[name](g, nodes), *(row.as_subclass(Symbol) for row in rows))
    tracer.bounded()
    out = made.as_subclass(torch.Tensor).reshape([numbers.shape[d] for d in kept])
    for d in gone if keepdim else []:
        out = out.unsqueeze(d)
    return out.as_subclass(Symbol)


def cumsum(tracer: Tracer, x: Any, dim: int) -> Symbol:
    rows = tracer.numbers(x).unbind(dim)
    sums = [rows[0].as_subclass(Symbol)]
    for row in rows[1:]:
        sums.append(tracer.point(lambda a, b: a + b, sums[-1], row.as_subclass(Symbol)))
    return torch.stack([s.as_subclass(torch.Tensor) for s in sums], dim).as_subclass(Symbol)


def matmul(tracer: Tracer, a: Any, b: Any) -> Any:
    """A product by torch's rules. A parameter matrix times a vector is one block, or written out where it is small."""
    A, B = tracer.numbers(a), tracer.numbers(b)
    if (A.ndim, B.ndim) == (1, 2):
        return matmul(tracer, B.T.as_subclass(Symbol), a)
    if (A.ndim, B.ndim) == (2, 1) and A.shape[1] == len(B) and (view := tracer.matrix(A)) is not None:
        return product(tracer, A, *view, tracer.pieces(b))
    left = A.unsqueeze(0) if A.ndim == 1 else A
    right = B.unsqueeze(1) if B.ndim == 1 else B
    if left.shape[-1] != right.shape[-2]:
        raise Unsupported(f"product of shapes {tuple(A.shape)} and {tuple(B.shape)} ({line_of()})")
    left, right = left.unsqueeze(-2), right.mT.unsqueeze(-3)  # the axis that is summed comes last, as in the rows of a matrix
    terms = tracer.point(lambda x, y: x * y, left.as_subclass(Symbol), right.as_subclass(Symbol))
    out = reduced(tracer, "sum", terms, -1).as_subclass(torch.Tensor)
    out = out.squeeze(-2) if A.ndim == 1 else out
    return (out.squeeze(-1) if B.ndim == 1 else out).as_subclass(Symbol)


def product(tracer: Tracer, A: torch.Tensor, whole: Node, first: int, sr: int, sc: int, pieces: Pieces) -> Symbol:
    g, (R, C) = tracer.graph, A.shape
    computed = any(node.n > 1 and not node.leaf for node, _ in pieces)
    match tracer.layout.written_out(R, C, computed):
        case "rows":
            rows = []
            for row in A:
                terms = tracer.point(lambda w, z: w * z, row.as_subclass(Symbol), tracer.side_by_side(pieces))
                rows.append(g.total([g.sum(node) if node.n > 1 else node for node, _ in tracer.pieces(terms)]))
            return tracer.side_by_side([(row, 1) for row in rows])
        case "columns":
            out: Any = None
            for column, z in zip(A.T, tracer.side_by_side(pieces).as_subclass(torch.Tensor), strict=True):
                term = tracer.point(lambda w, z: w * z, column.contiguous().as_subclass(Symbol), z.as_subclass(Symbol))
                out = term if out is None else tracer.point(lambda s, x: s + x, out, term)
            return out
    z = [g.whole(node, n) for node, n in pieces]
    return tracer.side_by_side([(g.out(g.make("block", whole, *z, data=Product(first, R, C, sr, sc), n=0), 0, R), R)])


def direct(tracer: Tracer, window: Any, d: Any) -> Symbol:
    """:func:`ltm.filters.direct` over stored states."""
    numbers, g = tracer.numbers(window), tracer.graph
    for source, all_numbers in tracer.sources.items():
        if isinstance(source, tuple) and len(numbers) and torch.equal(numbers, all_numbers[: len(numbers)]):
            K, n = numbers.shape
            at = tracer.arrays(torch.broadcast_to(tracer.numbers(d), (n,)).as_subclass(Symbol))
            block = g.make("block", *at, data=Filter(str(source[1]), n, K), n=0)
            out, first = [], 0
            for node in at:
                value, slope = (g.slice(g.out(block, result, n), first, node.n) for result in (0, 1))
                out.append((g("filtered", value, node, slope), node.n))
                first += node.n
            return tracer.side_by_side(out)
    raise Unsupported(f"filters.direct on anything but the last values of a state, s.NAME or s.NAME[:K] ({line_of()})")


def decayed(tracer: Tracer, decay: str, window: Any, *theta: Any) -> Symbol:
    """The direct sum of another decay (:data:`ltm.filters.PATTERNS`), over stored states or past inputs."""
    numbers = tracer.numbers(window)
    given = [torch.broadcast_to(tracer.numbers(value), numbers.shape[1:]).as_subclass(Symbol) for value in theta]
    if decay == "gegenbauer":
        given[1] = tracer.point(lambda f: tracer.graph("cos", f), given[1])
    for source, all_numbers in tracer.sources.items():
        if not len(numbers) or not torch.equal(numbers, all_numbers[: len(numbers)]):
            continue
        K, n = numbers.shape
        if isinstance(source, tuple):
            return summed(tracer, decay, str(source[1]), n, K, given)
        pasts = [tracer.graph.make("feature", data=(source, i, "past"), n=K) for i in range(n)]
        columns = [[value.as_subclass(torch.Tensor)[i : i + 1].as_subclass(Symbol) for value in given] for i in range(n)]
        sums = [summed(tracer, decay, "", 1, K, column, past) for column, past in zip(columns, pasts, strict=True)]
        return torch.cat([value.as_subclass(torch.Tensor) for value in sums]).as_subclass(Symbol)
    raise Unsupported(f"filters.{decay} on anything but past inputs or the last values of a state ({line_of()})")


def summed(tracer: Tracer, decay: str, state: str, n: int, K: int, theta: Sequence[Symbol], *past: Node) -> Symbol:
    """The result of a filter of n units, with its slopes by every parameter."""
    g, arrays = tracer.graph, [tracer.arrays(value) for value in theta]
    block = g.make("block", *past, *(a for one in arrays for a in one), data=Decay(decay, state, n, K, tuple(map(len, arrays))), n=0)
    value, *slopes = (tracer.side_by_side([(g.out(block, r, n), n)]) for r in range(1 + len(theta)))
    for parameter, slope in zip(theta, slopes, strict=True):
        value = tracer.point(lambda *nodes: g("filtered", *nodes), value, parameter, slope)
    return value


def free(tracer: Tracer, window: Any, a: Any) -> Any:
    """:func:`ltm.filters.free` over past inputs, with parameters as weights: for every input a row of weights times its past."""
    numbers, weights, g = tracer.numbers(window), tracer.numbers(a), tracer.graph
    for source, all_numbers in tracer.sources.items():
        if isinstance(source, tuple) or not torch.equal(numbers, all_numbers) or weights.shape != numbers.shape:
            continue
        K, I = numbers.shape
        outs = []
        for i in range(I):
            if (view := tracer.matrix(weights[:, i][None])) is None:
                break
            whole, first, _, sc = view
            past = g.make("feature", data=(source, i, "past"), n=K)
            outs.append(g.out(g.make("block", whole, past, data=Product(first, 1, K, K, sc), n=0), 0, 1))
        if len(outs) == I:
            return tracer.side_by_side([(out, 1) for out in outs])
    raise Unsupported(f"filters.free on anything but past inputs and a parameter ({line_of()})")


OWN: dict[str, Callable[..., Any]] = {"matmul": matmul, "clamp": clamp, "to": to, "elu": elu, "cumsum": cumsum}


# -- composed of others --------------------------------------------------------------------------------------------------


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    out = weight @ x if x.ndim == 1 else x @ weight.mT
    return out if bias is None else out + bias


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = x * beta
    large = scaled > threshold
    return torch.where(large, x, torch.log1p(torch.exp(torch.where(large, 0.0, scaled))) / beta)


def hardtanh(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    return torch.where(x <= min_val, min_val, torch.where(x >= max_val, max_val, x))


def softmax(x: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    e = torch.exp(x - torch.amax(x.detach(), dim, keepdim=True))
    return e * (1.0 / e.sum(dim, keepdim=True))


def log_softmax(x: Any, dim: Any = None, _stacklevel: int = 3, dtype: Any = None) -> Any:
    return x - torch.logsumexp(x, dim, keepdim=True)


def logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    top = torch.amax(x.detach(), dim, keepdim=True)
    top = torch.where(torch.abs(top) == math.inf, 0.0, top)
    out = torch.log(torch.exp(x - top).sum(dim, keepdim=True)) + top
    return out if keepdim else out.squeeze(dim)


def einsum(equation: str, *operands: Any) -> Any:
    """Products over all indices, summed over those that the result lacks; no ellipsis, no diagonal."""
    inputs, arrow, output = equation.replace(" ", "").partition("->")
    letters = sorted(set(inputs) - {","})
    parts = inputs.split(",")
    if not arrow:
        output = "".join(c for c in letters if inputs.count(c) == 1)
    if "." in inputs or any(len(set(part)) < len(part) for part in parts):
        raise Unsupported(f"einsum '{equation}' ({line_of()})")
    if len(parts) == 2 and len(parts[0]) == 2 and parts[1] == parts[0].replace(output, "") and len(output) == 1:
        W, x = operands  # a matrix times a vector
        return (W if parts[0][0] == output else W.T) @ x
    order = [*output, *(c for c in letters if c not in output)]
    out: Any = 1.0
    for part, operand in zip(parts, operands, strict=True):
        value = operand.permute(*(part.index(c) for c in order if c in part))
        out = out * value[tuple(slice(None) if c in part else None for c in order)]
    gone = tuple(range(len(output), len(order)))
    return out.sum(gone) if gone else out


COMPOSED: dict[str, Callable[..., Any]] = {
    "linear": linear, "softplus": softplus, "hardtanh": hardtanh, "softmax": softmax,
    "log_softmax": log_softmax, "logsumexp": logsumexp, "einsum": einsum,
    "relu6": lambda x: hardtanh(x, 0.0, 6.0),
    "leaky_relu": lambda x, negative_slope=0.01: torch.where(x > 0, x, x * negative_slope),
    "gelu": lambda x, approximate="none": (
        0.5 * x * (1.0 + torch.erf(x * math.sqrt(0.5)))
        if approximate == "none"
        else 0.5 * x * (1.0 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    ),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda x, a, b, value=1.0: x + value * a * b,
    "outer": lambda a, b: a.unsqueeze(1) * b, "inner": lambda a, b: (a * b).sum(-1),
    "clamp_min": lambda x, min: torch.clamp(x, min=min), "clamp_max": lambda x, max: torch.clamp(x, max=max),
    "full_like": lambda x, value, **_: torch.zeros_like(x) + value,
    "new_zeros": lambda x, *size, **_: torch.zeros_like(x.sum()).expand(*size).clone(),
    "new_ones": lambda x, *size, **_: torch.ones_like(x.sum()).expand(*size).clone(),
    "new_full": lambda x, size, value, **_: (torch.zeros_like(x.sum()) + value).expand(*size).clone(),
}  # fmt: skip
