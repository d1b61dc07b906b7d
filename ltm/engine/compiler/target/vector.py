"""The SIMD vector as a value for numba: ``<width x float>`` with the functions that kernels are printed in.

It stands on numba's public extension API (``intrinsic``, ``register_model``, types), but for the address of an array's data and the
scalar math functions, which are numba's own (``make_array``, ``context.get_function``): a test compiles every function here, so that a
change in numba is seen. No function has fast-math flags and every fused multiply-add is explicit: the order of operations is the
program's own, so a lane's bits depend neither on the width nor on the lanes beside it. NaN and infinity are kept everywhere: they are
how divergence is seen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import config
from numba.extending import intrinsic, models, register_model
from numba.np.arrayobj import make_array

TANH_NUMERATOR = (0.9999999943580686, 0.1345063450794794, 0.003579008640385365, 2.2023522529991785e-05, 1.5428368573588195e-08)
TANH_DENOMINATOR = (1.0, 0.46783962512350014, 0.026192300974826287, 0.000342367787513083, 8.598939439321598e-07)
TANH_CLAMP = 7.9
"""tanh(x) = x P(x^2) / Q(x^2) on |x| <= 7.9: relative error 6e-9, fitted by reweighted least squares; in float32 the
largest error is 3e-7."""

EXP = tuple(2.0 / math.factorial(k) for k in range(8))
"""2 e^r by its Taylor polynomial; the factor keeps 2^(n-1) finite where e^x is."""


@dataclass(frozen=True)
class Processor:
    """What kernels are made for: float32 lanes of a vector register, and how many registers there are."""

    name: str
    lanes: int
    registers: int

    @property
    def comfortable(self) -> int:
        """Elements of a vector of which 16 and more can be kept in registers."""
        return min(16, self.lanes * self.registers // 16)


@cache
def processor() -> Processor | None:
    """This machine's processor as numba compiles for it; None where it has no vectors with fused multiply-add (before AVX2)."""
    options: Any = config  # NUMBA_CPU_NAME and NUMBA_CPU_FEATURES
    name = options.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    if options.CPU_FEATURES is not None:
        features = {f[1:] for f in options.CPU_FEATURES.split(",") if f.startswith("+")}
    else:
        features = {f for f, has in llvmlite.binding.get_host_cpu_features().items() if has}
    if "avx512f" in features:
        return Processor(name, 16, 32)
    if {"avx2", "fma"} <= features:
        return Processor(name, 8, 16)
    return Processor(name, 4, 32) if "neon" in features else None


class Vector(types.Type):
    """``width`` lanes of float32 or float64."""

    def __init__(self, dtype: str, width: int) -> None:
        super().__init__(name=f"Vector({dtype}, {width})")
        self.real = types.float32 if dtype == "float32" else types.float64
        self.lane = ir.FloatType() if dtype == "float32" else ir.DoubleType()
        self.width = width
        self.llvm = ir.VectorType(self.lane, width)
        self.suffix = f"v{width}f{32 if dtype == 'float32' else 64}"


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Vector) -> None:
        super().__init__(manager, kind, kind.llvm)


