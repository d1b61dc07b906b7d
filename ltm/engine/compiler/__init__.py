"""From a network's step to a kernel: traced on arrays, differentiated, laid out, and printed as explicit vectors for numba."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

import numpy as np

from ltm.cells import Network
from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.layout import FeatureLayout, Handed, Layout, Memory, Slot
from ltm.engine.compiler.lookups import MIXED, STARTED, dropped, looked_up
from ltm.engine.compiler.render import BUFFERS, Printer
from ltm.engine.compiler.skeleton import batches, common, series
from ltm.engine.compiler.target import vector
from ltm.engine.compiler.tracing import Stage, Traced, Unsupported, trace
from ltm.engine.compiler.update import numbers_of, optimised, rows_of
from ltm.training import stopping
from ltm.training.losses import Loss
from ltm.training.optimizers import Optimizer

__all__ = ["FeatureLayout", "Kernel", "Layout", "Program", "Stage", "Traced", "Unsupported", "kernel", "stages_of", "trace"]

CHUNK = {"seeds": 8, "entries": 32, "units": 16}
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
    carry: int
    copies: int
    row: int
    lead: int
    scratch: int
    outputs: list[int]
    d: list[int]
    initial: list[float]
    flops: list[int]


@dataclass(frozen=True)
class Program:
    """What is to be compiled, whatever a vector is.

    Attributes:
        stages: from the inputs to the read-out, which is the last.
        labelled: a target a sequence, else one a step; ``series``: one sequence, whose losses are judged and whose updates are made within the kernel.
        exponential: filters over states run as sums of exponentials.
        target: ``cpu`` or ``cuda`` (a thread is a lane, a block of threads a group).
    """

    network: Network
    stages: tuple[Stage, ...]
    loss: Loss
    optimizer: Optimizer
    features: FeatureLayout
    labelled: bool
    series: bool
    exponential: bool
    dtype: str
    target: str


def stages_of(network: Network, features: dict[str, tuple[int, ...]], inside: bool, held: bool) -> tuple[Stage, ...]:
    """The programs of a network from the inputs to the read-out.

    Args:
        features: shape of every feature of one step of an input.
        inside: the read-out follows every step, and belongs to the stage of the last layer where that is one cell.
        held: sequences are padded.
    """
    out: list[Stage] = []
    below: tuple[int, ...] = (network.embedding,) if network.embedding else ()
    for i in range(len(network.layers)):
        parts = network.of_layer(i)
        for part in parts:
            own = part.cell.features(np.zeros((1, part.cell.input_size)))
            reads: dict[str, tuple[int, ...]] = {name: (part.cell.input_size,) for name in own if name != "now"}
            if not i and not network.embedding:
                reads = {name: features[name] for name in own}
            if held and part.reverse:
                reads["on"] = (1,)
            head = inside and len(parts) == 1 and i == len(network.layers) - 1
            out.append(Stage(part, head, reads, below, held and part.reverse))
        below = tuple(size for part in parts for _, size in part.outputs)
    return tuple(out) if out[-1].head else (*out, Stage(None, True, {}, below))


HEADER = """# Generated from a cell's step by ltm.engine.compiler.
import math
import numpy as np
{target}
from ltm.training.optimizers import Constants
from ltm.training.stopping import BEST_EPOCH, BEST_VALIDATION, BEST_WATCHED, COMPLETED, DIVERGED, EPOCH, RUNNING, STALE, STATE, STOPPED, SUCCEEDED, TRAIN_AT_BEST

real = np.{dtype}
W, VECTOR, LANES, ENTRIES, N, SIZE, WORK, CARRY, LOSS, RW, WIDTH, TARGETS, WEIGHTS, OUTPUTS, GATHERED, APART, ROWS = {numbers}
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


