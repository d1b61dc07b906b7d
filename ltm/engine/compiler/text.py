"""The text of a kernel's module: its numbers, the printed functions of every stage, what runs them, and the skeleton around them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import TYPE_CHECKING

from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.layout import Memory, Slot
from ltm.engine.compiler.lookups import MIXED, STARTED, dropped
from ltm.engine.compiler.render import BUFFERS, Printer
from ltm.engine.compiler.skeleton import batches, common, series
from ltm.engine.compiler.target import vector
from ltm.engine.compiler.update import numbers_of, optimised, smoothed
from ltm.training import stopping
from ltm.training.losses import smooth_filters

if TYPE_CHECKING:
    from ltm.engine.compiler import Program

Lookups = tuple[list[str], list[str]]
"""The statements that look symbols up, and those that add to the gradients of what was found."""

CHUNK = {"seeds": 8, "entries": 32, "units": 16}
"""Steps over which the gradient of a matrix is summed in registers before it is written."""

CONSTANTS = {"ZERO": "0.0", "ONE": "1.0", "TWO": "2.0", "FOUR": "4.0", "LOWEST": "-inf"}

HEADER = """# Generated from a cell's step by ltm.engine.compiler.
import math
import numpy as np
{target}
from ltm.training.optimizers import Constants
from ltm.training.stopping import BEST_EPOCH, BEST_VALIDATION, BEST_WATCHED, COMPLETED, DIVERGED, EPOCH, RUNNING, STALE, STATE, STOPPED, SUCCEEDED, TRAIN_AT_BEST

real = np.{dtype}
{names} = {numbers}
"""

CPU = """from numba import njit
from ltm.engine.compiler.target import assembler, vector

inner = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)
entry = njit(error_model="numpy", nogil=True, cache=True)
printed = assembler.printed("{dtype}", {width})
functions = vector.functions("{dtype}", {width})
{names}

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


def module_text(
    program: Program,
    memory: Memory,
    printed: Sequence[tuple[Printer, Mapping[str, list[str]]]],
    lookups: Lookups,
    sizes: Mapping[str, int | bool],
) -> str:
    """The source of the module.

    Args:
        printed: the stages from the inputs to the read-out, and their programs by name.
        sizes: the numbers that the skeleton reads, by name.
    """
    layout, update = memory.layout, optimised(program.optimizer, memory)  # which has constants of its own
    functions = Functions(memory, program.exponential)
    text = [part for i, (here, programs) in enumerate(printed) for part in stage_text(functions, i, here, programs)]
    text += drivers(functions, [here for here, _ in printed], lookups, program.target)
    text.append(functions.text("optimise", update, "", "p, g, slots, s, constants"))
    if program.target == "cpu":
        names = "\n".join(f'{name} = functions["{name}"]' for name in vector.functions(program.dtype, layout.width))
        own, head = "", CPU.format(dtype=program.dtype, width=layout.width, names=names, lanes=layout.lanes)
    else:
        from ltm.engine.compiler.target import scalar  # only here: numba may be without CUDA

        own, head = text_of(scalar), "from numba import cuda"
    head = HEADER.format(target=head, dtype=program.dtype, names=", ".join(sizes), numbers=tuple(sizes.values()))
    values = "\n".join(f'{name}_ = real("{value}")' for name, value in functions.constants.items())
    skeleton = (stopping, common, series) if program.series else (common, batches)
    body = (
        numbers_of(program.optimizer)
        + smoothed(smooth_filters(program.network.parameters()))
        + "".join(map(text_of, skeleton)).replace("\ndef judge(", "\n@inner\ndef judge(")
    )
    return head + "\n".join([values, own, *text]) + body


class Functions:
    """Writes functions: their heads, and the constants that they use."""

    def __init__(self, memory: Memory, exponential: bool) -> None:
        self.start = memory.start(exponential)
        self.chunk = CHUNK[memory.layout.kind]
        self.constants = CONSTANTS | {name: value for value, name in memory.constants.items()}

    def text(self, name: str, lines: Sequence[str], extra: str = "", buffers: str = BUFFERS, by: str = "printed") -> str:
        used = set(" ".join(lines).replace("(", " ").replace(")", " ").replace(",", " ").split())
        head = [f"{c} = full({c}_)" for c in self.constants if c in used]
        return "\n".join([f"@{by}\ndef {name}({buffers}{extra}):", *indented([*head, *(lines or ["pass"])]), ""])