class Emit:
    """Prints LLVM's instructions on vectors of one kind; ``b`` is the builder of the function that is compiled."""

    def __init__(self, kind: Vector, context: Any, b: Any) -> None:
        self.kind, self.context, self.b = kind, context, b

    def const(self, value: float, kind: ir.VectorType | None = None) -> ir.Constant:
        kind = kind or self.kind.llvm
        return ir.Constant(kind, [ir.Constant(kind.element, value)] * kind.count)

    def call(self, name: str, *args: Any) -> Any:
        """An intrinsic of LLVM on vectors."""
        function = self.function(f"llvm.{name}.{self.kind.suffix}", self.kind.llvm, *(a.type for a in args))
        return self.b.call(function, args)

    def function(self, name: str, result: Any, *parameters: Any) -> Any:
        known = self.b.module.globals.get(name)
        return known or ir.Function(self.b.module, ir.FunctionType(result, parameters), name)

    def fma(self, a: Any, c: Any, d: Any) -> Any:
        return self.call("fma", a, c, d)

    def full(self, x: Any) -> Any:
        first = self.b.insert_element(ir.Constant(self.kind.llvm, ir.Undefined), x, ir.Constant(ir.IntType(32), 0))
        return self.shuffle(first, first, [0] * self.kind.width)

    def shuffle(self, a: Any, c: Any, lanes: Sequence[int]) -> Any:
        return self.b.shuffle_vector(a, c, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes)))

    def where(self, mask: Any, a: Any, c: Any) -> Any:
        return self.b.select(mask, a, c)

    def compare(self, sign: str, a: Any, c: Any) -> Any:
        """As in Python: false of NaN, but for ``!=``."""
        return self.b.fcmp_unordered(sign, a, c) if sign == "!=" else self.b.fcmp_ordered(sign, a, c)

    def number(self, mask: Any) -> Any:
        return self.where(mask, self.const(1.0), self.const(0.0))

    def clamp(self, x: Any, low: float, high: float) -> Any:
        x = self.where(self.compare("<", x, self.const(low)), self.const(low), x)
        return self.where(self.compare(">", x, self.const(high)), self.const(high), x)

    def polynomial(self, x: Any, coefficients: Sequence[float]) -> Any:
        out = self.const(coefficients[-1])
        for c in coefficients[-2::-1]:
            out = self.fma(out, x, self.const(c))
        return out

    def tanh32(self, x: Any, scale: float = 1.0) -> Any:
        """scale tanh(scale x)"""
        y = self.clamp(x, -TANH_CLAMP / scale, TANH_CLAMP / scale)
        s = self.b.fmul(y, y)
        over, under = ([c * scale ** (2 * i + k) for i, c in enumerate(part)] for part, k in ((TANH_NUMERATOR, 2), (TANH_DENOMINATOR, 0)))
        return self.b.fdiv(self.b.fmul(y, self.polynomial(s, over)), self.polynomial(s, under))

    def exp32(self, x: Any) -> Any:
        """e^x by 2^(n-1) 2e^r, |r| <= ln(2)/2: infinite above 88.73, 0 below -87, NaN of NaN."""
        y = self.clamp(x, -87.3, 89.0)
        n = self.call("floor", self.fma(y, self.const(1.4426950408889634), self.const(0.5)))
        r = self.fma(n, self.const(2.12194440e-4), self.fma(n, self.const(-0.693359375), y))
        whole = ir.VectorType(ir.IntType(32), self.kind.width)
        bits = self.b.shl(self.b.add(self.b.fptosi(n, whole), self.const(126, whole)), self.const(23, whole))
        return self.b.fmul(self.polynomial(r, EXP), self.b.bitcast(bits, self.kind.llvm))

    def scalar(self, function: Callable[..., float], *args: Any) -> Any:
        """A function of Python's math module, lane by lane."""
        real = self.kind.real
        one = self.context.get_function(function, real(*[real] * len(args)))
        out = ir.Constant(self.kind.llvm, ir.Undefined)
        for i in range(self.kind.width):
            lane = ir.Constant(ir.IntType(32), i)
            out = self.b.insert_element(out, one(self.b, [self.b.extract_element(a, lane) for a in args]), lane)
        return out

    def folded(self, x: Any, combine: Callable[[Any, Any], Any]) -> Any:
        """All lanes combined, in every lane; halves first."""
        width = self.kind.width
        while width > 1:
            width //= 2
            order = [*range(width, 2 * width), *range(width), *range(2 * width, self.kind.width)]
            x = combine(x, self.shuffle(x, x, order))
        return self.shuffle(x, x, [0] * self.kind.width)

    def head(self, count: Any) -> Any:
        """A mask of the first ``count`` lanes."""
        whole = ir.VectorType(ir.IntType(64), self.kind.width)
        first = self.b.insert_element(ir.Constant(whole, ir.Undefined), count, ir.Constant(ir.IntType(32), 0))
        return self.b.icmp_signed("<", ir.Constant(whole, list(range(self.kind.width))), self.shuffle(first, first, [0] * self.kind.width))

    def maximum(self, a: Any, c: Any) -> Any:
        """NaN of either is kept."""
        return self.where(self.b.or_(self.compare(">=", a, c), self.compare("!=", a, a)), a, c)


