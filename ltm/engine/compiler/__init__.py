"""From a network's step to a kernel: traced on arrays, differentiated, laid out, and printed as explicit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ltm.cells import Network
from ltm.engine.compiler.layout import FeatureLayout, Handed, Layout, Memory
from ltm.engine.compiler.lookups import looked_up
from ltm.engine.compiler.render import Printer
from ltm.engine.compiler.text import module_text
from ltm.engine.compiler.tracing import Stage, Traced, Unsupported, trace
from ltm.engine.compiler.update import rows_of
from ltm.training.losses import Loss
from ltm.training.optimizers import Optimizer

__all__ = ["FeatureLayout", "Kernel", "Layout", "Program", "Stage", "Traced", "Unsupported", "kernel", "stages_of", "trace"]


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


def kernel(program: Program, traced: Sequence[Traced], layout: Layout) -> Kernel:
    """Print the kernel of a traced network.

    Raises:
        Unsupported: a step has something that cannot be derived.
    """
    memory = Memory(layout, program.series)
    lookups = looked_up(program.network, memory)
    printers = printers_of(program, traced, memory)
    # from the last stage down: what is written first into an adjoint is what runs first on the way back
    printed = [(here, here.programs()) for here in reversed(printers)][::-1]
    sizes = sizes_of(program, memory)
    initial = [0.0] * (sizes["RW"] // layout.size("tr"))
    for here in printers:
        for name, first in here.state_slot.items():
            initial[first : first + here.variables[name].size] = [here.variables[name].initial] * here.variables[name].size
    outputs = [printers[-1].output_slot + i for i in range(program.network.output_size)]
    d = [here.state_slot["d"] + i for here in printers if "d" in here.variables for i in range(here.variables["d"].size)]
    source = module_text(program, memory, printed, lookups, sizes)
    scale = layout.size("tr")
    return Kernel(
        source=source,
        layout=layout,
        parameters=sizes["SIZE"],
        work=sizes["WORK"],
        carry=sizes["CARRY"],
        copies=whole_rows(memory.sizes["wt"] + 16, 16) * layout.size("wt"),
        row=sizes["RW"],
        lead=memory.lead,
        scratch=sizes["ROWS"] * layout.row,
        outputs=[i * scale for i in outputs],
        d=[i * scale for i in d],
        initial=initial,
        flops=[sum(here.flops[k] for here in printers) for k in range(2)],
    )


def printers_of(program: Program, traced: Sequence[Traced], memory: Memory) -> list[Printer]:
    """The printers of all stages, each above what the layer below it leaves."""
    network, printers = program.network, []
    beside: list[Handed] = []
    for stage, trace_of in zip(program.stages, traced, strict=True):
        here = Printer(network, stage, trace_of, program.features, memory, program.exponential, program.labelled)
        handed = here.handed()
        beside = [*beside, *handed] if stage.reverse else handed
        if stage.part and stage.part is network.of_layer(stage.part.layer)[-1]:
            memory.outputs = beside
        printers.append(here)
    return printers


def whole_rows(n: int, row: int) -> int:
    """n elements, filled up to whole rows."""
    return -(-n // row) * row


def sizes_of(program: Program, memory: Memory) -> dict[str, int | bool]:
    """The numbers that every kernel has by name (:mod:`ltm.engine.compiler.skeleton`), in elements."""
    layout, network = memory.layout, program.network
    work, carry, row = (whole_rows(memory.sizes[b] * layout.size(b), layout.row) for b in ("w", "ca", "tr"))
    return {
        "W": layout.row, "VECTOR": layout.width, "LANES": layout.lanes, "ENTRIES": layout.entries, "N": network.size,
        "SIZE": whole_rows(network.size * layout.size("p"), layout.row), "WORK": work, "CARRY": carry,
        "LOSS": memory.loss.index * layout.size("w"), "RW": row, "WIDTH": program.features.width * layout.size("f"),
        "TARGETS": 0 if program.labelled else network.output_size * layout.size("ta"), "WEIGHTS": 0 if program.series else layout.size("sw"),
        "OUTPUTS": network.output_size, "GATHERED": layout.gathered, "APART": program.stages[-1].part is None, "ROWS": rows_of(program.optimizer),
    }  # fmt: skip
