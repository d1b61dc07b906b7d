"""What a torch function does to symbols (:mod:`ltm.engine.trace`), by its name; every value and gradient is torch's own, also at ties,
kinks and infinities. Functions that are not listed here are refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch

from ltm import filters
from ltm.engine.trace import COMPARISONS, MASKS, UNROLLED, Graph, Node, Symbol, Tracer, Unsupported, leaves, line_of


def words(text: str) -> set[str]:
    return set(text.split())


INFORMATION = words("shape ndim size dim ndimension numel nelement __len__ device is_contiguous stride layout __hash__ __repr__ __format__")
MOVES = words("""__getitem__ reshape view flatten unflatten ravel squeeze unsqueeze transpose t T mT swapaxes swapdims permute movedim moveaxis
    expand expand_as view_as reshape_as broadcast_to broadcast_tensors chunk split split_with_sizes tensor_split hsplit vsplit unbind narrow
    select index_select take flip fliplr flipud roll rot90 repeat tile repeat_interleave diagonal clone contiguous unfold atleast_1d
    atleast_2d""")
"""Functions that only move elements: torch does them to node numbers."""

JOINS = words("cat concat concatenate stack hstack vstack dstack column_stack row_stack")
SHAPE_OF_ANOTHER = {"expand_as", "view_as", "reshape_as", "broadcast_tensors"}
VALUES = words("__bool__ __float__ __int__ __index__ __array__ __contains__ __complex__ item tolist numpy equal allclose is_nonzero")
SAME = {
    "truediv": "div", "divide": "div", "true_divide": "div", "multiply": "mul", "subtract": "sub", "negative": "neg", "absolute": "abs",
    "expit": "sigmoid", "less": "lt", "less_equal": "le", "greater": "gt", "greater_equal": "ge", "not_equal": "ne", "clip": "clamp",
    "mm": "matmul", "mv": "matmul", "bmm": "matmul", "dot": "matmul", "vdot": "matmul", "ger": "outer", "invert": "bitwise_not",
    "and": "bitwise_and", "or": "bitwise_or", "xor": "bitwise_xor", "sgn": "sign", "log_sigmoid": "logsigmoid",
    "type_as": "to", "float": "to", "double": "to", "__reversed__": "flip",
}  # fmt: skip


def call(tracer: Tracer, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The result of a torch function some of whose arguments are symbols."""
    name = getattr(function, "__name__", str(function))
    if name == "__get__":
        name = function.__self__.__name__  # type: ignore[attr-defined]
    if "input" in kwargs and not args:
        args = (kwargs.pop("input"),)
    for key in ("other", "exponent", "vec", "mat2"):
        if key in kwargs and len(args) == 1:
            args = (*args, kwargs.pop(key))
    if name in INFORMATION:
        return function(*args, **kwargs)
    if name in ("dtype", "is_floating_point"):
        return torch.float32 if name == "dtype" else True
    if name == "__iter__":
        return iter(moved(tracer, torch.Tensor.unbind, "unbind", args, kwargs))
    if name in MOVES or name in JOINS:
        return moved(tracer, function, name, args, kwargs)
    if name in VALUES:
        raise Unsupported(f"a branch on, or a number from, the value of a tensor ('{name.strip('_')}') ({line_of()})")
    if function is filters.direct:
        return direct(tracer, *args, **kwargs)
    if function is filters.free:
        return free(tracer, *args, **kwargs)
    if name == "__setitem__":
        target, index, value = args
        return written(tracer, target, tracer.numbers(value), index)
    if name.startswith("__"):
        name = name.strip("_")
        if name[0] == "r" and name[1:] in ("add", "sub", "mul", "truediv", "div", "pow", "matmul"):
            name, args = name[1:], args[::-1]
        elif name[0] == "i" and name[1:] in ("add", "sub", "mul", "truediv", "div", "pow"):
            name = name[1:] + "_"
    name = name.removeprefix("special_")
    in_place = name.endswith("_") or kwargs.pop("inplace", False)
    name = name.rstrip("_")
    if name == "double":
        kwargs["dtype"] = torch.float64
    name = SAME.get(name, name)
    try:
        result = compute(tracer, function, name, args, kwargs)
    except TypeError as error:
        raise Unsupported(f"torch operation '{name}' with these arguments ({line_of()})") from error
    return written(tracer, args[0], result, ...) if in_place else result


