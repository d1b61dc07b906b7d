"""The module that is compiled for a cell: its four printed programs, and around them one epoch, many epochs, and prediction."""

from __future__ import annotations

from dataclasses import dataclass

from ltm.cells import Cell
from ltm.engine.emit import FeatureLayout, Printer
from ltm.engine.trace import Traced


@dataclass(frozen=True)
class Kernel:
    """The source of a cell's kernel, and the sizes that its caller must know, in slots of W lanes.

    ``outputs`` and ``d`` are row slots of the read-out and of the state d; ``initial`` the initial value of every row slot.
    """

    source: str
    width: int
    work: int
    row: int
    lead: int
    outputs: list[int]
    d: list[int]
    initial: list[float]


MODULE = """# Generated from a cell's step by ltm.engine; see ltm/engine/kernel.py.
import math
import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from ltm.engine import runtime

real = np.{dtype}
FAST = {{"contract", "nsz", "arcp", "reassoc"}}
inline = njit(fastmath=FAST, error_model="numpy")
W = {width}
RW = {row}
ZERO, ONE = real(0), real(1)
{constants}
{functions}

@njit(fastmath=FAST, error_model="numpy")
def prologue(w):
{prologue}

@njit(fastmath=FAST, error_model="numpy")
def forward(w, tr, f, px, kt, first, end):
    for t in range(first, end):
        b = (t + {lead}) * RW
{views}
{forward}

@njit(fastmath=FAST, error_model="numpy")
def backward(w, tr, f, px, kt, end):
    for t in range(end - 1, -1, -1):
        b = (t + {lead}) * RW
{views}
{backward}

@njit(fastmath=FAST, error_model="numpy")
def epilogue(w):
{epilogue}

@njit(error_model="numpy")
def sweep(w, tr, f, px, kt, first, end, total):
    # Losses are summed in chunks, so that float32 loses nothing over thousands of steps.
    for l in range(W):
        w[total * W + l] = ZERO
    for t in range(first, end, 64):
        for l in range(W):
            w[{loss} * W + l] = ZERO
        forward(w, tr, f, px, kt, t, min(t + 64, end))
        for l in range(W):
            w[total * W + l] += w[{loss} * W + l]

@njit(error_model="numpy")
def gradient(w, tr, f, px, kt, train, end, losses):
    for i in range({parameters} * W, {work} * W):
        w[i] = ZERO
    prologue(w)
    sweep(w, tr, f, px, kt, 0, train, {loss} + 1)
    sweep(w, tr, f, px, kt, train, end, {loss} + 2)
    backward(w, tr, f, px, kt, train)
    epilogue(w)
    for l in range(W):
        losses[0, l] = w[({loss} + 1) * W + l] / real(train * {outputs})
        losses[1, l] = w[({loss} + 2) * W + l] / real(max(end - train, 1) * {outputs})

update = njit(error_model="numpy")(runtime.update)

@njit(error_model="numpy", nogil=True, cache=True)
def advance(epochs, params, m, v, best, reals, counts, protocol, w, tr, f, px, kt, train, end, curves):
    losses = np.empty((2, W), real)
    for block in range(params.shape[0]):
        for i in range({parameters}):
            for l in range(W):
                w[i * W + l] = params[block, i, l]
        for e in range(epochs):
            running = False
            for l in range(W):
                running = running or counts[block, 3, l] == 0
            if not running:
                break
            gradient(w, tr, f, px, kt, train, end, losses)
            update(W, {parameters}, {parameters}, W, w, losses[0], losses[1], m[block], v[block], best[block], reals[block],
                   counts[block], protocol, curves[block], e)
        for i in range({parameters}):
            for l in range(W):
                params[block, i, l] = w[i * W + l]

@njit(error_model="numpy", nogil=True, cache=True)
def gradients(params, grads, losses, w, tr, f, px, kt, train, end):
    for block in range(params.shape[0]):
        for i in range({parameters}):
            for l in range(W):
                w[i * W + l] = params[block, i, l]
        gradient(w, tr, f, px, kt, train, end, losses[block])
        for i in range({parameters}):
            for l in range(W):
                grads[block, i, l] = w[({parameters} + i) * W + l]

@njit(error_model="numpy", nogil=True, cache=True)
def predict(params, slots, out, w, tr, f, px, kt, length):
    for block in range(params.shape[0]):
        w[:] = ZERO
        for i in range({parameters}):
            for l in range(W):
                w[i * W + l] = params[block, i, l]
        prologue(w)
        forward(w, tr, f, px, kt, 0, length)
        for t in range(length):
            for j in range(len(slots)):
                for l in range(W):
                    out[block, t, j, l] = tr[(t + {lead}) * RW + slots[j] * W + l]
"""

FUNCTIONS = {
    "float32": """
@intrinsic
def power_of_two(context, n):
    def code(context, builder, signature, args):
        from llvmlite import ir
        whole = builder.fptosi(args[0], ir.IntType(32))
        bits = builder.shl(builder.add(whole, ir.Constant(ir.IntType(32), 127)), ir.Constant(ir.IntType(32), 23))
        return builder.bitcast(bits, ir.FloatType())
    return types.float32(types.float32), code

exp32 = inline(runtime.exp32)
tanh, sigmoid = inline(runtime.tanh32), inline(runtime.sigmoid32)
log, sqrt = math.log, math.sqrt

@inline
def exp(x):
    return exp32(x, power_of_two)
""",
    "float64": """
tanh, exp, log, sqrt = math.tanh, math.exp, math.log, math.sqrt
sigmoid = inline(runtime.sigmoid64)
""",
}


def print_kernel(cell: Cell, traced: Traced, features: FeatureLayout, width: int, dtype: str) -> Kernel:
    """Print the kernel of a traced cell.

    Args:
        width: lanes of a block, W.
        dtype: ``float32`` or ``float64``.

    Raises:
        Unsupported: the step has something that cannot be derived.
    """
    printer = Printer(cell, traced, features, width)
    programs = printer.programs()
    variables = cell.state()
    initial = [0.0] * printer.row
    for (name, _unit), slot in printer.state_slot.items():
        initial[slot] = variables[name].initial
    views = ["z = tr[b - RW : b + RW]", *(f"z{lag} = tr[b - {lag} * RW : b - {lag - 1} * RW]" for lag in sorted(printer.lags))]
    source = MODULE.format(
        dtype=dtype, width=width, row=printer.row * width, lead=printer.lead, loss=printer.loss, parameters=printer.N, work=printer.work,
        outputs=len(traced.outputs), functions=FUNCTIONS[dtype],
        views=indented(views, 2, width),
        constants="\n".join(f"{name} = real({value!r})" for value, name in printer.constants.items()),
        **{name: indented(lines, 2 if name in ("forward", "backward") else 1, width) for name, lines in programs.items()},
    )  # fmt: skip
    d = [slot for (name, _), slot in printer.state_slot.items() if name == "d"]
    return Kernel(source, width, printer.work, printer.row, printer.lead, printer.output_slot, d, initial)


def indented(lines: list[str], depth: int, width: int) -> str:
    text = [("    " * depth) + line.replace("LANES:", f"range({width}):") for line in lines]
    return "\n".join(text or ["    " * depth + "pass"])
