"""Prints the statements of one program: straight code within loops over the units of arrays, one loop for every size and for every stage
between the blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ltm.engine.compiler.blocks import indented
from ltm.engine.compiler.ir import OPERATIONS, Node, Reduction, below, reads
from ltm.engine.compiler.layout import Slot

if TYPE_CHECKING:
    from ltm.engine.compiler.render import Printer


@dataclass(frozen=True)
class Store:
    """A value to be written. ``last``: what is written is carried on, and must not be written before it has been read."""

    slot: Slot
    node: Node
    add: bool = False
    last: str = ""


class Program:
    """The statements of one step: which nodes are computed in which loop, and what must lie in memory between them."""

    def __init__(
        self,
        printer: Printer,
        stores: list[Store],
        effects: list[Node],
        known: Mapping[Node, Slot | None],
        repeated: bool = False,
    ) -> None:
        """``known``: nodes that lie in memory already, beside leaves; None where a leaf is not there yet. Sums of single units over a
        program that is ``repeated`` every step are kept in variables; ``before`` and ``after`` the time loop they are cleared and added to
        memory."""
        self.printer, self.layout, self.exponential = printer, printer.layout, printer.exponential
        self.repeated = repeated
        self.steady: list[str] = []
        """Statements before the loop over the steps."""
        self.summed: dict[Node, list[Slot]] = {}
        for store in stores if repeated and self.layout.kind != "entries" else []:
            if store.add and store.node.n == 1 and store.slot.buffer != "tr":
                self.summed.setdefault(store.node, []).append(store.slot)
        self.stores = [s for s in stores if s.node not in self.summed or not s.add or s.slot.buffer == "tr"]
        self.effects = effects
        self.state_slot, self.history, self.work, self.matrix = printer.state_slot, printer.history, printer.work, printer.matrix
        self.carry, self.past, self.started = printer.carry, printer.past, printer.started
        self.gradient = printer.gradient
        self.bases = printer.bases
        self.at: dict[Node, Slot] = {}
        self._place(known)
        self.flops = sum(OPERATIONS[n.op].cost * n.n for n in self.home) + sum(s.add * s.node.n for s in stores)
        self.flops += len(self.summed) + sum(b.data.cost(self.exponential, b.args) for b in [*self.blocks, *effects])

    def reach(self, K: int) -> str:
        """The number of lags of a filter; one kernel serves every K where it is the longest window."""
        return "K" if self.printer.longest == K else str(K)

    def over(self, n: int) -> str:
        return f"for u in range(0, {n}, {self.layout.step}):"

    def where(self, node: Node) -> Slot:
        return self.at[node]

    def _place(self, known: Mapping[Node, Slot | None]) -> None:
        """The stage of every node: how many blocks lie before it. What another loop or a block reads must lie in memory."""
        roots = [*(s.node for s in self.stores), *self.summed, *(a for e in self.effects for a in e.args)]
        for node in below(roots, of=reads):
            if (slot := known[node] if node in known else self.printer.where(node)) is not None:
                self.at[node] = slot
        self.needed = below(roots, self.at, reads)
        self.place: dict[Node, int] = {}
        self.home: dict[Node, tuple[int, int]] = {}
        for node in self.needed:
            before = max((self.place[a] for a in reads(node) if node not in self.at), default=0)
            self.place[node] = 0 if node in self.at else before + (node.op == "out")
            if node.op in OPERATIONS and node not in self.at:
                self.home[node] = self.place[node], node.n
        self.blocks = [n for n in self.needed if n.op == "block" and n not in self.at]
        for block in self.blocks:
            self.at[block] = self.work(sum(block.data.results))
        for node in self.needed:
            if node.op == "out" and node not in self.at:
                result, first = node.data
                self.at[node] = self.at[node.args[0]] + (sum(node.args[0].data.results[:result]) + first)
        users = [(self.home[m], a) for m in self.home for a in reads(m)]
        late = {a for home, a in users if a in self.home and self.home[a] != home}
        late |= {a for b in [*self.blocks, *self.effects] if not isinstance(b.data, Reduction) for a in b.args if a in self.home}
        self.uses: dict[Node, int] = {}
        for a in [*(a for _, a in users), *roots, *(a for b in self.blocks for a in b.args), *late]:
            self.uses[a] = self.uses.get(a, 0) + 1
        reduced = {(self.place[b], b.args[0].n) for b in self.blocks if isinstance(b.data, Reduction)}
        self.loops = sorted(
            {*self.home.values(), *reduced, *(self.store_home(s) for s in self.stores), *((self.place[n], 1) for n in self.summed)}
        )
        self.early = [s for s in self.stores if s.last and not self._read_later(s)]
        late |= {s.node for s in self.stores if s.last and s not in self.early and s.node in self.home}
        written = {s.node: s.slot for s in self.stores if not s.add and not s.last}
        self.spills = {}
        for node in self.needed:
            if node in late:
                self.at[node] = written.get(node) or self.work(node.n)
                if node not in written:
                    self.spills[node] = self.at[node]

    def is_steady(self, node: Node) -> bool:
        """Whether a node is the same at every step, and so made before the loop over them: what counts each step of a series."""
        if node.op == "feature" and node.data[0] == "weight":
            return not self.layout.gathered and self.layout.kind == "seeds"
        return node.op in OPERATIONS and all(map(self.is_steady, node.args))

    def store_home(self, store: Store) -> tuple[int, int]:
        return self.place[store.node], store.node.n

    def _read_later(self, store: Store) -> bool:
        """Whether a loop after the one that makes a carried value still reads its place (or this one, at another unit)."""
        home, first = self.store_home(store), store.slot.index
        for node in self.needed:
            if node.op != "seed" or node.data[0] != store.last:
                continue
            loops = [self.home[m] for m in self.home if node in reads(m)] + [self.store_home(s) for s in self.stores if s.node is node]
            loops += [(self.place[b], 10**9) for b in [*self.blocks, *self.effects] if node in b.args and b in self.place]
            if any(loop > home or (loop == home and home[1] > 1 and self.at[node].index != first) for loop in loops):
                return True
        return False

    def lines(self) -> list[str]:
        out = []
        for stage in range(max((place for place, _ in self.loops), default=0) + 1):
            for home in self.loops:
                if home[0] == stage:
                    out += self._loop(home)
            for block in self.blocks:
                if self.place[block] == stage and not isinstance(block.data, Reduction):
                    out += block.data.lines(self, block)
        for effect in self.effects:
            out += effect.data.lines(self, effect)
        for store in self.stores:
            if store.last and store not in self.early:
                n, value = store.node.n, self.layout.load(self.at[store.node], u=1)
                out += self.layout.over_lanes([self.over(n), f"    {self.layout.store(store.slot, value, n, left=f'{n} - u', u=1)}"])
        return out

    @property
    def before(self) -> list[str]:
        return [*self.steady, *(f"a{node.index} = ZERO" for node in self.summed)]

    @property
    def after(self) -> list[str]:
        return [self.layout.store(slot, f"a{node.index}", 1, add=True) for node, slots in self.summed.items() for slot in slots]

    def gathered(self, nodes: Iterable[Node]) -> tuple[list[str], Slot]:
        """Arrays side by side: where they are, and the statements that put them there."""
        nodes = list(nodes)
        if len(nodes) == 1:
            return [], self.at[nodes[0]]
        to, lines, first = self.work(sum(n.n for n in nodes)), [], 0
        for node in nodes:
            value = self.layout.load(self.at[node], one=node.n == 1, u=1)
            lines += [self.over(node.n), f"    {self.layout.store(to + first, value, node.n, left=f'{node.n} - u', u=1)}"]
            first += node.n
        return self.layout.over_lanes(lines), to

    def _loop(self, home: tuple[int, int]) -> list[str]:
        """One loop over the units of arrays of one size: loads, operations in order, stores."""
        stage, n = home
        layout, step = self.layout, self.layout.step
        names: dict[Node, str] = {}
        before: list[str] = []
        body: list[str] = []
        loop: dict[str, Any] = {"u": 1} if n > 1 else {}

        def value(node: Node) -> str:
            if node in names:
                return names[node]
            if single(node):
                return f"mul({value(node.args[0])}, {value(node.args[1])})"
            if self.repeated and self.is_steady(node):
                names[node] = f"v{node.index}"
                text = layout.load(self.at[node]) if node.leaf else OPERATIONS[node.op].text.format(*map(value, node.args))  # type: ignore[union-attr]
                if (line := f"v{node.index} = {text.replace(', tv', ', 0')}") not in self.steady:
                    self.steady.append(line)
                return names[node]
            if node.op == "const":
                return self.printer.memory.constant(node.data)
            names[node] = f"v{node.index}"
            target = before if node.n == 1 and n > 1 else body
            target.append(f"v{node.index} = {layout.load(self.at[node], one=node.n == 1, **(loop if node.n > 1 else {}))}")
            return names[node]

        def single(node: Node) -> bool:
            """Whether this product is part of one sum only, and so of one fused multiply-add."""
            return node.op == "mul" and self.home.get(node) == home and self.uses[node] == 1

        for node in self.needed:
            if self.home.get(node) != home or (self.repeated and self.is_steady(node)):
                continue
            args = reads(node)
            if node.op in ("detach", "sloped", "filtered", "amax", "spread"):
                names[node] = value(args[0])
            elif single(node):
                continue
            elif node.op in ("add", "sub") and any(map(single, args)):
                product, other = args if single(args[0]) else args[::-1]
                name = "fma" if node.op == "add" else "fms" if product is args[0] else "fnma"
                text = f"{name}({value(product.args[0])}, {value(product.args[1])}, {value(other)})"
                names[node] = f"v{node.index}"
                body.append(f"v{node.index} = {text}")
            else:
                code = OPERATIONS[node.op].text
                texts = [value(arg) for arg in args]
                names[node] = f"v{node.index}"
                body.append(f"v{node.index} = {code(node, *texts) if callable(code) else code.format(*texts)}")

        after: list[str] = []
        for block in self.blocks:
            if isinstance(block.data, Reduction) and (self.place[block], block.args[0].n) == home:
                r, arg, combine = f"r{block.index}", block.args[0], block.data.combine
                start, across = ("ZERO", "total") if combine == "add" else ("LOWEST", "peak")
                before.append(f"{r} = {start}")
                if step > 1 and n % step:
                    body.append(f"{r} = {combine}({r}, head({value(arg)}, {n} - u, {start}))")
                elif combine == "add" and single(arg):
                    body.append(f"{r} = fma({value(arg.args[0])}, {value(arg.args[1])}, {r})")
                else:
                    body.append(f"{r} = {combine}({r}, {value(arg)})")
                total = f"{across}({r})" if step > 1 else r
                after.append(layout.store(self.at[block], total, 1))
        left = f"{n} - u" if n > 1 else "1"
        ends = [s for s in self.stores if self.store_home(s) == home and (not s.last or s in self.early)]
        sums = [n for n in self.summed if n.n == home[1] and self.place[n] == stage]
        for node in sums:
            a = f"a{node.index}"
            term = f"fma({value(node.args[0])}, {value(node.args[1])}, {a})" if single(node) else f"add({a}, {value(node)})"
            body.append(f"{a} = {term}")
        finals = [layout.store(s.slot, value(s.node), n, add=s.add, left=left, **loop) for s in ends]
        finals += [layout.store(slot, value(node), n, left=left, **loop) for node, slot in self.spills.items() if self.home[node] == home]
        if not (finals or after or sums):
            return []
        if n == 1:
            return layout.over_lanes([*before, *body, *finals, *after])
        return layout.over_lanes([*before, self.over(n), *indented([*body, *finals]), *after])