def arithmetic(kind: Vector) -> dict[str, tuple[int, Callable[..., Any]]]:
    """Every function of vectors: how many it takes, and how it is printed."""
    table: dict[str, tuple[int, Callable[..., Any]]] = {
        "add": (2, lambda e, a, c: e.b.fadd(a, c)), "sub": (2, lambda e, a, c: e.b.fsub(a, c)), "mul": (2, lambda e, a, c: e.b.fmul(a, c)),
        "div": (2, lambda e, a, c: e.b.fdiv(a, c)), "neg": (1, lambda e, a: e.b.fneg(a)),
        "fma": (3, Emit.fma), "fms": (3, lambda e, a, c, d: e.fma(a, c, e.b.fneg(d))), "fnma": (3, lambda e, a, c, d: e.fma(e.b.fneg(a), c, d)),
        "where": (3, lambda e, m, a, c: e.where(e.compare("!=", m, e.const(0.0)), a, c)),
        "maximum": (2, Emit.maximum), "absolute": (1, lambda e, a: e.call("fabs", a)), "floor": (1, lambda e, a: e.call("floor", a)),
        "sqrt": (1, lambda e, a: e.call("sqrt", a)),
        "sign": (1, lambda e, a: e.b.fsub(e.number(e.compare(">", a, e.const(0.0))), e.number(e.compare("<", a, e.const(0.0))))),
        "total": (1, lambda e, a: e.folded(a, e.b.fadd)), "peak": (1, lambda e, a: e.folded(a, e.maximum)),
    }  # fmt: skip
    for name, sign in {"less": "<", "less_equal": "<=", "equal": "==", "unequal": "!="}.items():
        table[name] = 2, lambda e, a, c, sign=sign: e.number(e.compare(sign, a, c))
    for name in ("log", "log1p", "expm1", "sin", "cos", "erf"):
        table[name] = 1, lambda e, a, name=name: e.scalar(getattr(math, name), a)
    table["power"] = 2, lambda e, a, c: e.scalar(math.pow, a, c)
    if kind.real == types.float32:
        table["tanh"], table["exp"] = (1, Emit.tanh32), (1, Emit.exp32)
        table["sigmoid"] = 1, lambda e, x: e.b.fadd(e.const(0.5), e.tanh32(x, 0.5))
    else:
        table["tanh"], table["exp"] = ((1, lambda e, a, f=f: e.scalar(f, a)) for f in (math.tanh, math.exp))
        table["sigmoid"] = (
            1,
            lambda e, x: e.b.fdiv(e.const(1.0), e.b.fadd(e.const(1.0), e.scalar(math.exp, e.b.fneg(x)))),
        )
    return table


class Operation(NamedTuple):
    """What is printed of one function: the types of its result and of what it takes (``types.Array``: an array of the kernel's numbers, that is
    where it begins), and its code, from an :class:`Emit` and values."""

    result: Any
    parameters: Sequence[Any]
    code: Callable[..., Any]


