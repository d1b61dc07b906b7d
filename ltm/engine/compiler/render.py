"""Lays out the memory of a stage, and says what its programs are: prologue, forward and backward step, gradients of matrices, epilogue.

Memory of one group of lanes: parameters ``p`` and gradients ``g``, work ``w`` of an update and ``ca`` of a sequence, and the trajectory ``tr``,
a row a time step, in which every stage has its columns: states, results that the backward step needs, adjoints that are read at longer lags, by
the gradients of matrices, or by the stage below.
"""

from __future__ import annotations

from collections.abc import Iterable

from ltm.cells import Network
from ltm.cells.feedforward import Dropout
from ltm.engine.compiler.blocks import Outer
from ltm.engine.compiler.ir import OPERATIONS, Node, adjoints, below, tiled
from ltm.engine.compiler.layout import FeatureLayout, Handed, Layout, Memory, Slot
from ltm.engine.compiler.program import Program, Store
from ltm.engine.compiler.tracing import Stage, Traced, Unsupported

BUFFERS = "p, g, w, ca, wt, tr, f, px, kt, ta, sw"


class Printer:
    """Columns and programs of a traced stage."""

    def __init__(
        self, network: Network, stage: Stage, traced: Traced, features: FeatureLayout, memory: Memory, exponential: bool, last: bool
    ) -> None:
        """``last``: the read-out reads one step of a sequence, its last."""
        self.network, self.stage, self.traced, self.graph, self.features = network, stage, traced, traced.graph, features
        self.memory, self.layout, self.exponential, self.last = memory, memory.layout, exponential, last
        self.variables = stage.state
        self.longest = max((q.lags for part in network.parts for q in part.cell.state().values()), default=1)
        self.below = list(memory.outputs)
        self.sizes = memory.sizes
        self.copies: dict[Node, tuple[Slot, int, int]] = {}
        self.copied: list[str] = []
        if stage.part and isinstance(stage.part.cell, Dropout):
            self.mask = mask_of(memory, stage.part.cell)
        self._states()
        self._invariants()
        self._derive()

    # -- memory ---------------------------------------------------------------------------------------------------------

    def slot(self, buffer: str, n: int = 1) -> int:
        return self.memory.slot(buffer, n)

    def past(self, steps: str) -> str:
        """The row so many steps before this one, in the direction in which the stage reads."""
        return f"q {'+' if self.stage.reverse else '-'} {steps} * RW"

    @property
    def bases(self) -> list[str]:
        """Where this step's part of each buffer begins."""
        return ["q = (t + lead) * RW", "x = t * WIDTH", "ty = t * TARGETS", "tv = t * WEIGHTS"]

    @property
    def started(self) -> str:
        """How many steps lie before this one."""
        return "(T - 1 - t)" if self.stage.reverse else "t"

    def carry(self, n: int = 1) -> Slot:
        """Work that is 0 when a sequence begins; of a series, that is an update, and one buffer less to address."""
        buffer = "w" if self.memory.series else "ca"
        return Slot(buffer, self.slot(buffer, n))

    def work(self, n: int = 1) -> Slot:
        return Slot("w", self.slot("w", n))

    def _states(self) -> None:
        """Columns of the trajectory, and where the adjoint of each state is kept."""
        self.state_slot = {name: self.slot("tr", q.size) for name, q in self.variables.items()}
        self.output_slot = self.slot("tr", sum(n for _, n in self.traced.outputs))
        nodes = self.graph.nodes.values()
        filtered = {n.data.state for n in nodes if n.op == "block" and hasattr(n.data, "state") and n.data.state}
        for name in filtered:
            if self.variables[name].initial != 0:
                raise Unsupported(f"a filter over state '{name}', which does not start at 0")
        used = [n for n in nodes if n.op == "read"]
        self.memory.lead = max([self.memory.lead, *(n.data[2] for n in used)])
        long = filtered | {n.data[0] for n in used if n.data[2] > 1}
        self.history = {name: self.slot("tr", self.variables[name].size) for name in self.variables if name in long}
        self.carried = {name: self.carry(q.size) for name, q in self.variables.items() if name not in long}
        self.loss = self.memory.loss
        handed = [name for name, _ in self.stage.part.outputs] if self.stage.part and not self.stage.head else []
        self.above = {name: self.slot("tr", self.variables[name].size) for name in handed}
        """Columns in which what reads a state leaves its adjoint."""

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
        g, seeds = self.graph, []
        if self.traced.loss is not None:
            seeds.append((self.traced.loss, g.make("feature", data=("weight", 0))))
        for name, pieces in self.traced.states.items():
            first = 0
            for node, n in pieces:
                seeds.append((node, g.make("seed", data=(name, first), n=n)))
                if name in self.above:
                    seeds.append((node, g.make("seed", data=("above " + name, first), n=n)))
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
        self.pairs = self._pairs() if self.layout.kind == "entries" else []
        seeds = [(n, g.make("seed", data=("bar", i), n=n.n)) for i, n in enumerate(self.invariants) if n.op != "param"]
        self.epilogue = adjoints(seeds)

    def _pairs(self) -> list[tuple[Node, Node, Node | None]]:
        """The gradients of parameters that are sums over the steps of one array, or of the product of two: parameter and arrays.

        They are summed a few steps at a time, when these arrays lie in the trajectory: with several vectors side by side, the sums of all would
        not fit into registers.
        """
        pairs = []
        for node, bar in self.back.of.items():
            if node.op != "param":
                continue
            factors = bar.args if bar.op == "mul" and bar.n == node.n else (bar, None)
            for one in factors:
                if one is None or one in self.kept or one in self.bars or self._lies_still(one):
                    continue
                if not one.leaf or (one.op == "seed" and one.data[0] in self.carried):
                    self.bars[one] = Slot("tr", self.slot("tr", one.n), "q")
            pairs.append((node, *factors))
        return pairs

    def _summed(self) -> list[str]:
        """The statements of the pairs' sums over the steps ``t0 .. t1``."""
        part, lines = self.layout, []
        most = part.accumulators
        for n in sorted({node.n for node, *_ in self.pairs}):
            alike = [pair for pair in self.pairs if pair[0].n == n]
            for group in (alike[i : i + most] for i in range(0, len(alike), most)):
                loads: dict[Node, str] = {}
                body: list[str] = []
                before, after = [], []

                def value(node: Node, loads: dict[Node, str] = loads, body: list[str] = body, part: Layout = part, n: int = n) -> str:
                    if node.op == "const":
                        return self.memory.constant(node.data)
                    if node not in loads:
                        loads[node] = f"z{len(loads)}"
                        slot = self.bars.get(node) or self.kept.get(node) or self.where(node)
                        assert slot is not None
                        body.append(f"{loads[node]} = {part.load(slot, one=node.n == 1, **({'u': 1} if node.n > 1 else {}))}")
                    return loads[node]

                for i, (node, a, b) in enumerate(group):
                    slot = self._sum_of(node)
                    before.append(f"s{i} = {part.load(slot, u=1)}")
                    text = f"fma({value(a)}, {value(b)}, s{i})" if b is not None else f"add(s{i}, {value(a)})"
                    body.append(f"s{i} = {text}")
                    after.append(part.store(slot, f"s{i}", n, u=1))
                steps = ["for t in range(t0, t1):", *(f"    {line}" for line in [*self.bases, *body])]
                inner = [f"for u in range({n}):", *(f"    {line}" for line in [*before, *steps, *after])]
                lines += part.over_lanes(inner)
        return lines

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
                return Slot("tr", self.state_slot[name] + unit, self.past(str(lag)))
            case "below":
                piece, unit = self._piece(node)
                return Slot("tr", piece.state + unit, self.row(piece))
            case "feature":
                return self._feature(*node.data)
            case "seed" if node.data[0] == "bar":
                return self.invariant_bar[self.invariants[node.data[1]]]
            case "seed" if node.data[0].startswith("above "):
                return Slot("tr", self.above[node.data[0].removeprefix("above ")] + node.data[1], "q")
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

    def _piece(self, node: Node) -> tuple[Handed, int]:
        """The output of the layer below that a node reads, and from which unit on."""
        name, unit = node.data
        return self.below[int(name.split()[1])], unit

    def row(self, piece: Handed) -> str:
        """The row in which an output of the layer below is read: for a label of the whole sequence, time backwards ends at step 0."""
        return "lead * RW" if piece.reverse and self.last and self.stage.part is None else "q"

    def _feature(self, name: str, index: int, past: str = "") -> Slot:
        if name == "mask":
            return self.mask + index
        if name in ("target", "weight"):
            if name == "target" and self.memory.series:
                return Slot("f", self.features.width - self.network.output_size + index, "x")
            return Slot("ta", index, "ty") if name == "target" else Slot("sw", 0, "tv")
        if name in self.features.windows:
            offset, K, I = self.features.windows[name]
            k, i = (0, index) if past else divmod(index, I)
            return Slot("px", offset + (K - 1 - k) * I + i, f"t * {I * self.layout.size('px')}", -I if past else 1)
        return Slot("f", self.features.rows[name] + index, "x")

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
            many = self.layout.lanes
            read = f"{base.buffer}[({base.index + block.first} + r * {block.sr} + c * {block.sc}) * {many} + l]"
            self.copied += [
                f"for c in range({block.C}):",
                f"    for r in range({block.R}):",
                f"        for l in range({many}):",
                f"            wt[({to.index} + r * {sr} + c * {sc}) * {many} + l] = {read}",
            ]
        return self.copies[key]

    def gradient(self, matrix: Node) -> Slot:
        return Slot("g", 0) if matrix.op == "param" else self.invariant_bar[matrix]

    def _ends(self) -> list[str]:
        """Where time runs backwards, the rows after the sequence hold what the states start from."""
        if not self.stage.reverse:
            return []
        lines = []
        for name, q in self.variables.items():
            value, slot = self.memory.constant(q.initial), Slot("tr", self.state_slot[name], "(T + lead + r) * RW")
            text = self.layout.store(slot, value, q.size, left=f"{q.size} - u", u=1)
            lines += self.layout.over_lanes([f"for u in range(0, {q.size}, {self.layout.step}):", f"    {text}"])
        return ["for r in range(lead):", *(f"    {line}" for line in lines)]

    def handed(self) -> list[Handed]:
        """What the stage leaves for the one above."""
        return [Handed(self.state_slot[name], self.above[name], self.variables[name].size, self.stage.reverse) for name in self.above]

    # -- programs -------------------------------------------------------------------------------------------------------

    def programs(self) -> dict[str, list[str]]:
        """The statements of every program by name."""
        strided = [n for n in self.invariants if n.op == "param"]  # parameters that a vector along units reads from a copy
        outside = {n: self.invariant[n] if n in strided else None for n in self.invariants}
        values = [Store(self.invariant[n], n) for n in self.invariants if n not in strided]
        prologue = Program(self, values, [], outside).lines()
        forward, backward = self._forward(), self._backward()
        weights = Program(self, [], self.outers, self.bars | self.kept)
        out = {
            "forward": forward.lines(),
            "backward": backward.lines(),
            "weights": [*weights.lines(), *self._summed()],
            "ends": self._ends(),
        }
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
                out["epilogue"] += self.layout.over_lanes([f"for u in range({n.n}):", f"    {add}"])
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
        if (loss := self.traced.loss) is not None:
            weight = g.make("feature", data=("weight", 0))
            stores.append(Store(self.loss, loss if self.memory.series else loss * weight, add=True))
        return Program(self, stores, [], {}, repeated=True)

    def _backward(self) -> Program:
        """Adjoints: of parameters and functions of them, summed; of states, carried to the step before."""
        g = self.graph
        stores = [Store(slot, node) for node, slot in self.bars.items()]
        carried: dict[str, list[tuple[int, Node, int]]] = {}
        handed: dict[int, list[tuple[int, Node, int]]] = {}
        for node, bar in self.back.of.items():
            value = g.whole(bar, node.n)
            if node in self.invariant_bar:
                stores.append(Store(self.invariant_bar[node], value, add=True))
            elif node.op == "param":
                if self.layout.kind != "entries":
                    stores.append(Store(self._sum_of(node), value, add=True))
            elif node.op == "read" and node.data[0] in self.history:
                name, unit, lag = node.data
                stores.append(Store(Slot("tr", self.history[name] + unit, self.past(str(lag))), value, add=True))
            elif node.op == "read":
                carried.setdefault(node.data[0], []).append((node.data[1], bar, node.n))
            elif node.op == "below":
                handed.setdefault(int(node.data[0].split()[1]), []).append((node.data[1], bar, node.n))
        for name, slot in self.carried.items():
            first = 0
            for value in tiled(carried.get(name, []), self.variables[name].size, g):
                stores.append(Store(slot + first, value, last=name))
                first += value.n
        for i, piece in enumerate(self.below):
            first = 0
            for value in tiled(handed.get(i, []), piece.n, g):
                add = piece.written or self.row(piece) != "q"
                stores.append(Store(Slot("tr", piece.bar + first, self.row(piece)), value, add=add))
                first += value.n
            piece.written = True
        return Program(self, stores, [e for e in self.back.effects if e not in self.outers], self.kept, repeated=True)

    def _sum_of(self, parameter: Node) -> Slot:
        """Where the gradient of a parameter is summed: in ``g``, or in ``w`` where that is not what a vector can add to."""
        if self.layout.kind == "entries" and parameter not in self.sums:
            self.sums[parameter] = self.work(parameter.n)
        return self.sums.get(parameter, Slot("g", parameter.data[0], "", parameter.data[1]))


def mask_of(memory: Memory, cell: Dropout) -> Slot:
    """Where the masks of a layer lie: a row a step, or once for all of them."""
    variational = cell.kind == "variational"
    return Slot("w" if variational else "tr", memory.slot("w" if variational else "tr", cell.input_size), "" if variational else "q")
