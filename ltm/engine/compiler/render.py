"""Lays out the memory of a kernel, and says what its programs are: prologue, forward and backward step, gradients of matrices, epilogue.

Memory of one group of lanes: parameters ``p`` and gradients ``g``, work ``w``, and the trajectory ``tr``, a row a time step: states,
results that the backward step needs, adjoints that are read at longer lags or by the gradients of matrices.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ltm.cells import Network
from ltm.engine.compiler.blocks import Outer
from ltm.engine.compiler.ir import OPERATIONS, Node, adjoints, below, tiled
from ltm.engine.compiler.layout import Layout, Slot
from ltm.engine.compiler.program import Program, Store
from ltm.engine.compiler.tracing import Traced, Unsupported

BUFFERS = "p, g, w, wt, tr, f, px, kt"


@dataclass(frozen=True)
class FeatureLayout:
    """Where features lie in the flat arrays that a kernel reads; none of it depends on the length of the series.

    ``f``: the gradient's scale 2/(train O), then ``width`` values a time step, ``rows[name]`` the offset within them.
    ``px``: padded inputs, ``windows[name]`` is (offset, K, I). ``kt``: K, the longest lag of a state, and what its filter needs
    (:func:`ltm.engine.compiler.blocks.filter_table`).
    """

    width: int
    rows: dict[str, int]
    windows: dict[str, tuple[int, int, int]]


class Printer:
    """Memory and programs of a traced network."""

    def __init__(self, network: Network, traced: Traced, features: FeatureLayout, layout: Layout, exponential: bool) -> None:
        self.network, self.traced, self.graph, self.features = network, traced, traced.graph, features
        self.layout, self.exponential = layout, exponential
        self.variables = network.state()
        self.longest = max(q.lags for q in self.variables.values())
        self.constants: dict[str, str] = {}
        self.sizes = {"w": 0, "wt": 0, "tr": 0}
        self.copies: dict[Node, tuple[Slot, int, int]] = {}
        self.copied: list[str] = []
        self._states()
        self._invariants()
        self._derive()

    # -- memory ---------------------------------------------------------------------------------------------------------

    def slot(self, buffer: str, n: int = 1) -> int:
        """n new units of a buffer; where vectors run along units, arrays of a vector or more begin on its boundary."""
        align = min(16, self.layout.step)
        first = -(-self.sizes[buffer] // align) * align if n >= align else self.sizes[buffer]
        self.sizes[buffer] = first + n
        return first

    def work(self, n: int = 1) -> Slot:
        return Slot("w", self.slot("w", n))

    def _states(self) -> None:
        """Rows of the trajectory, and where the adjoint of each state is kept."""
        self.state_slot = {name: self.slot("tr", q.size) for name, q in self.variables.items()}
        self.output_slot = self.slot("tr", sum(n for _, n in self.traced.outputs))
        nodes = self.graph.nodes.values()
        filtered = {n.data.state for n in nodes if n.op == "block" and hasattr(n.data, "state")}
        for name in filtered:
            if self.variables[name].initial != 0:
                raise Unsupported(f"a filter over state '{name}', which does not start at 0")
        used = [n for n in nodes if n.op == "read"]
        self.lead = max([1, *(n.data[2] for n in used)])
        long = filtered | {n.data[0] for n in used if n.data[2] > 1}
        self.history = {name: self.slot("tr", self.variables[name].size) for name in self.variables if name in long}
        self.carried = {name: self.work(q.size) for name, q in self.variables.items() if name not in long}
        self.loss = self.work(self.layout.step)

    def _invariants(self) -> None:
        """Functions of parameters alone are computed once before the time loop, and their adjoints summed over it."""
        everything = below(self.traced.roots)
        used = {a for node in everything if not node.fixed for a in node.args} | set(self.traced.roots)
        strided = {n for n in everything if self.layout.kind == "units" and n.op == "param" and n.data[1] > 1}
        self.invariants = [n for n in everything if n in strided or (n.fixed and n in used and n.op not in ("const", "param"))]
        self.invariant = {n: self.work(n.n) for n in self.invariants}
        self.invariant_bar = {n: self.work(n.n) for n in self.invariants}
        self.sums = {n: self.invariant_bar[n] for n in self.invariants if n in strided}

    def _derive(self) -> None:
        """The backward step, and with it the results that the forward step must keep."""
        g = self.graph
        scale = g.make("feature", data=("scale", 0))
        self.errors, seeds, first = [], [], 0
        for y, n in self.traced.outputs:
            error = g.whole(y, n) - g.make("feature", data=("target", first), n=n)
            self.errors.append(error)
            seeds.append((y, error * scale))
            first += n
        for name, pieces in self.traced.states.items():
            first = 0
            for node, n in pieces:
                seeds.append((node, g.make("seed", data=(name, first), n=n)))
                first += n
        self.back = adjoints(seeds, self.invariants)
        self.outers = [e for e in self.back.effects if isinstance(e.data, Outer)]

        self.kept: dict[Node, Slot] = {}
        for name, pieces in self.traced.states.items():
            self._keep(pieces, self.state_slot[name])
        self._keep(self.traced.outputs, self.output_slot)
        forward = set(below(self.traced.roots))
        forward |= {n for n in g.nodes.values() if n.op == "out" and n.args[0] in forward}
        stop = {*self.kept, *self.invariants}
        rows = {a for e in self.outers for a in e.args[1 + e.data.rows :] if not a.leaf} - stop
        worth = {n for n in forward if n.op == "out" or (n.op in OPERATIONS and OPERATIONS[n.op].keep)} - stop | rows
        effects = [a for e in self.back.effects for a in e.args]
        for node in below([*self.back.of.values(), *effects], stop | worth):
            if node in worth:
                self.kept[node] = Slot("tr", self.slot("tr", node.n), "q")
        self.bars: dict[Node, Slot] = {}
        """Adjoints that the gradients of matrices read from the trajectory."""
        for e in self.outers:
            for node in e.args[1 : 1 + e.data.rows]:
                if node not in self.bars and not self._lies_still(node):
                    self.bars[node] = Slot("tr", self.slot("tr", node.n), "q")
        seeds = [(n, g.make("seed", data=("bar", i), n=n.n)) for i, n in enumerate(self.invariants) if n.op != "param"]
        self.epilogue = adjoints(seeds)

    def _keep(self, pieces: Iterable[tuple[Node, int]], first: int) -> None:
        for node, n in pieces:
            if node.n == n and not node.leaf:
                self.kept.setdefault(node, Slot("tr", first, "q"))
            first += n

    def _lies_still(self, node: Node) -> bool:
        """Whether an adjoint is in memory before the time loop already."""
        return node.op in ("param", "const") or node in self.invariant or (node.op == "spread" and self._lies_still(node.args[0]))

    def where(self, node: Node) -> Slot | None:
        """Where a leaf, or a function of parameters alone, lies in memory."""
        if node in self.invariant:
            return self.invariant[node]
        match node.op:
            case "param" if (
                self.layout.kind == "units" and node.data[1] > 1 and (part := self._strided(node.data[0], node.data[1], node.n))
            ):
                return part
            case "param":
                return Slot("p", node.data[0], "", node.data[1])
            case "read":
                name, unit, lag = node.data
                return Slot("tr", self.state_slot[name] + unit, f"q - {lag} * RW")
            case "feature":
                return self._feature(*node.data)
            case "seed" if node.data[0] == "bar":
                return self.invariant_bar[self.invariants[node.data[1]]]
            case "seed":
                name, unit = node.data
                return Slot("tr", self.history[name] + unit, "q") if name in self.history else self.carried[name] + unit
        return None

    def _strided(self, first: int, stride: int, n: int) -> Slot | None:
        """Where parameters that do not lie side by side are copied: adjoints may read a part of what the step reads."""
        for whole, slot in self.invariant.items():
            if whole.op == "param" and whole.data[1] == stride:
                unit, rest = divmod(first - whole.data[0], stride)
                if rest == 0 and 0 <= unit <= whole.n - n:
                    return slot + unit
        return None

    def _feature(self, name: str, index: int, past: str = "") -> Slot:
        if name == "scale":
            return Slot("f", 0)
        if name in self.features.windows:
            offset, K, I = self.features.windows[name]
            k, i = (0, index) if past else divmod(index, I)
            return Slot("px", offset + (K - 1 - k) * I + i, f"t * {I * self.layout.size('px')}", -I if past else 1)
        return Slot("f", 1 + self.features.rows[name] + index, "x")

    def matrix(self, node: Node) -> tuple[Slot, int, int]:
        """The matrix of a product, and the strides of its rows and columns; a copy where its rows or columns must lie side by side."""
        source, block = node.args[0], node.data
        base = self.where(source)
        assert base is not None
        kind, copy = self.layout.kind, (block.first, block.R, block.C, block.sr, block.sc)
        if kind == "units" and block.sr != 1 and block.R > 1:
            sr, sc = 1, -(-block.R // 16) * 16
        elif kind == "entries" and block.sc != 1 and block.C > 1 and base.buffer == "p":
            sr, sc = block.C, 1
        else:
            return base + block.first, block.sr, block.sc
        key = self.graph.make("copy", source, data=copy, n=0)
        if key not in self.copies:
            to = Slot("wt", self.slot("wt", block.C * sc if sr == 1 else block.R * sr))
            self.copies[key] = to, sr, sc
            read = f"{base.buffer}[{base.index + block.first} + r * {block.sr} + c * {block.sc}]"
            self.copied += [
                f"for c in range({block.C}):",
                f"    for r in range({block.R}):",
                f"        wt[{to.index} + r * {sr} + c * {sc}] = {read}",
            ]
        return self.copies[key]

    def gradient(self, matrix: Node) -> Slot:
        return Slot("g", 0) if matrix.op == "param" else self.invariant_bar[matrix]

    def constant(self, value: float) -> str:
        return self.constants.setdefault(repr(value), f"C{len(self.constants)}")

    # -- programs -------------------------------------------------------------------------------------------------------

    def programs(self) -> dict[str, list[str]]:
        """The statements of every program by name."""
        strided = [n for n in self.invariants if n.op == "param"]  # parameters that a vector along units reads from a copy
        outside = {n: self.invariant[n] if n in strided else None for n in self.invariants}
        values = [Store(self.invariant[n], n) for n in self.invariants if n not in strided]
        prologue = Program(self, values, [], outside).lines()
        forward, backward = self._forward(), self._backward()
        weights = Program(self, [], self.outers, self.bars | self.kept)
        out = {"forward": forward.lines(), "backward": backward.lines(), "weights": weights.lines()}
        self.around = {"forward": (forward.before, forward.after), "backward": (backward.before, backward.after)}
        self.flops = [forward.flops, backward.flops + weights.flops]
        strides: list[str] = []
        for n in strided:
            strides += [f"for u in range({n.n}):", f"    w[{self.invariant[n].index} + u] = p[{n.data[0]} + u * {n.data[1]}]"]
        out["prologue"] = [*strides, *prologue, *self.copied]  # a matrix may be what the prologue computes
        adds = [Store(self._sum_of(n), self.graph.whole(bar, n.n), add=True) for n, bar in self.epilogue.of.items() if n.op == "param"]
        out["epilogue"] = Program(self, adds, [], outside).lines()
        for n, slot in self.sums.items():
            if self.layout.kind == "units":
                out["epilogue"] += [f"for u in range({n.n}):", f"    g[{n.data[0]} + u * {n.data[1]}] += w[{slot.index} + u]"]
            else:
                add = self.layout.store(Slot("g", n.data[0], "", n.data[1]), self.layout.load(slot, u=1), n.n, u=1)
                out["epilogue"] += [f"for u in range({n.n}):", f"    {add}"]
        return out

    def _forward(self) -> Program:
        """New states, outputs, what the backward step needs, and the loss."""
        g = self.graph
        stores = [Store(slot, node) for node, slot in self.kept.items()]
        places = [(self.state_slot[name], pieces) for name, pieces in self.traced.states.items()]
        for first, pieces in [*places, (self.output_slot, self.traced.outputs)]:
            for node, n in pieces:
                if self.kept.get(node) != Slot("tr", first, "q"):
                    stores.append(Store(Slot("tr", first, "q"), g.whole(node, n)))
                first += n
        stores += [Store(Slot("tr", slot, "q"), g.whole(g.const(0), self.variables[name].size)) for name, slot in self.history.items()]
        stores.append(Store(self.loss, g.total([g.sum(e * e) for e in self.errors]), add=True))
        return Program(self, stores, [], {}, repeated=True)

    def _backward(self) -> Program:
        """Adjoints: of parameters and functions of them, summed; of states, carried to the step before."""
        g = self.graph
        stores = [Store(slot, node) for node, slot in self.bars.items()]
        carried: dict[str, list[tuple[int, Node, int]]] = {}
        for node, bar in self.back.of.items():
            value = g.whole(bar, node.n)
            if node in self.invariant_bar:
                stores.append(Store(self.invariant_bar[node], value, add=True))
            elif node.op == "param":
                stores.append(Store(self._sum_of(node), value, add=True))
            elif node.op == "read" and node.data[0] in self.history:
                name, unit, lag = node.data
                stores.append(Store(Slot("tr", self.history[name] + unit, f"q - {lag} * RW"), value, add=True))
            elif node.op == "read":
                carried.setdefault(node.data[0], []).append((node.data[1], bar, node.n))
        for name, slot in self.carried.items():
            first = 0
            for value in tiled(carried.get(name, []), self.variables[name].size, g):
                stores.append(Store(slot + first, value, last=name))
                first += value.n
        return Program(self, stores, [e for e in self.back.effects if e not in self.outers], self.kept, repeated=True)

    def _sum_of(self, parameter: Node) -> Slot:
        """Where the gradient of a parameter is summed: in ``g``, or in ``w`` where that is not what a vector can add to."""
        if self.layout.kind == "entries" and parameter not in self.sums:
            self.sums[parameter] = self.work(parameter.n)
        return self.sums.get(parameter, Slot("g", parameter.data[0], "", parameter.data[1]))
