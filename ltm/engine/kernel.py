"""The module that is compiled for a cell: its four printed programs, and around them one epoch, many epochs, and prediction."""

from __future__ import annotations

from dataclasses import dataclass

from ltm.cells import Network
from ltm.engine.emit import FeatureLayout, Printer
from ltm.engine.trace import Traced


@dataclass(frozen=True)
class Kernel:
    """The source of a cell's kernel, and the sizes that its caller must know, in slots of W lanes.

    ``flops`` counts the floating-point operations of one lane in a forward and in a backward step; ``outputs`` and ``d`` are row slots of the read-out and of the state d; ``initial`` the initial value of every row slot.
    """

    source: str
    width: int
    work: int
    row: int
    lead: int
    outputs: list[int]
    d: list[int]
    initial: list[float]
    flops: list[int]


MODULE = """# Generated from a cell's step by ltm.engine; see ltm/engine/kernel.py.
import math
import numpy as np
from numba import {imports}
from ltm.engine import runtime

real = np.{dtype}
W = {width}
RW = {row}
ZERO, ONE = real(0), real(1)
{constants}
{functions}

@inner
def prologue(w):
    {lane}
{prologue}

@inner
def forward(w, tr, f, px, kt, first, end):
    {lane}
    K = int(kt[0])
    for t in range(first, end):
        b = (t + {lead}) * RW
{views}
{forward}

@inner
def backward(w, tr, f, px, kt, end):
    {lane}
    K = int(kt[0])
    for t in range(end - 1, -1, -1):
        b = (t + {lead}) * RW
{views}
{backward}

@inner
def epilogue(w):
    {lane}
{epilogue}

@outer
def sweep(w, tr, f, px, kt, first, end, total):
    # Losses are summed in chunks, so that float32 loses nothing over thousands of steps.
    {lane}
    for l in LANES:
        w[total * W + l] = ZERO
    for t in range(first, end, 64):
        for l in LANES:
            w[{loss} * W + l] = ZERO
        forward(w, tr, f, px, kt, t, min(t + 64, end))
        for l in LANES:
            w[total * W + l] += w[{loss} * W + l]

@outer
def gradient(w, tr, f, px, kt, train, end):
    {lane}
    for i in range({parameters}, {work}):
        for l in LANES:
            w[i * W + l] = ZERO
    prologue(w)
    sweep(w, tr, f, px, kt, 0, train, {loss} + 1)
    sweep(w, tr, f, px, kt, train, end, {loss} + 2)
    backward(w, tr, f, px, kt, train)
    epilogue(w)
    for l in LANES:
        w[({loss} + 1) * W + l] /= real(train * {outputs})
        w[({loss} + 2) * W + l] /= real(max(end - train, 1) * {outputs})

update = outer(runtime.update)

@{entry}
def advance(epochs, params, m, v, best, reals, counts, protocol, ws, trs, f, px, kt, train, end, curves):
    {lane}
    for block in {blocks}:
        w, tr = ws[{memory}], trs[{memory}]
        for i in range({parameters}):
            for l in LANES:
                w[i * W + l] = params[block, i, l]
        for e in range(epochs):
            running = False
            for l in LANES:
                running = running or counts[block, 3, l] == 0
            if not running:
                break
            gradient(w, tr, f, px, kt, train, end)
            for l in LANES:
                update(l, {parameters}, W, {loss}, w, m[block], v[block], best[block], reals[block], counts[block], protocol, curves[block], e)
        for i in range({parameters}):
            for l in LANES:
                params[block, i, l] = w[i * W + l]

@{entry}
def gradients(params, grads, losses, ws, trs, f, px, kt, train, end):
    {lane}
    for block in {blocks}:
        w, tr = ws[{memory}], trs[{memory}]
        for i in range({parameters}):
            for l in LANES:
                w[i * W + l] = params[block, i, l]
        gradient(w, tr, f, px, kt, train, end)
        for l in LANES:
            losses[block, 0, l], losses[block, 1, l] = w[({loss} + 1) * W + l], w[({loss} + 2) * W + l]
        for i in range({parameters}):
            for l in LANES:
                grads[block, i, l] = w[({parameters} + i) * W + l]

@{entry}
def predict(params, slots, out, ws, trs, f, px, kt, length):
    {lane}
    lead = {lead_of_table}
    for block in {blocks}:
        w, tr = ws[{memory}], trs[{memory}]
        for i in range({work}):
            for l in LANES:
                w[i * W + l] = params[block, i, l] if i < {parameters} else ZERO
        prologue(w)
        forward(w, tr, f, px, kt, 0, length)
        for t in range(length):
            for j in range(len(slots)):
                for l in LANES:
                    out[block, t, j, l] = tr[(t + lead) * RW + slots[j] * W + l]
"""

