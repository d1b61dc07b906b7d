"""Prints a traced step and its derived backward step as Python source for numba.

Memory of one block of W lanes is two flat arrays: ``w`` (parameters, their gradients, what is carried from step to step) and
``tr`` (a row a time step: states, kept results, adjoints of states that are read at longer lags). Every slot is W lanes wide, so
every access is a constant offset plus the lane, and the lane loop vectorises.
"""

from __future__ import annotations

from dataclasses import dataclass

from ltm.cells import Network
from ltm.engine import macros
from ltm.engine.derive import adjoints, order
from ltm.engine.trace import COMPARISONS, TRANSCENDENTAL, Graph, Node, Traced, Unsupported, is_const

MACROS = {"matvec", "matvec_t", "filter", "free"}

OPERATIONS = {"tanh": 23, "sigmoid": 26, "exp": 35, "detach": 0, "amax": 0, "sloped": 0} | dict.fromkeys(
    ("log", "sin", "cos", "log1p", "expm1", "pow"), 20
)
"""Floating-point operations of a pointwise function as :mod:`ltm.engine.runtime` has it; plain arithmetic is one."""

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/"}


@dataclass(frozen=True)
class FeatureLayout:
    """Where features lie in the flat arrays that a kernel reads; none of it depends on the length of the series.

    ``f``: the gradient's scale 2/(train O), then ``width`` values a time step, ``rows[name]`` the offset within them.
    ``px``: padded inputs, ``windows[name]`` is (offset, K, I). ``kt``: K, the longest lag of a state, and what its filter needs
    (:func:`ltm.engine.macros.filter_table`).
    """

    width: int
    rows: dict[str, int]
    windows: dict[str, tuple[int, int, int]]


@dataclass
class Store:
    """A value to be written: ``where`` is an address without the lane. ``last`` stores wait for every load of the step;
    ``back`` is (state, unit, lag) where it goes to the adjoint of a row further back than the last."""

    where: str
    node: Node
    add: bool = False
    last: bool = False
    back: tuple[str, int, int] | None = None