def stage_text(functions: Functions, i: int, here: Printer, programs: Mapping[str, list[str]]) -> list[str]:
    """The functions of stage ``i``: before an update and after it, a run of steps forward, the gradients of matrices over some steps, a run backward."""
    (before, after), (before_back, after_back) = here.around["forward"], here.around["backward"]
    ahead, back = "for t in range(first, end):", "for t in range(end - 1, first - 1, -1):"
    chunk, start = functions.chunk, functions.start
    due = f"if t % {chunk} == 0 or t == first:", f"    weights_{i}({BUFFERS}, t, min(t - t % {chunk} + {chunk}, end), T)"
    if here.stage.reverse:
        ahead, back = back, ahead
        due = f"if (t + 1) % {chunk} == 0 or t == end - 1:", f"    weights_{i}({BUFFERS}, max(t - t % {chunk}, first), t + 1, T)"
    forward = [*programs["ends"], *before, ahead, *indented([*here.bases, *programs["forward"]]), *after]
    steps = [*here.bases, *programs["backward"], *(due if programs["weights"] else ())]
    return [
        functions.text(f"prologue_{i}", [*start, *programs["prologue"]]),
        functions.text(f"epilogue_{i}", [*start, *programs["epilogue"]]),
        functions.text(f"forward_{i}", [*start, *forward], ", first, end, T"),
        functions.text(f"weights_{i}", [*start, *programs["weights"]], ", t0, t1, T"),
        functions.text(f"backward_{i}", [*start, *before_back, back, *indented(steps), *after_back], ", first, end, T"),
    ]


def drivers(functions: Functions, printers: Sequence[Printer], lookups: Lookups, target: str) -> list[str]:
    """The functions that run the stages one after another."""
    function, start = functions.text, functions.start
    last, apart = len(printers) - 1, printers[-1].stage.part is None
    every = range(len(printers))
    text = [function(name, [f"{name}_{i}({BUFFERS})" for i in every]) for name in ("prologue", "epilogue")]
    before = [*start, *lookups[0]] if lookups[0] else []
    text.append(function("below", [*before, *(f"forward_{i}({BUFFERS}, 0, end, T)" for i in every[:-1])], ", end, T"))
    text.append(function("forward", [f"forward_{last}({BUFFERS}, first, end, T)"], ", first, end, T"))
    back = [
        f"backward_{last}({BUFFERS}, {'first' if apart else 0}, end, T)",
        *(f"backward_{i}({BUFFERS}, 0, end, T)" for i in reversed(every[:-1])),
    ]
    text.append(function("backward", [*back, *([*start, *lookups[1]] if lookups[1] else [])], ", first, end, T"))
    text.append(function("clean", cleaned(printers[-1]) if apart else [], ", first, end"))
    fill = ["for k in range(ROWS):", "    for j in range(LANES, W):", "        s[k * W + j] = s[k * W + j % LANES]"]
    drawn, ones = ([*start, *lines] if lines else [] for lines in dropped(printers))
    text += [MIXED, STARTED] if drawn else []
    text.append(function("train_masks", drawn, buffers="w, tr, kt, T, keys, settings, n, place", by="inner"))
    text.append(function("no_masks", ones, buffers="w, tr, kt, T", by="inner"))
    text.append(function("each_lane", fill if target == "cpu" else [], buffers="s"))
    return text


def cleaned(head: Printer) -> list[str]:
    """Adjoints of the last layer back to 0 in the rows that the read-out has written: in all others they are."""
    layout, lines = head.layout, [*head.memory.start(head.exponential), "for t in range(first, end):", "    q = (t + lead) * RW"]
    for piece in head.below:
        n, slot = piece.n, Slot("tr", piece.bar, head.row(piece))
        lines += indented(
            layout.over_lanes([f"for u in range(0, {n}, {layout.step}):", f"    {layout.store(slot, 'ZERO', n, left=f'{n} - u', u=1)}"])
        )
    return lines
