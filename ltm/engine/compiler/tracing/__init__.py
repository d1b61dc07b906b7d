"""Reads a cell's step: it is run once on symbols, whose torch functions are intercepted.

A symbol is a tensor of numbers, one for each element, that stand for the units of nodes. What only moves elements (views, slices,
stacking, writes in place) torch itself does to the numbers, with its own rules of aliasing. What computes makes nodes: stretches of
consecutive numbers become arrays, so that a step on H units is as short for 500 units as for one. Every value and gradient is torch's
own (:mod:`ltm.engine.compiler.tracing.functions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import torch

from ltm.cells import Network
from ltm.engine.compiler.ir import Graph, Node
from ltm.engine.compiler.layout import Layout
from ltm.engine.compiler.tracing.calls import call
from ltm.engine.compiler.tracing.tracer import Pieces, Symbol, Tracer, Unsupported, line_of

MOST_LAGS = 64
"""Past values of a state that are read one by one; filters have no such limit."""


@dataclass(frozen=True)
class Traced:
    """A cell's step as a graph: the new value of every state variable, and the outputs."""

    graph: Graph
    states: dict[str, Pieces]
    outputs: Pieces

    @property
    def roots(self) -> list[Node]:
        return [node for pieces in (*self.states.values(), self.outputs) for node, _ in pieces]

    def same(self, other: Traced) -> bool:
        """Whether two traces are one and the same program."""
        return list(self.graph.nodes) == list(other.graph.nodes) and [n.index for n in self.roots] == [n.index for n in other.roots]


def trace(network: Network, features: dict[str, tuple[int, ...]], layout: Layout) -> Traced:
    """Run a cell's step and read-out on symbols.

    Args:
        features: shape of every feature of one step, by name.
        layout: what a vector is; it decides which products are written out.

    Raises:
        Unsupported: the step has something that is not known here.
    """
    tracer = Tracer(network, features, layout, call)
    states = network.state()
    p = {name: part.as_subclass(Symbol) for name, part in network.unflatten(tracer.parameters).items()}
    x = {name: tracer.sources[name].clone().as_subclass(Symbol) for name in features}
    windows = {name: tracer.sources["state", name].clone().as_subclass(Symbol) for name in states}
    s = {name: w if states[name].lags > 1 else w[0].clone().as_subclass(Symbol) for name, w in windows.items()}
    for value in (tracer.parameters, *x.values(), *windows.values()):
        tracer.hold(value)
    try:
        with torch.enable_grad(), tracer:
            new = network.step(SimpleNamespace(**p), SimpleNamespace(**s), SimpleNamespace(**x))
            y = network.readout(SimpleNamespace(**p), SimpleNamespace(**new))
        traced = Traced(tracer.graph, {name: tracer.pieces(new[name]) for name in states}, tracer.pieces(y))
    except Unsupported:
        raise
    except Exception as error:
        raise Unsupported(f"{str(error).splitlines()[0] if str(error) else type(error).__name__} ({line_of(error)})") from None
    lags = {n.data[2] for n in tracer.graph.nodes.values() if n.op == "read"}
    if len(lags) > MOST_LAGS:
        raise Unsupported(f"{len(lags)} past values are read one by one, more than {MOST_LAGS}; filters.direct has no such limit")
    return traced