class Printer:
    """Lays out memory and prints the four programs of a kernel: prologue, forward, backward, epilogue."""

    def __init__(self, cell: Network, traced: Traced, features: FeatureLayout, width: int, exponential: bool) -> None:
        self.cell, self.traced, self.graph, self.features, self.W = cell, traced, traced.graph, features, width
        self.N = cell.size
        self.units = {name: q.size for name, q in cell.state().items()}
        self.flops = 0
        self.longest = max(q.lags for q in cell.state().values())
        self.exponential = exponential
        self.constants: dict[str, str] = {}
        self.work = 2 * self.N
        self.row = 0
        self.lead = 1
        self.lags: set[int] = set()
        self._invariants()
        self._states()
        self._derive()

    # -- layout -------------------------------------------------------------------------------------------------------

    def slot(self, n: int = 1) -> int:
        """n new slots of ``w``; the first of them."""
        self.work += n
        return self.work - n

    def row_slot(self) -> int:
        self.row += 1
        return self.row - 1

    def at_w(self, slot: int) -> str:
        return f"w[{slot * self.W}"

    def at_row(self, slot: int, lag: int = 0) -> str:
        """The row of this step and that of the last lie in one view, so that the compiler sees that they do not overlap."""
        if lag > 1:
            self.lags.add(lag)
            return f"z{lag}[{slot * self.W}"
        return f"z[{(self.row * (1 - lag) + slot) * self.W}"

    def each(self, name: str, to: str, sign: str, source: str) -> list[str]:
        """Copy (``=``) or add (``+=``) the lanes of every unit of a state, side by side in both places."""
        n = self.units[name]
        if n == 1:
            return ["for l in LANES:", f"    {to} + l] {sign} {source} + l]"]
        return [f"for u in range({n}):", "    for l in LANES:", f"        {to} + u * {self.W} + l] {sign} {source} + u * {self.W} + l]"]

    def _invariants(self) -> None:
        """Expressions of parameters alone are computed once before the time loop, and their adjoints summed over it."""
        roots = [*(n for nodes in self.traced.states.values() for n in nodes), *self.traced.outputs]
        everything = order(roots, set())
        fixed: dict[Node, bool] = {}
        for node in everything:
            fixed[node] = node.op in ("const", "param") or (
                bool(node.args) and node.op not in MACROS | {"out"} and all(fixed[a] for a in node.args)
            )
        used = {a for node in everything if not fixed[node] for a in node.args} | set(roots)
        self.invariants = [n for n in everything if fixed[n] and n in used and n.op not in ("const", "param")]
        self.invariant_slot = {n: self.slot() for n in self.invariants}
        self.invariant_bar = {n: self.slot() for n in self.invariants}

    def _states(self) -> None:
        """Rows of the trajectory, and where the adjoint of each state unit is kept."""
        self.states = [(name, unit) for name, nodes in self.traced.states.items() for unit in range(len(nodes))]
        variables = self.cell.state()
        self.state_slot = {key: self.row_slot() for key in self.states}
        self.output_slot = [self.row_slot() for _ in self.traced.outputs]
        nodes = self.graph.nodes.values()
        long = {n.data[0] for n in nodes if n.op == "filter"} | {n.data[0] for n in nodes if n.op == "read" and n.data[2] > 1}
        for name in {n.data[0] for n in nodes if n.op == "filter"}:
            if variables[name].initial != 0:
                raise Unsupported(f"a filter over state '{name}', which does not start at 0")
        self.lead = max([1, *(n.data[2] for n in nodes if n.op == "read")])
        self.history_bar = {key: self.row_slot() for key in self.states if key[0] in long}
        self.carried_bar = {key: self.slot() for key in self.states if key[0] not in long}
        self.loss = self.slot(3)

    def _derive(self) -> None:
        """The backward step, and with it the results that the forward step must keep."""
        g = self.graph
        targets = [g.make("feature", data=("target", o)) for o in range(len(self.traced.outputs))]
        scale = g.make("feature", data=("scale", 0))
        self.errors = [g.sub(y, t) for y, t in zip(self.traced.outputs, targets, strict=True)]
        seeds = [(y, g.mul(e, scale)) for y, e in zip(self.traced.outputs, self.errors, strict=True)]
        self.state_seed = {key: g.make("seed", data=key) for key in self.states}
        seeds += [(self.traced.states[name][unit], self.state_seed[name, unit]) for name, unit in self.states]
        self.back = adjoints(g, seeds, set(self.invariants))

        self.kept: dict[Node, int] = {}
        for name, unit in self.states:
            self.kept.setdefault(self.traced.states[name][unit], self.state_slot[name, unit])
        for node, slot in zip(self.traced.outputs, self.output_slot, strict=True):
            self.kept.setdefault(node, slot)
        forward = set(order([*self.kept, *self.traced.outputs], set()))
        roots = [*self.back.of.values(), *(n for _, _, gs, vs in self.back.effects for n in (*gs, *vs))]
        stop = set(self.kept) | set(self.invariants)
        forward |= {n for n in g.nodes.values() if n.op == "out" and n.args[0] in forward}
        worth = {n for n in forward if n.op in TRANSCENDENTAL | {"out"}} - stop
        for node in order(roots, stop | worth):
            if node in worth:
                self.kept[node] = self.row_slot()
        self.epilogue_bars = adjoints(g, [(n, g.make("seed", data=("bar", i))) for i, n in enumerate(self.invariants)], set())

    # -- printing -----------------------------------------------------------------------------------------------------

    def where(self, node: Node, backward: bool) -> str | None:
        """The address of a node that lies in memory, without the lane; features are plain scalars."""
        match node.op:
            case "param":
                return self.at_w(node.data)
            case "read":
                name, unit, lag = node.data
                return self.at_row(self.state_slot[name, unit], lag)
            case "seed" if node.data[0] == "bar":
                return self.at_w(self.invariant_bar[self.invariants[node.data[1]]])
            case "seed":
                return self.at_row(self.history_bar[node.data]) if node.data in self.history_bar else self.at_w(self.carried_bar[node.data])
        if node in self.invariant_slot:
            return self.at_w(self.invariant_slot[node])
        if backward and node in self.kept:
            return self.at_row(self.kept[node])
        return None

    def constant(self, value: float) -> str:
        return self.constants.setdefault(repr(value), f"C{len(self.constants)}")

    def feature(self, node: Node) -> str:
        name, index = node.data
        if name == "scale":
            return "f[0]"
        if name in self.features.windows:
            offset, K, I = self.features.windows[name]
            return f"px[{offset} + (t + {K - 1 - index // I}) * {I} + {index % I}]"
        return f"f[t * {self.features.width} + {1 + self.features.rows[name] + index}]"

    def program(self, stores: list[Store], effects: list[tuple], backward: bool, memory: dict[Node, str] | None = None) -> list[str]:
        """The statements of one step: lane loops of scalar work, with the macros and effects between them."""
        at: dict[Node, str] = {}
        roots = [s.node for s in stores] + [n for _, _, gs, vs in effects for n in (*gs, *vs)]
        candidates = order(roots, set())
        for node in candidates:
            where = (memory or {}).get(node) or self.where(node, backward)
            if where is not None and not (memory is not None and node in self.invariant_slot):
                at[node] = where
        needed = order(roots, set(at))
        # Rows further back are copied through w in loops of their own: too many views at once defeat the vectoriser's alias checks.
        before: list[str] = []
        copies_of: dict[tuple[str, int], int] = {}
        for node in needed:
            if node.op == "read" and node.data[2] > 1:
                name, unit, lag = node.data
                if (name, lag) not in copies_of:
                    copies_of[name, lag] = self.slot(self.units[name])
                    before += self.each(name, f"w[{copies_of[name, lag] * self.W}", "=", self.at_row(self.state_slot[name, 0], lag))
                at[node] = self.at_w(copies_of[name, lag] + unit)
        after: list[str] = []
        sums_of: dict[tuple[str, int], int] = {}
        for i, store in enumerate(stores):
            if store.back is not None:
                name, unit, lag = store.back
                if (name, lag) not in sums_of:
                    sums_of[name, lag] = self.slot(self.units[name])
                    after += self.each(name, self.at_row(self.history_bar[name, 0], lag), "+=", f"w[{sums_of[name, lag] * self.W}")
                stores[i] = Store(self.at_w(sums_of[name, lag] + unit), store.node, last=True)
        scalar = [n for n in needed if n not in at and n.op not in MACROS | {"const", "feature", "out"}]
        self.flops = sum(OPERATIONS.get(n.op, 1) for n in scalar) + sum(store.add for store in stores)
        self.flops += sum(macros.operations(self, n.op, n.data) for n in needed if n.op in MACROS)
        self.flops += sum(macros.operations(self, kind, data) for kind, data, _, _ in effects)
        place: dict[Node, int] = {}
        for node in needed:
            if node in at or node.op in ("const", "feature"):
                place[node] = 0
            elif node.op == "out":
                place[node] = place[node.args[0]] + 1
            else:
                place[node] = max((place[a] for a in node.args), default=0)
        end = max([place[n] for n in roots], default=0)
        for node in needed:  # results of macros, and what macros and effects read, lie in memory
            if node.op in MACROS and node not in at:
                base = self.slot(macros.results(node))
                at[node] = self.at_w(base)
                for out in needed:
                    if out.op == "out" and out.args[0] is node:
                        at[out] = self.at_w(base + out.data)
        spills: dict[Node, str] = {}
        contiguous: dict[tuple[Node, ...], int] = {}
        for _, _, gs, _ in effects:
            if gs not in contiguous:
                contiguous[gs] = self.slot(len(gs))
        late = {a for node in needed if node not in at for a in node.args if place[a] < place[node]}
        late |= {a for node in needed if node.op in MACROS for a in node.args}
        late |= {n for kind, _, gs, vs in effects for n in (*gs, *vs)}
        late |= {s.node for s in stores if s.last and place[s.node] < end}
        for node in needed:
            if node in late and node not in at and node.op not in ("const", "feature"):
                spills[node] = self.at_w(self.slot())
        lines = before
        for segment in range(end + 1):
            mine = [n for n in needed if place[n] == segment and n not in at and n.op not in ("const", "feature")]
            writes = [s for s in stores if (end if s.last else place[s.node]) == segment]
            copies = [(gs, base) for gs, base in contiguous.items() if max(place[n] for n in gs) == segment]
            lines += self.lane_loop(mine, writes, copies, at, spills)
            located = {**at, **spills}
            for node in needed:
                if node.op in MACROS and place[node] == segment:
                    lines += macros.compute(self, node, located)
            for kind, data, gs, vs in effects:
                if max(place[n] for n in (*gs, *vs)) == segment:
                    lines += macros.effect(self, kind, data, gs, vs, located, contiguous[gs])
        return lines + after

    def lane_loop(
        self,
        nodes: list[Node],
        writes: list[Store],
        copies: list[tuple[tuple[Node, ...], int]],
        at: dict[Node, str],
        spills: dict[Node, str],
    ) -> list[str]:
        """One loop over lanes: loads, scalar statements in order, stores."""
        computed = set(nodes)
        before: dict[str, str] = {}
        body: list[str] = []
        loaded: set[Node] = set()

        def value(node: Node) -> str:
            if node.op == "const":
                return self.constant(node.data)
            if node.op == "feature":
                return before.setdefault(self.feature(node), f"x{len(before)}")
            if node not in computed and node not in loaded:
                loaded.add(node)
                body.append(f"v{node.index} = {at.get(node) or spills[node]} + l]")
            return f"v{node.index}"

        for node in nodes:
            a = [value(arg) for arg in node.args]
            body.append(f"v{node.index} = {expression(node, a)}")
        finals = []
        for store in writes:
            finals.append(f"{store.where} + l] {'+=' if store.add else '='} {value(store.node)}")
        finals += [f"{where} + l] = v{node.index}" for node, where in spills.items() if node in computed]
        finals += [f"{self.at_w(base + i)} + l] = {value(n)}" for gs, base in copies for i, n in enumerate(gs)]
        if not finals:
            return []
        return [*(f"{name} = {load}" for load, name in before.items()), "for l in LANES:", *(f"    {line}" for line in body + finals)]

    def load(self, node: Node, at: dict[Node, str]) -> str:
        """A node as an operand inside a macro's lane loop."""
        if node.op == "const":
            return self.constant(node.data)
        return self.feature(node) if node.op == "feature" else f"{at[node]} + l]"

    def programs(self) -> dict[str, list[str]]:
        """The statements of every program by name."""
        g: Graph = self.graph
        out: dict[str, list[str]] = {}
        prologue = [Store(self.at_w(slot), node) for node, slot in self.invariant_slot.items()]
        out["prologue"] = self.program(prologue, [], False, memory={})
        forward = [Store(self.at_row(slot), node) for node, slot in self.kept.items()]
        shared = [(self.traced.states[n][u], self.state_slot[n, u]) for n, u in self.states] + list(
            zip(self.traced.outputs, self.output_slot, strict=True)
        )
        forward += [Store(self.at_row(slot), node) for node, slot in shared if self.kept[node] != slot]
        forward += [Store(self.at_row(slot), g.const(0)) for slot in self.history_bar.values()]
        forward += [Store(self.at_w(self.loss), g.total(g.mul(e, e) for e in self.errors), add=True)]
        out["forward"] = self.program(forward, [], False)
        self.step_flops = [self.flops]
        backward = []
        for node, bar in self.back.of.items():
            if node.op == "param":
                backward.append(Store(self.at_w(self.N + node.data), bar, add=True))
            elif node in self.invariant_bar:
                backward.append(Store(self.at_w(self.invariant_bar[node]), bar, add=True))
            elif node.op == "read" and node.data[:2] in self.history_bar:
                back = node.data if node.data[2] > 1 else None
                backward.append(Store(self.at_row(self.history_bar[node.data[:2]], node.data[2]), bar, add=True, last=True, back=back))
        for key, slot in self.carried_bar.items():
            read = g.make("read", data=(*key, 1))
            backward.append(Store(self.at_w(slot), self.back.of.get(read, g.const(0)), last=True))
        out["backward"] = self.program(backward, self.back.effects, True)
        self.step_flops.append(self.flops)
        epilogue = [
            Store(self.at_w(self.N + node.data), bar, add=True) for node, bar in self.epilogue_bars.of.items() if node.op == "param"
        ]
        out["epilogue"] = self.program(epilogue, [], True, memory=None)
        return out