@cache
def operations(dtype: str, width: int) -> dict[str, Operation]:
    """The functions of kernels on vectors of this kind, by name; what they take is a vector, an array, or a number of elements.

    ``load(a, i)``, ``store(a, i, v)`` of elements from i on; ``store_head(a, i, v, n)`` of the first n lanes only; ``spread(a, i)`` one
    element in every lane; ``add_sum(a, i, v)`` adds the sum of the lanes to one element; ``full(x)``; ``head(v, n, other)``.
    ``transpose(a, i, stride, b, at, j)`` writes 16
    elements of b from ``at[k] + j`` on, for k of 16, as rows of 16 in a that are ``stride`` apart. ``prefetch(a, i)`` asks for the line of an element.
    """
    kind = Vector(dtype, width)
    aligned = kind.real.bitwidth // 8

    def pointer(e: Emit, a: Any, i: Any, to: Any = None) -> Any:
        return e.b.bitcast(e.b.gep(a, [i]), (to or kind.llvm).as_pointer())

    def store_head(e: Emit, a: Any, i: Any, v: Any, n: Any) -> None:
        where, mask = pointer(e, a, i), e.head(n)
        store = e.function(f"llvm.masked.store.{kind.suffix}.p0", ir.VoidType(), kind.llvm, where.type, ir.IntType(32), mask.type)
        e.b.call(store, [v, where, ir.Constant(ir.IntType(32), aligned), mask])

    def add_sum(e: Emit, a: Any, i: Any, v: Any) -> None:
        where = e.b.gep(a, [i])
        total = e.b.extract_element(e.folded(v, e.b.fadd), ir.Constant(ir.IntType(32), 0))
        e.b.store(e.b.fadd(e.b.load(where), total), where)

    def transpose(e: Emit, a: Any, i: Any, stride: Any, b: Any, starts: Any, j: Any) -> None:
        sixteen = Vector(dtype, 16)
        each = Emit(sixteen, e.context, e.b)
        rows = []
        for k in range(16):
            first = e.b.add(e.b.load(e.b.gep(starts, [ir.Constant(ir.IntType(64), k)])), j)
            rows.append(e.b.load(pointer(e, b, first, sixteen.llvm), align=aligned))
        for half in (8, 4, 2, 1):  # swap ever smaller blocks across the diagonal
            low = [lane if not lane & half else lane - half + 16 for lane in range(16)]
            high = [lane + half if not lane & half else lane + 16 for lane in range(16)]
            for k in range(16):
                if not k & half:
                    x, y = rows[k], rows[k + half]
                    rows[k], rows[k + half] = each.shuffle(x, y, low), each.shuffle(x, y, high)
        for row in rows:
            e.b.store(row, pointer(e, a, i, sixteen.llvm), align=aligned)
            i = e.b.add(i, stride)

    def prefetch(e: Emit, a: Any, i: Any) -> None:
        where = pointer(e, a, i, ir.IntType(8))
        number = ir.IntType(32)
        into = e.function("llvm.prefetch.p0", ir.VoidType(), where.type, number, number, number)
        e.b.call(into, [where, number(0), number(3), number(1)])  # to read, into all caches, data

    A, n, void = types.Array, types.intp, types.void
    out = {
        "load": Operation(kind, (A, n), lambda e, a, i: e.b.load(pointer(e, a, i), align=aligned)),
        "store": Operation(void, (A, n, kind), lambda e, a, i, v: e.b.store(v, pointer(e, a, i), align=aligned)),
        "store_head": Operation(void, (A, n, kind, n), store_head),
        "spread": Operation(kind, (A, n), lambda e, a, i: e.full(e.b.load(e.b.gep(a, [i])))),
        "add_sum": Operation(void, (A, n, kind), add_sum),
        "prefetch": Operation(void, (A, n), prefetch),
        "transpose": Operation(void, (A, n, n, A, types.Array(types.int64, 1, "C"), n), transpose),
        "full": Operation(kind, (kind.real,), lambda e, x: e.full(x)),
        "head": Operation(kind, (kind, n, kind), lambda e, v, n, other: e.where(e.head(n), v, other)),
    }
    return out | {name: Operation(kind, [kind] * count, code) for name, (count, code) in arithmetic(kind).items()}


@cache
def functions(dtype: str, width: int) -> dict[str, Any]:
    """The same functions for numba."""
    kind = Vector(dtype, width)

    def define(name: str, operation: Operation) -> Any:
        def lower(context: Any, b: Any, signature: Any, args: Any) -> Any:
            values = [beginning(context, b, t, value) for t, value in zip(signature.args, args, strict=True)]
            out = operation.code(Emit(kind, context, b), *values)
            return context.get_dummy_value() if operation.result is types.void else out

        def typed(*given: Any) -> Any:
            expected = [
                g if p is types.Array and isinstance(g, types.Array) and g.dtype == kind.real else p
                for p, g in zip(operation.parameters, given, strict=True)
            ]
            return None if types.Array in expected else (operation.result(*expected), lower)

        return intrinsic(counted(typed, len(operation.parameters), f"{name}_{kind.suffix}"))

    return {name: define(name, operation) for name, operation in operations(dtype, width).items()}


def beginning(context: Any, b: Any, t: Any, value: Any) -> Any:
    """A value of numba's type t as operations take it: of an array, where it begins."""
    return make_array(t)(context, b, value).data if isinstance(t, types.Array) else value


def counted(typed: Callable[..., Any], count: int, name: str) -> Any:
    """The typing function of an intrinsic: numba asks it for its number of arguments."""
    names = ", ".join(f"a{i}" for i in range(count))
    function = eval(f"lambda typing, {names}: typed({names})", {"typed": typed})
    function.__name__ = name
    return function
