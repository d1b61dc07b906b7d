"""From a network's step to a kernel: traced on arrays, differentiated, laid out, and printed as explicit vectors for numba."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import ModuleType

from ltm.cells import Network
from ltm.engine.compiler import skeleton, vector
from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.layout import Layout
from ltm.engine.compiler.render import BUFFERS, FeatureLayout, Printer
from ltm.engine.compiler.tracing import Traced, Unsupported, trace

__all__ = ["FeatureLayout", "Kernel", "Layout", "Traced", "Unsupported", "kernel", "trace"]

CHUNK = {"seeds": 8, "entries": 8, "units": 16}
"""Steps over which the gradient of a matrix is summed in registers before it is written."""


@dataclass(frozen=True)
class Kernel:
    """The source of a network's kernel, and what its caller must know, in elements of memory.

    ``flops`` counts the floating-point operations of one lane in a forward and in a backward step; ``outputs`` and ``d`` are where the
    outputs and the memory parameter d lie in a row of the trajectory; ``initial`` the row before the first step; ``lead`` how many such.
    """

    source: str
    layout: Layout
    parameters: int
    work: int
    copies: int
    row: int
    lead: int
    outputs: list[int]
    d: list[int]
    initial: list[float]
    flops: list[int]


HEADER = """# Generated from a cell's step by ltm.engine.compiler.
import math
import numpy as np
{target}
from ltm.engine.base import COMPLETED, DIVERGED, RUNNING, STOPPED

real = np.{dtype}
W, LANES, N, SIZE, WORK, LOSS, RW, WIDTH, OUTPUTS = {numbers}
"""

CPU = """from numba import njit
from ltm.engine.compiler import vector

inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
entry = njit(error_model="numpy", nogil=True, cache=True)
functions = vector.functions("{dtype}", {width})
{names}
each = {each}

@inner
def lanes():
    return range({lanes})

@inner
def groups(n):
    return range(n)

@inner
def mine(group):
    return 0
"""


def text_of(module: ModuleType) -> str:
    """What every kernel contains of a module's source: all below its line."""
    return inspect.getsource(module).split("# ---- of every kernel")[1].partition("\n")[2].replace("  # type: ignore[no-untyped-def]", "")


def kernel(network: Network, traced: Traced, features: FeatureLayout, layout: Layout, dtype: str, exponential: bool, target: str) -> Kernel:
    """Print the kernel of a traced network.

    Args:
        exponential: filters over states run as sums of exponentials.
        dtype: ``float32`` or ``float64``.
        target: ``cpu`` or ``cuda`` (a thread is a lane, a block of threads a group).

    Raises:
        Unsupported: the step has something that cannot be derived.
    """
    printer = Printer(network, traced, features, layout, exponential)
    programs = printer.programs()
    wide = layout.width
    work, row = (-(-printer.sizes[b] * layout.size(b) // wide) * wide for b in ("w", "tr"))
    size = -(-network.size * layout.size("p") // wide) * wide
    outputs = sum(n for _, n in traced.outputs)
    loss = printer.loss.index * layout.size("w")
    numbers = (wide, layout.lanes, network.size, size, work, loss, row, features.width * layout.size("f"), outputs)
    lead = f"max({printer.lead}, K + 1)" if exponential else str(printer.lead)
    constants = {"ZERO": "0.0", "ONE": "1.0", "TWO": "2.0", "FOUR": "4.0", "LOWEST": "-inf"} | {v: k for k, v in printer.constants.items()}

    def function(name: str, lines: list[str], extra: str = "", loop: str = "", after: tuple[str, ...] = ()) -> str:
        before, done = printer.around.get(name, ([], []))
        used = set(" ".join([*before, *lines, *done]).replace("(", " ").replace(")", " ").replace(",", " ").split())
        head = [f"{c} = full({c}_)" for c in constants if c in used]
        if loop:
            lines = [*before, loop, *indented(["q = (t + lead) * RW", "x = t * WIDTH", *lines, *after]), *done]
        body = ["K = int(kt[0])", f"lead = {lead}", *head, *lines]
        return "\n".join([f"@inner\ndef {name}({BUFFERS}{extra}):", *indented(body), ""])

    text = [function(name, programs[name]) for name in ("prologue", "epilogue")]
    text.append(function("forward", programs["forward"], ", first, end", "for t in range(first, end):"))
    text.append(function("weights", programs["weights"] or ["pass"], ", t0, t1"))
    chunk = CHUNK[layout.kind]
    after = (f"if t % {chunk} == 0:", f"    weights({BUFFERS}, t, min(t + {chunk}, end))") if programs["weights"] else ()
    text.append(function("backward", programs["backward"], ", end", "for t in range(end - 1, -1, -1):", after))
    body = text_of(skeleton)
    if target == "cpu":
        names = "\n".join(f'{name} = functions["{name}"]' for name in vector.functions(dtype, wide))
        own = ""
        head = CPU.format(dtype=dtype, width=wide, names=names, lanes=layout.lanes, each="load" if layout.kind == "seeds" else "spread")
    else:
        from ltm.engine.compiler import scalar  # only here: numba may be without CUDA

        own = text_of(scalar)
        head = "from numba import cuda"
    values = "\n".join(f'{name}_ = real("{value}")' for name, value in constants.items())
    source = HEADER.format(target=head, dtype=dtype, numbers=numbers) + "\n".join([values, own, *text]) + body
    initial = [0.0] * (row // layout.size("tr"))
    variables = network.state()
    for name, first in printer.state_slot.items():
        initial[first : first + variables[name].size] = [variables[name].initial] * variables[name].size
    d = range(printer.state_slot["d"], printer.state_slot["d"] + variables["d"].size) if "d" in variables else ()
    scale = layout.size("tr")
    return Kernel(
        source, layout, size, work, -(-(printer.sizes["wt"] + 16) // 16) * 16, row, printer.lead,
        [(printer.output_slot + i) * scale for i in range(outputs)], [i * scale for i in d], initial, printer.flops,
    )  # fmt: skip