def kernel(program: Program, traced: Sequence[Traced], layout: Layout) -> Kernel:
    """Print the kernel of a traced network.

    Raises:
        Unsupported: a step has something that cannot be derived.
    """
    network, memory, printers = program.network, Memory(layout, program.series), []
    beside: list[Handed] = []
    lookups = looked_up(network, memory)
    for stage, trace_of in zip(program.stages, traced, strict=True):
        here = Printer(network, stage, trace_of, program.features, memory, program.exponential, program.labelled)
        handed = here.handed()
        beside = [*beside, *handed] if stage.reverse else handed
        if stage.part and stage.part is network.of_layer(stage.part.layer)[-1]:
            memory.outputs = beside
        printers.append(here)
    programs = {}
    for here in reversed(printers):  # what is written first into an adjoint is what runs first on the way back
        programs[here] = here.programs()
    wide = layout.row
    work, carry, row = (-(-memory.sizes[b] * layout.size(b) // wide) * wide for b in ("w", "ca", "tr"))
    size = -(-network.size * layout.size("p") // wide) * wide
    targets = 0 if program.labelled else network.output_size * layout.size("ta")
    weights = 0 if program.series else layout.size("sw")
    numbers = (
        wide, layout.width, layout.lanes, layout.entries, network.size, size, work, carry, memory.loss.index * layout.size("w"), row,
        program.features.width * layout.size("f"), targets, weights, network.output_size, layout.gathered, program.stages[-1].part is None,
        rows_of(program.optimizer),
    )  # fmt: skip
    start = memory.start(program.exponential)
    update = optimised(program.optimizer, memory)
    constants = {"ZERO": "0.0", "ONE": "1.0", "TWO": "2.0", "FOUR": "4.0", "LOWEST": "-inf"} | {v: k for k, v in memory.constants.items()}

    def function(name: str, lines: list[str], extra: str = "", buffers: str = BUFFERS, by: str = "printed") -> str:
        used = set(" ".join(lines).replace("(", " ").replace(")", " ").replace(",", " ").split())
        head = [f"{c} = full({c}_)" for c in constants if c in used]
        return "\n".join([f"@{by}\ndef {name}({buffers}{extra}):", *indented([*head, *(lines or ["pass"])]), ""])

    text = []
    for i, here in enumerate(printers):
        made, (before, after), (before_back, after_back) = programs[here], here.around["forward"], here.around["backward"]
        ahead, back = "for t in range(first, end):", "for t in range(end - 1, first - 1, -1):"
        chunk = CHUNK[layout.kind]
        due = f"if t % {chunk} == 0 or t == first:", f"    weights_{i}({BUFFERS}, t, min(t - t % {chunk} + {chunk}, end), T)"
        if here.stage.reverse:
            ahead, back = back, ahead
            due = f"if (t + 1) % {chunk} == 0 or t == end - 1:", f"    weights_{i}({BUFFERS}, max(t - t % {chunk}, first), t + 1, T)"
        for name in ("prologue", "epilogue"):
            text.append(function(f"{name}_{i}", [*start, *made[name]]))
        text.append(
            function(
                f"forward_{i}",
                [*start, *made["ends"], *before, ahead, *indented([*here.bases, *made["forward"]]), *after],
                ", first, end, T",
            )
        )
        text.append(function(f"weights_{i}", [*start, *made["weights"]], ", t0, t1, T"))
        lines = [*here.bases, *made["backward"], *(due if made["weights"] else ())]
        text.append(function(f"backward_{i}", [*start, *before_back, back, *indented(lines), *after_back], ", first, end, T"))
    text += drivers(printers, function, lookups, program.target)
    text.append(function("optimise", update, "", "p, g, slots, s, constants"))
    skeleton = (stopping, common, series) if program.series else (common, batches)
    body = numbers_of(program.optimizer) + "".join(map(text_of, skeleton)).replace("\ndef judge(", "\n@inner\ndef judge(")
    if program.target == "cpu":
        names = "\n".join(f'{name} = functions["{name}"]' for name in vector.functions(program.dtype, layout.width))
        own = ""
        head = CPU.format(dtype=program.dtype, width=layout.width, names=names, lanes=layout.lanes)
    else:
        from ltm.engine.compiler.target import scalar  # only here: numba may be without CUDA

        own = text_of(scalar)
        head = "from numba import cuda"
    values = "\n".join(f'{name}_ = real("{value}")' for name, value in constants.items())
    source = HEADER.format(target=head, dtype=program.dtype, numbers=numbers) + "\n".join([values, own, *text]) + body
    initial = [0.0] * (row // layout.size("tr"))
    for here in printers:
        for name, first in here.state_slot.items():
            initial[first : first + here.variables[name].size] = [here.variables[name].initial] * here.variables[name].size
    scale = layout.size("tr")
    d = [here.state_slot["d"] + i for here in printers if "d" in here.variables for i in range(here.variables["d"].size)]
    return Kernel(
        source, layout, size, work, carry, (-(-(memory.sizes["wt"] + 16) // 16) * 16) * layout.size("wt"), row, memory.lead, rows_of(program.optimizer) * wide,
        [(printers[-1].output_slot + i) * scale for i in range(network.output_size)], [i * scale for i in d], initial,
        [sum(here.flops[k] for here in printers) for k in range(2)],
    )  # fmt: skip


def drivers(printers: Sequence[Printer], function: Callable[..., str], lookups: tuple[list[str], list[str]], target: str) -> list[str]:
    """The functions that run the stages one after another."""
    last, apart = len(printers) - 1, printers[-1].stage.part is None
    every = range(len(printers))
    text = [function(name, [f"{name}_{i}({BUFFERS})" for i in every]) for name in ("prologue", "epilogue")]
    start = printers[0].memory.start(printers[0].exponential)
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