def compute(tracer: Tracer, function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    g = tracer.graph
    if name == "where" and function is torch.Tensor.where:
        args = (args[1], args[0], *args[2:])
    if name in ("add", "sub", "rsub") and (alpha := kwargs.pop("alpha", 1)) != 1:
        args = (args[0], tracer.point(g.mul, args[1], alpha))
    if name in ("max", "min") and len(args) == 2 and isinstance(args[1], torch.Tensor):
        name += "imum"
    if name in ("fill", "copy"):
        return torch.broadcast_to(tracer.numbers(args[1]), args[0].shape).clone().as_subclass(Symbol)
    if name == "detach":
        result = tracer.point(lambda a: g.make("detach", a), *args)
        if not tracer.composed:
            tracer.hold(args[0])
            tracer.hold(result)
        return result
    if name in POINTWISE:
        return tracer.point(lambda *nodes: POINTWISE[name](g, *nodes), *args, **kwargs)
    if name in REDUCED:
        return reduced(tracer, REDUCED[name], *args, **kwargs)
    if name in ("matmul", "clamp", "to", "elu"):
        own: dict[str, Callable[..., Any]] = {"matmul": matmul, "clamp": clamp, "to": to, "elu": elu}
        return own[name](tracer, *args, **kwargs)
    if name in COMPOSED:
        with tracer.composing(), tracer:
            return COMPOSED[name](*args, **kwargs)
    raise Unsupported(f"torch operation '{name}' ({line_of()})")


def moved(tracer: Tracer, function: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A function that only moves elements, done to node numbers. They must not be taken for indices."""
    first, *rest = args
    if name in JOINS:
        first = [tracer.numbers(part) for part in first]
    if "out" in kwargs or (name not in SHAPE_OF_ANOTHER and any(isinstance(v, Symbol) for v in leaves((rest, kwargs)))):
        raise Unsupported(f"'{name.strip('_')}' by values that are computed ({line_of()})")
    result = function(first, *rest, **kwargs)
    if isinstance(result, torch.Tensor):
        return result.as_subclass(Symbol)
    return type(result)(part.as_subclass(Symbol) for part in result)


def written(tracer: Tracer, target: Any, numbers: torch.Tensor, index: Any) -> Any:
    """Write node numbers into a symbol in place; views of it see them, as in torch."""
    if not isinstance(target, Symbol) or any(isinstance(v, Symbol) for v in leaves(index)):
        raise Unsupported(f"a write in place into a constant, or by a computed index ({line_of()})")
    target.as_subclass(torch.Tensor)[index] = numbers.as_subclass(torch.Tensor)
    if tracer.touched():
        raise Unsupported(f"a write in place into a parameter, a feature, a window of past states or what was detached ({line_of()})")
    return target


def truth(g: Graph, a: Node) -> Node:
    return a if a.op in MASKS else g.make("ne", a, g.const(0))


def bits(op: str) -> Callable[..., Node]:
    """``&``, ``|``, ``~`` of masks."""

    def node(g: Graph, *nodes: Node) -> Node:
        if any(n.op not in MASKS | {"const"} for n in nodes):
            raise Unsupported(f"a bitwise operation on anything but comparisons ({line_of()})")
        return g.make(op, *(truth(g, n) for n in nodes))

    return node


def add(g: Graph, a: Node, b: Node) -> Node:
    if a.op in MASKS and b.op in MASKS:
        raise Unsupported(f"a sum of two comparisons ({line_of()})")
    return g.add(a, b)


def clamp(tracer: Tracer, x: Any, min: Any = None, max: Any = None) -> Symbol:
    """The gradient passes where min <= x <= max; NaN stays NaN but passes none, as in torch."""
    if isinstance(min, Symbol) or isinstance(max, Symbol):
        raise Unsupported(f"clamp to computed bounds; use torch.maximum and torch.minimum ({line_of()})")
    g = tracer.graph

    def node(a: Node, low: Node, high: Node) -> Node:
        value = g.where(g.make("lt", a, low), low, a)
        value = g.where(g.make("gt", value, high), high, value)
        inside = g.make("and", g.make("ge", a, low), g.make("le", a, high))
        return g.where(inside, a, g.make("detach", value))

    return tracer.point(node, x, -math.inf if min is None else min, math.inf if max is None else max)


def silu(g: Graph, a: Node) -> Node:
    one = g.const(1)
    below = g.add(one, g.make("exp", g.neg(a)))  # the float32 kernel's sigmoid ends at 1e-7, which a large factor would show
    s = g.div(one, below)
    return g.make("sloped", g.div(a, below), a, g.mul(s, g.add(one, g.mul(a, g.sub(one, s)))))


def logsigmoid(g: Graph, a: Node) -> Node:
    zero, one = g.const(0), g.const(1)
    negative = g.make("lt", a, zero)
    z = g.make("exp", g.where(negative, a, g.neg(a)))
    value = g.sub(g.where(negative, a, zero), g.make("log1p", z))
    fraction = g.div(z, g.add(z, one))
    return g.make("sloped", value, a, g.where(negative, g.sub(one, fraction), fraction))


def unary(op: str) -> Callable[..., Node]:
    return lambda g, a: g.make(op, a)


POINTWISE: dict[str, Callable[..., Node]] = {
    **{name: unary(name) for name in words("tanh sigmoid exp log sqrt sin cos log1p expm1 floor sign abs")},
    **{name: (lambda g, a, b, op=name: g.make(op, a, b)) for name in COMPARISONS},
    "add": add, "sub": Graph.sub, "rsub": lambda g, a, b: g.sub(b, a), "mul": Graph.mul, "div": Graph.div, "neg": Graph.neg, "pow": Graph.power,
    "square": lambda g, a: g.power(a, g.const(2)), "reciprocal": lambda g, a: g.div(g.const(1), a),
    "rsqrt": lambda g, a: g.div(g.const(1), g.make("sqrt", a)),
    "maximum": lambda g, a, b: g.make("max", a, b), "minimum": lambda g, a, b: g.neg(g.make("max", g.neg(a), g.neg(b))),
    "silu": silu, "logsigmoid": logsigmoid, "relu": lambda g, a: g.where(g.make("le", a, g.const(0)), g.const(0), a),
    "where": lambda g, mask, a, b: g.where(truth(g, mask), a, b),
    "masked_fill": lambda g, a, mask, value: g.where(truth(g, mask), value, a),
    "logical_and": lambda g, a, b: g.make("and", truth(g, a), truth(g, b)), "logical_or": lambda g, a, b: g.make("or", truth(g, a), truth(g, b)),
    "logical_not": lambda g, a: g.make("not", truth(g, a)), "logical_xor": lambda g, a, b: g.make("ne", truth(g, a), truth(g, b)),
    "bitwise_and": bits("and"), "bitwise_or": bits("or"), "bitwise_not": bits("not"), "bitwise_xor": bits("ne"),
    "isnan": lambda g, a: g.make("ne", a, a),
    "zeros_like": lambda g, a: g.const(0), "ones_like": lambda g, a: g.const(1), "zero": lambda g, a: g.const(0),
    "empty_like": lambda g, a: g.const(math.nan),
}  # fmt: skip


def most(g: Graph, nodes: Sequence[Node]) -> Node:
    """The largest of several, whose gradient is shared equally by all that are equal to it."""
    fixed = [g.make("detach", n) for n in nodes]
    value = fixed[0]
    for n in fixed[1:]:
        value = g.make("max", value, n)
    return g.make("amax", value, *nodes)


def product(g: Graph, nodes: Sequence[Node]) -> Node:
    out = nodes[0]
    for n in nodes[1:]:
        out = g.mul(out, n)
    return out


def any_of(g: Graph, nodes: Sequence[Node]) -> Node:
    out = truth(g, nodes[0])
    for n in nodes[1:]:
        out = g.make("or", out, truth(g, n))
    return out


REDUCED: dict[str, Callable[[Graph, Sequence[Node]], Node]] = {
    "sum": Graph.total,
    "mean": lambda g, nodes: g.div(g.total(nodes), g.const(len(nodes))),
    "prod": product,
    "amax": most,
    "amin": lambda g, nodes: g.neg(most(g, [g.neg(n) for n in nodes])),
    "any": any_of,
    "all": lambda g, nodes: g.make("not", any_of(g, [g.make("not", truth(g, n)) for n in nodes])),
}


def reduced(
    tracer: Tracer, function: Callable[[Graph, Sequence[Node]], Node], x: Any, dim: Any = None, keepdim: bool = False, dtype: Any = None
) -> Symbol:
    """One node of the elements along some dimensions (all of them without ``dim``)."""
    numbers = tracer.numbers(x)
    dims = range(numbers.ndim) if dim is None or dim == () else [dim] if isinstance(dim, int) else dim
    gone = sorted(d % max(numbers.ndim, 1) for d in dims) if numbers.ndim else []
    kept = [d for d in range(numbers.ndim) if d not in gone]
    rows = numbers.permute(*kept, *gone).reshape(*(numbers.shape[d] for d in kept), -1)
    if not rows.numel():
        raise Unsupported(f"a reduction of no elements ({line_of()})")
    made = [function(tracer.graph, [tracer.node(i) for i in row]).index for row in rows.reshape(-1, rows.shape[-1]).tolist()]
    out = torch.tensor(made).reshape(rows.shape[:-1])
    for d in gone if keepdim else []:
        out = out.unsqueeze(d)
    return out.as_subclass(Symbol)


def matmul(tracer: Tracer, a: Any, b: Any) -> Any:
    """A product by torch's rules; a large parameter matrix times a vector is one macro."""
    A, b_numbers = tracer.numbers(a), tracer.numbers(b)
    if A.ndim == 2 and b_numbers.ndim == 1 and A.numel() > UNROLLED and parameters(tracer, A) and len(b_numbers) == A.shape[1]:
        R, C = A.shape
        return tracer.outs(tracer.graph.make("matvec", *tracer.nodes(b), data=(int(A[0, 0]), R, C)), R)
    left = A.unsqueeze(0) if A.ndim == 1 else A
    right = b_numbers.unsqueeze(1) if b_numbers.ndim == 1 else b_numbers
    if left.shape[-1] != right.shape[-2]:
        raise Unsupported(f"product of shapes {tuple(A.shape)} and {tuple(b_numbers.shape)} ({line_of()})")
    terms = tracer.point(tracer.graph.mul, left.unsqueeze(-1).as_subclass(Symbol), right.unsqueeze(-3).as_subclass(Symbol))
    out = reduced(tracer, Graph.total, terms, -2).as_subclass(torch.Tensor)
    out = out.squeeze(-2) if A.ndim == 1 else out
    return (out.squeeze(-1) if b_numbers.ndim == 1 else out).as_subclass(Symbol)


def parameters(tracer: Tracer, numbers: torch.Tensor) -> bool:
    """Whether these are parameters, side by side as in memory."""
    flat = numbers.flatten()
    first = int(flat[0])
    return torch.equal(flat, torch.arange(first, first + len(flat))) and first >= 0 and tracer.node(int(flat[-1])).op == "param"


def direct(tracer: Tracer, window: Any, d: Any) -> Symbol:
    """:func:`ltm.filters.direct` over stored states: results 0..n-1 are values, n..2n-1 their derivatives by d."""
    numbers = tracer.numbers(window)
    for source, all_numbers in tracer.sources.items():
        if isinstance(source, tuple) and len(numbers) and torch.equal(numbers, all_numbers[: len(numbers)]):
            K, n = numbers.shape
            at = tracer.nodes(torch.broadcast_to(tracer.numbers(d), (n,)).as_subclass(Symbol))
            return tracer.outs(tracer.graph.make("filter", *at, data=(source[1], n, K)), n)
    raise Unsupported(f"filters.direct on anything but the last values of a state, s.NAME or s.NAME[:K] ({line_of()})")


def free(tracer: Tracer, window: Any, a: Any) -> Any:
    """:func:`ltm.filters.free` over past inputs, with parameters as weights."""
    numbers, weights = tracer.numbers(window), tracer.numbers(a)
    for source, all_numbers in tracer.sources.items():
        if (
            not isinstance(source, tuple)
            and torch.equal(numbers, all_numbers)
            and weights.shape == numbers.shape
            and parameters(tracer, weights)
        ):
            K, I = numbers.shape
            return tracer.outs(tracer.graph.make("free", data=(int(weights[0, 0]), source, K, I)), I)
    raise Unsupported(f"filters.free on anything but past inputs and a parameter ({line_of()})")


def to(tracer: Tracer, x: Any, *args: Any, **kwargs: Any) -> Any:
    """A comparison as numbers. Of numbers there is one precision, that of the kernel."""
    g = tracer.graph
    if all(node.op in MASKS for node in tracer.nodes(x)):
        return tracer.point(lambda a: g.where(a, g.const(1), g.const(0)), x)
    if any(isinstance(value, torch.dtype) and value != torch.float32 for value in leaves((args, kwargs))):
        raise Unsupported(f"a change of precision ({line_of()})")
    return x


def linear(x: Any, weight: Any, bias: Any = None) -> Any:
    out = weight @ x if x.ndim == 1 else x @ weight.mT
    return out if bias is None else out + bias


def softplus(x: Any, beta: float = 1.0, threshold: float = 20.0) -> Any:
    scaled = x * beta
    large = scaled > threshold
    return torch.where(large, x, torch.log1p(torch.exp(torch.where(large, 0.0, scaled))) / beta)


def elu(tracer: Tracer, x: Any, alpha: float = 1.0) -> Symbol:
    g = tracer.graph

    def node(a: Node, alpha: Node) -> Node:
        negative = g.make("le", a, g.const(0))
        low = g.where(negative, a, g.const(0))
        return g.where(negative, g.mul(alpha, g.make("sloped", g.make("expm1", low), low, g.make("exp", low))), a)

    return tracer.point(node, x, alpha)


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
    "softsign": lambda x: x / (1.0 + torch.abs(x)),
    "lerp": lambda a, b, weight: a + weight * (b - a),
    "addcmul": lambda x, a, b, value=1.0: x + value * a * b,
    "outer": lambda a, b: a.unsqueeze(1) * b, "inner": lambda a, b: (a * b).sum(-1),
    "clamp_min": lambda x, min: torch.clamp(x, min=min), "clamp_max": lambda x, max: torch.clamp(x, max=max),
    "full_like": lambda x, value, **_: torch.zeros_like(x) + value,
    "new_zeros": lambda x, *size, **_: torch.zeros_like(x.sum()).expand(*size).clone(),
    "new_ones": lambda x, *size, **_: torch.ones_like(x.sum()).expand(*size).clone(),
    "new_full": lambda x, size, value, **_: (torch.zeros_like(x.sum()) + value).expand(*size).clone(),
}  # fmt: skip
