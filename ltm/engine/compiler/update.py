"""Prints an optimiser: its elementwise function as a loop over all parameters of a group, a vector at a time."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import torch

from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.ir import OPERATIONS, Node, below
from ltm.engine.compiler.layout import Layout, Memory
from ltm.engine.compiler.target.vector import Processor
from ltm.engine.compiler.tracing import Symbol, Tracer
from ltm.engine.compiler.tracing.calls import call
from ltm.training.losses import Filters
from ltm.training.optimizers import Constants, Optimizer
from ltm.training.state import SETTINGS

FIRST = 6
"""Rows of the scratch ``s`` before those of the settings (:mod:`ltm.engine.compiler.skeleton.common`)."""


def optimised(optimizer: Optimizer, memory: Memory) -> list[str]:
    """The statements of ``optimise(p, g, slots, s, constants)``: one update of the lanes that are on, with gradients scaled and bounded."""
    tracer = Tracer(Layout("seeds", 16, Processor("", 16, 32), 16), call)
    names: dict[Node, str] = {}

    def leaf(name: str, text: str) -> Symbol:
        symbol = tracer.feature(name, ())
        names[tracer.pieces(symbol)[0][0]] = text
        return symbol

    p, g = leaf("p", "x"), leaf("g", "slope")
    slots = SimpleNamespace(**{name: leaf(f"slot {name}", f"s{i}") for i, name in enumerate(optimizer.slots)})
    rows = {name: FIRST + i for i, name in enumerate((*SETTINGS, *optimizer.named))}
    k = {name: leaf(name, f"k_{name}") for name in (*rows, *Constants._fields)}
    with torch.enable_grad(), tracer:
        new, changed = optimizer.step(p, g, slots, SimpleNamespace(**k))
    results = [tracer.pieces(value)[0][0] for value in (new, *(changed[name] for name in optimizer.slots))]
    body = ["x = load(p, i)", "slope = mul(load(g, i), scale)"]
    body += ["slope = where(less(bound, slope), bound, where(less(slope, neg(bound)), neg(bound), slope))"]
    body += [f"s{i} = load(slots, {i} * SIZE + i)" for i in range(len(optimizer.slots))]
    body += straight(results, names, memory)
    body += [f"store(slots, {i} * SIZE + i, where(on, {names[node]}, s{i}))" for i, node in enumerate(results[1:])]
    body.append(f"store(p, i, where(on, {names[results[0]]}, x))")
    used = " ".join(body)
    head = [f"k_{name} = load(s, {row} * W)" for name, row in rows.items() if f"k_{name}" in used]
    head += [f"k_{name} = full(constants[{i}])" for i, name in enumerate(Constants._fields) if f"k_{name}" in used]
    head += [f"{name} = load(s, {name.upper()} * W)" for name in ("on", "scale", "bound")]
    return [*head, "for i in range(0, SIZE, VECTOR):", *indented(body)]


def straight(results: list[Node], names: dict[Node, str], memory: Memory) -> list[str]:
    """Statements of pointwise nodes in their order; a product that is part of one sum only is fused with it."""
    needed = below(results, set(names))
    uses = [arg for node in needed if node not in names for arg in node.args] + results
    single = {node for node in needed if node.op == "mul" and uses.count(node) == 1 and node not in names}
    single &= {arg for node in needed if node.op in ("add", "sub") for arg in node.args}
    lines = []

    def value(node: Node) -> str:
        if node in names:
            return names[node]
        if node.op == "const":
            return memory.constant(node.data)
        return f"mul({value(node.args[0])}, {value(node.args[1])})"

    for node in needed:
        if node in names or node.op == "const" or node in single:
            continue
        if node.op in ("add", "sub") and any(arg in single for arg in node.args):
            product, other = node.args if node.args[0] in single else node.args[::-1]
            name = "fma" if node.op == "add" else "fms" if product is node.args[0] else "fnma"
            text = f"{name}({value(product.args[0])}, {value(product.args[1])}, {value(other)})"
        else:
            code = OPERATIONS[node.op].text
            texts = [value(arg) for arg in node.args]
            text = code(node, *texts) if callable(code) else code.format(*texts)
        names[node] = f"v{node.index}"
        lines.append(f"v{node.index} = {text}")
    return lines


def numbers_of(optimizer: Optimizer) -> str:
    """The text of ``further``, which puts what an optimiser computes once an update into the scratch of a lane."""
    if optimizer.numbers is None:
        return "\n\n@inner\ndef further(s, l, n, constants):\n    pass\n"
    first = FIRST + len(SETTINGS)
    lines = [
        f"values = {optimizer.numbers.__name__}(s[{FIRST} * W + l], n, Constants({', '.join(f'constants[{i}]' for i in range(len(Constants._fields)))}))"
    ]
    lines += [f"s[{first + i} * W + l] = real(values[{i}])" for i in range(len(optimizer.named))]
    source = inspect.getsource(optimizer.numbers).split(":\n", 1)  # numba needs no annotations
    parameters = ", ".join(inspect.signature(optimizer.numbers).parameters)
    own = f"\n\n@inner\ndef {optimizer.numbers.__name__}({parameters}):\n{source[1]}"
    return own + "\n".join(["\n@inner", "def further(s, l, n, constants):", *indented(lines), ""])


def smoothed(filters: Filters) -> str:
    """The text of ``smoothed``, which adds ``weight`` times :func:`ltm.training.losses.roughness_gradient` to the gradient of lane ``l``, in float64."""
    lines = []
    for first, K, I in filters:
        places = [f"(i + {lag * I}) * LANES + l" for lag in range(3)]
        bend = " + ".join(f"{factor} * np.float64(p[{place}])" for factor, place in zip((1.0, -2.0, 1.0), places, strict=True))
        lines += [f"for i in range({first}, {first + (K - 2) * I}):", f"    bend = 2.0 * weight * ({bend})"]
        lines += [f"    g[{place}] += real({factor} * bend)" for factor, place in zip((1.0, -2.0, 1.0), places, strict=True)]
    body = ["if weight > 0.0:", *indented(lines)] if lines else ["pass"]
    return "\n".join(["\n\n@inner", "def smoothed(p, g, l, weight):", *indented(body), ""])


def rows_of(optimizer: Optimizer) -> int:
    """Rows of the scratch."""
    return FIRST + len(SETTINGS) + len(optimizer.named) + 1
