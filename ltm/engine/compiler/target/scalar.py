"""The functions of :mod:`ltm.engine.compiler.target.vector` for a GPU: a vector is one number, that of the thread's own lane.

This is no module to call: the text below the line becomes part of each module that is generated for CUDA
(:func:`ltm.engine.compiler.kernel`). A block of ``W`` threads is a group, and ``real`` is the kernel's type of number; what Python or
numba would widen (its math, 1.0) is made ``real`` again. What only other layouts print is not here: :data:`ABSENT`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import cuda

real, W = np.float32, 32

ABSENT = {"store_head", "add_sum", "head", "total", "peak", "transpose", "prefetch"}
"""Functions of vectors of units, or of batch entries: no kernel for seeds has them."""

# ---- of every kernel ------------------------------------------------------------------------------------------

inner = printed = cuda.jit(device=True)
entry = cuda.jit


@inner
def lanes():  # type: ignore[no-untyped-def]
    return range(cuda.threadIdx.x, cuda.threadIdx.x + 1)


@inner
def groups(n):  # type: ignore[no-untyped-def]
    return range(cuda.blockIdx.x, cuda.blockIdx.x + 1)


@inner
def mine(group):  # type: ignore[no-untyped-def]
    return group


@entry
def start(memory, before):  # type: ignore[no-untyped-def]
    """Clear the memory of every group; the rows of its trajectory before the sequence get their values."""
    for part in memory:
        own = part[cuda.blockIdx.x]
        for i in range(cuda.threadIdx.x, len(own), W):
            own[i] = real(0.0)
    rows = memory[4][cuda.blockIdx.x]
    for i in range(cuda.threadIdx.x, len(before), W):
        rows[i] = before[i]


@inner
def min(a, b):  # type: ignore[no-untyped-def]
    """In place of Python's own, which the CUDA target within numba 0.68 cannot compile; so is max."""
    return a if a < b else b


@inner
def max(a, b):  # type: ignore[no-untyped-def]
    return a if a > b else b


@inner
def load(a, i):  # type: ignore[no-untyped-def]
    return a[i + cuda.threadIdx.x]


@inner
def store(a, i, v):  # type: ignore[no-untyped-def]
    a[i + cuda.threadIdx.x] = v


@inner
def anew(a):  # type: ignore[no-untyped-def]
    return a


@inner
def spread(a, i):  # type: ignore[no-untyped-def]
    return a[i]


@inner
def full(x):  # type: ignore[no-untyped-def]
    return real(x)


@inner
def add(a, b):  # type: ignore[no-untyped-def]
    return a + b


@inner
def sub(a, b):  # type: ignore[no-untyped-def]
    return a - b


@inner
def mul(a, b):  # type: ignore[no-untyped-def]
    return a * b


@inner
def div(a, b):  # type: ignore[no-untyped-def]
    return a / b


@inner
def neg(a):  # type: ignore[no-untyped-def]
    return -a


@inner
def fma(a, b, c):  # type: ignore[no-untyped-def]
    return cuda.fma(a, b, c)


@inner
def fms(a, b, c):  # type: ignore[no-untyped-def]
    return cuda.fma(a, b, -c)


@inner
def fnma(a, b, c):  # type: ignore[no-untyped-def]
    return cuda.fma(-a, b, c)


@inner
def less(a, b):  # type: ignore[no-untyped-def]
    return real(1.0) if a < b else real(0.0)


@inner
def less_equal(a, b):  # type: ignore[no-untyped-def]
    return real(1.0) if a <= b else real(0.0)


@inner
def equal(a, b):  # type: ignore[no-untyped-def]
    return real(1.0) if a == b else real(0.0)


@inner
def unequal(a, b):  # type: ignore[no-untyped-def]
    return real(1.0) if a != b else real(0.0)


@inner
def where(m, a, b):  # type: ignore[no-untyped-def]
    return a if m != real(0.0) else b


@inner
def maximum(a, b):  # type: ignore[no-untyped-def]
    """NaN of either is kept."""
    return a if a >= b or a != a else b


@inner
def absolute(a):  # type: ignore[no-untyped-def]
    return abs(a)


@inner
def sign(a):  # type: ignore[no-untyped-def]
    return less(real(0.0), a) - less(a, real(0.0))


@inner
def floor(x):  # type: ignore[no-untyped-def]
    """Numbers from 2^53 on are whole; they, infinity, NaN and -0 stay as they are."""
    return real(math.floor(x)) if x != real(0.0) and abs(x) < real(2.0**53) else x


@inner
def sqrt(x):  # type: ignore[no-untyped-def]
    return real(math.sqrt(x))


@inner
def exp(x):  # type: ignore[no-untyped-def]
    return real(math.exp(x))


@inner
def tanh(x):  # type: ignore[no-untyped-def]
    return real(math.tanh(x))


@inner
def sigmoid(x):  # type: ignore[no-untyped-def]
    return real(1.0) / (real(1.0) + exp(-x))


@inner
def log(x):  # type: ignore[no-untyped-def]
    return real(math.log(x))


@inner
def log1p(x):  # type: ignore[no-untyped-def]
    return real(math.log1p(x))


@inner
def expm1(x):  # type: ignore[no-untyped-def]
    return real(math.expm1(x))


@inner
def sin(x):  # type: ignore[no-untyped-def]
    return real(math.sin(x))


@inner
def cos(x):  # type: ignore[no-untyped-def]
    return real(math.cos(x))


@inner
def erf(x):  # type: ignore[no-untyped-def]
    return real(math.erf(x))


@inner
def power(a, b):  # type: ignore[no-untyped-def]
    return real(math.pow(a, b))