def expression(node: Node, a: list[str]) -> str:
    match node.op:
        case "add" | "sub" | "mul" | "div":
            return f"{a[0]} {INFIX[node.op]} {a[1]}"
        case "neg":
            return f"-{a[0]}"
        case "detach" | "amax" | "sloped":
            return a[0]
        case "max":  # not (b > a): NaN of either is kept
            return f"{a[0]} if ({a[0]} >= {a[1]}) | ({a[0]} != {a[0]}) else {a[1]}"
        case "where":
            return f"{a[1]} if {a[0]} != ZERO else {a[2]}"
        case "not":
            return f"ZERO if {a[0]} != ZERO else ONE"
        case "and" | "or":
            return f"ONE if ({a[0]} != ZERO) {'&' if node.op == 'and' else '|'} ({a[1]} != ZERO) else ZERO"
        case "abs":
            return f"abs({a[0]})"
        case "sign":
            return f"ONE if {a[0]} > ZERO else (-ONE if {a[0]} < ZERO else ZERO)"
        case "power":
            product = " * ".join(a * abs(node.data))
            return product if node.data > 0 else f"ONE / ({product})"
        case "pow" if is_const(node.args[1], -0.5):
            return f"ONE / sqrt({a[0]})"
        case op if op in COMPARISONS:
            return f"ONE if {a[0]} {COMPARISONS[op]} {a[1]} else ZERO"
        case _:
            return f"{node.op}({', '.join(a)})"
