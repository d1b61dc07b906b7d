"""Reads a cell's step: it is run once on symbols, whose torch functions are intercepted.

A symbol is a tensor of numbers, one for each element, that stand for the units of nodes. What only moves elements (views, slices,
stacking, writes in place) torch itself does to the numbers, with its own rules of aliasing. What computes makes nodes: stretches of
consecutive numbers become arrays, so that a step on H units is as short for 500 units as for one. Every value and gradient is torch's
own (:mod:`ltm.engine.compiler.tracing.functions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch

from ltm.cells import Network, State
from ltm.cells.network import Part
from ltm.engine.compiler.ir import Graph, Node
from ltm.engine.compiler.layout import Layout
from ltm.engine.compiler.tracing.calls import call
from ltm.engine.compiler.tracing.tracer import Pieces, Symbol, Tracer, Unsupported, line_of
from ltm.training.losses import Loss

MOST_LAGS = 64
"""Past values of a state that are read one by one; filters have no such limit."""


@dataclass(frozen=True)
class Stage:
    """One program of a kernel: a cell of the network, its read-out with the loss, or both in one where the read-out follows every step of the
    only cell of the last layer.

    Attributes:
        reads: the shape of every feature of one step, by name: of the inputs, or ``now`` of the layer below (``below``: its pieces' sizes).
        held: keeps its states on padding (``x.on`` is 0), as it reads time backwards.
    """

    part: Part | None
    head: bool
    reads: dict[str, tuple[int, ...]]
    below: tuple[int, ...] = ()
    held: bool = False

    @property
    def reverse(self) -> bool:
        return self.part is not None and self.part.reverse

    @property
    def state(self) -> dict[str, State]:
        return self.part.cell.state() if self.part else {}


@dataclass(frozen=True)
class Traced:
    """A stage as a graph: the new value of every state variable, outputs and loss where it has the read-out."""

    graph: Graph
    states: dict[str, Pieces]
    outputs: Pieces
    loss: Node | None

    @property
    def roots(self) -> list[Node]:
        nodes = [node for pieces in (*self.states.values(), self.outputs) for node, _ in pieces]
        return [*nodes, self.loss] if self.loss else nodes

    def same(self, other: Traced) -> bool:
        """Whether two traces are one and the same program."""
        return list(self.graph.nodes) == list(other.graph.nodes) and [n.index for n in self.roots] == [n.index for n in other.roots]


def trace(network: Network, stage: Stage, loss: Loss, layout: Layout) -> Traced:
    """Run a stage's step on symbols.

    Args:
        layout: what a vector is; it decides which products are written out.

    Raises:
        Unsupported: the step has something that is not known here.
    """
    tracer = Tracer(layout, call, network.size)
    p = {name: value.as_subclass(Symbol) for name, value in network.unflatten(tracer.parameters).items()}
    tracer.hold(tracer.parameters)
    x = {name: tracer.feature(name, shape) for name, shape in stage.reads.items()}
    if stage.below:
        pieces = [tracer.feature(f"now {i}", (size,), "below") for i, size in enumerate(stage.below)]
        x["now"] = tracer.symbol(torch.cat([piece.as_subclass(torch.Tensor) for piece in pieces]))
    windows = {name: tracer.window(name, state) for name, state in stage.state.items()}
    target = tracer.feature("target", (network.output_size,)) if stage.head else None
    try:
        with torch.enable_grad(), tracer:
            new = stepped(stage, p, windows, x)
            y = None
            if stage.head:
                top = x["now"] if stage.part is None else network.joined([new], stage.part.layer)
                y = network.read(p, top).reshape(network.output_size)
        with torch.enable_grad(), tracer:
            value = loss.step(y, target) if y is not None and target is not None else None
        return checked(Traced(
            tracer.graph, {name: tracer.pieces(new[name]) for name in stage.state}, tracer.pieces(y) if stage.head else [],
            tracer.pieces(value)[0][0] if stage.head else None,
        ))  # fmt: skip
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"{str(error).splitlines()[0] if str(error) else type(error).__name__} ({line_of(error)})") from None


def stepped(stage: Stage, p: Mapping[str, Any], windows: Mapping[str, Any], x: Mapping[str, Any]) -> dict[str, Any]:
    """The new value of every state."""
    if stage.part is None:
        return {}
    last = {name: w if stage.state[name].lags > 1 else w[0].clone().as_subclass(type(w)) for name, w in windows.items()}
    new = stage.part.cell.step(stage.part.own(p), SimpleNamespace(**last), SimpleNamespace(**x))
    if stage.held:
        new = {name: torch.where(x["on"] > 0, value, windows[name][0]) for name, value in new.items()}
    return new


def checked(traced: Traced) -> Traced:
    """A trace that reads no more past values one by one than are worth printing.

    Raises:
        Unsupported: it does.
    """
    lags = {n.data[2] for n in traced.graph.nodes.values() if n.op == "read"}
    if len(lags) > MOST_LAGS:
        raise Unsupported(f"{len(lags)} past values are read one by one, more than {MOST_LAGS}; filters.direct has no such limit")
    return traced