FUNCTIONS = {
    ("cpu", "float32"): """
FAST = {"contract", "nsz", "arcp", "reassoc"} # but NaN and infinity are kept: they are how divergence is seen
inner = njit(fastmath=FAST, error_model="numpy")
outer = njit(error_model="numpy")

@intrinsic
def half_power_of_two(context, n):
    def code(context, builder, signature, args):
        from llvmlite import ir
        whole = builder.fptosi(args[0], ir.IntType(32))
        bits = builder.shl(builder.add(whole, ir.Constant(ir.IntType(32), 126)), ir.Constant(ir.IntType(32), 23))
        return builder.bitcast(bits, ir.FloatType())
    return types.float32(types.float32), code

exp32 = inner(runtime.exp32)
tanh, sigmoid = inner(runtime.tanh32), inner(runtime.sigmoid32)
log, sqrt, sin, cos, log1p, expm1, pow, floor = math.log, math.sqrt, math.sin, math.cos, math.log1p, math.expm1, math.pow, np.floor

@inner
def exp(x):
    return exp32(x, half_power_of_two)
""",
    ("cpu", "float64"): """
inner = outer = njit(error_model="numpy")
tanh, exp, log, sqrt, sin, cos = math.tanh, math.exp, math.log, math.sqrt, math.sin, math.cos
log1p, expm1, pow, floor = math.log1p, math.expm1, math.pow, np.floor
sigmoid = inner(runtime.sigmoid64)
""",
}
FUNCTIONS["cuda", "float32"] = FUNCTIONS["cuda", "float64"] = """
inner = outer = cuda.jit(device=True)
tanh, exp, log, sqrt, sin, cos = math.tanh, math.exp, math.log, math.sqrt, math.sin, math.cos
log1p, expm1, pow = math.log1p, math.expm1, math.pow

@inner
def floor(x):
    return real(math.floor(x)) if abs(x) < 1e15 else x # larger ones are whole, or NaN

@inner
def sigmoid(x):
    return ONE / (ONE + exp(-x))
"""

TARGETS = {
    "cpu": {
        "imports": "njit, types\nfrom numba.extending import intrinsic",
        "entry": 'njit(error_model="numpy", nogil=True, cache=True)',
        "lane": "",
        "blocks": "range(params.shape[0])",
        "memory": "0",
    },
    "cuda": {
        "imports": "cuda",
        "entry": "cuda.jit",
        "lane": "lane = cuda.threadIdx.x",
        "blocks": "range(cuda.blockIdx.x, cuda.blockIdx.x + 1)",
        "memory": "block",
    },
}
"""What differs between a CPU, where a thread loops over the lanes of block after block, and a GPU, where a thread is a lane."""


def print_kernel(cell: Network, traced: Traced, features: FeatureLayout, width: int, dtype: str, exponential: bool, target: str) -> Kernel:
    """Print the kernel of a traced cell.

    Args:
        width: lanes of a block, W.
        exponential: filters over states run as sums of exponentials.
        target: ``cpu`` or ``cuda``.
        dtype: ``float32`` or ``float64``.

    Raises:
        Unsupported: the step has something that cannot be derived.
    """
    printer = Printer(cell, traced, features, width, exponential)
    programs = printer.programs()
    variables = cell.state()
    initial = [0.0] * printer.row
    for (name, _unit), slot in printer.state_slot.items():
        initial[slot] = variables[name].initial
    lead = f"max({printer.lead}, int(kt[0]) + 1)" if exponential else str(printer.lead)
    views = ["z = tr[b - RW : b + RW]", *(f"z{lag} = tr[b - {lag} * RW : b - {lag - 1} * RW]" for lag in sorted(printer.lags))]
    if exponential:
        views.append("far = tr[b - (K + 1) * RW : b - K * RW]")
    printed = {name: indented(lines, 2 if name in ("forward", "backward") else 1) for name, lines in programs.items()}
    source = MODULE.format(
        dtype=dtype, width=width, row=printer.row * width, lead=lead.replace("int(kt[0])", "K"), lead_of_table=lead, loss=printer.loss,
        parameters=printer.N, work=printer.work, outputs=len(traced.outputs), functions=FUNCTIONS[target, dtype], views=indented(views, 2),
        constants="\n".join(f'{name} = real("{value}")' for value, name in printer.constants.items()), **printed, **TARGETS[target],
    )  # fmt: skip
    source = source.replace("in LANES:", f"in range({width}):" if target == "cpu" else "in range(lane, lane + 1):")
    d = [slot for (name, _), slot in printer.state_slot.items() if name == "d"]
    return Kernel(source, width, printer.work, printer.row, printer.lead, printer.output_slot, d, initial, printer.step_flops)


def indented(lines: list[str], depth: int) -> str:
    return "\n".join("    " * depth + line for line in lines or ["pass"])
