"""The backward step of a traced cell, by the rules of differentiation, as nodes of the same graph."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ltm.engine.trace import MASKS, Graph, Node, is_const

FLAT = {"detach", "floor", "sign", *MASKS}
"""Operations that pass no gradient."""

LEAVES = {"const", "param", "read", "feature", "seed", *FLAT}


@dataclass
class Adjoints:
    """What reverse accumulation leaves: the adjoint of every leaf, and effects on memory that macros have.

    Effects are ``(kind, data, nodes...)``: ``outer`` adds g v^T to a matrix of parameter gradients, ``scatter`` adds a
    filter's adjoint to the K past states, ``free`` adds g x_{t-k+1} to the K weight gradients.
    """

    of: dict[Node, Node] = field(default_factory=dict)
    effects: list[tuple[str, object, tuple[Node, ...], tuple[Node, ...]]] = field(default_factory=list)


def order(roots: Iterable[Node], leaves: set[Node]) -> list[Node]:
    """Nodes below the roots, arguments first; leaves are not entered. (Arguments always have a smaller index.)"""
    seen: set[Node] = set()
    stack = list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            if node not in leaves:
                stack.extend(node.args)
    return sorted(seen, key=lambda node: node.index)


def adjoints(graph: Graph, seeds: Iterable[tuple[Node, Node]], leaves: set[Node]) -> Adjoints:
    """Reverse accumulation.

    Args:
        seeds: pairs of a node and what its adjoint starts with.
        leaves: nodes where accumulation ends, beside the graph's own leaves.
    """
    seeds = list(seeds)
    out = Adjoints()
    bar = out.of
    g, zero = graph, graph.const(0)

    def give(node: Node, value: Node) -> None:
        if node.op not in FLAT | {"const", "feature"} and not is_const(value, 0):
            bar[node] = g.add(bar[node], value) if node in bar else value

    nodes = order((node for node, _ in seeds), leaves)
    for node, value in seeds:
        give(node, value)
    macro_bars: dict[Node, dict[int, Node]] = {}
    for node in reversed(nodes):
        if node in leaves or node.op in LEAVES:
            continue
        if node in macro_bars:
            through_macro(g, node, macro_bars[node], give, out)
            continue
        if node not in bar:
            continue
        b, a = bar.pop(node), node.args
        match node.op:
            case "add":
                give(a[0], b)
                give(a[1], b)
            case "sub":
                give(a[0], b)
                give(a[1], g.neg(b))
            case "mul":
                give(a[0], g.mul(b, a[1]))
                give(a[1], g.mul(b, a[0]))
            case "div":
                slope = g.mul(b, g.div(g.const(1), a[1]))  # one division serves both
                give(a[0], slope)
                give(a[1], g.neg(g.mul(slope, node)))
            case "neg":
                give(a[0], g.neg(b))
            case "tanh":
                give(a[0], g.mul(b, g.sub(g.const(1), g.mul(node, node))))
            case "sigmoid":
                give(a[0], g.mul(b, g.mul(node, g.sub(g.const(1), node))))
            case "exp":
                give(a[0], g.mul(b, node))
            case "log":
                give(a[0], g.div(b, a[0]))
            case "sqrt":
                give(a[0], g.mul(b, g.div(g.const(0.5), node)))
            case "sin":
                give(a[0], g.mul(b, g.make("cos", a[0])))
            case "cos":
                give(a[0], g.neg(g.mul(b, g.make("sin", a[0]))))
            case "log1p":
                give(a[0], g.div(b, g.add(a[0], g.const(1))))
            case "expm1":
                give(a[0], g.mul(b, g.add(node, g.const(1))))
            case "abs":
                give(a[0], g.mul(b, g.make("sign", a[0])))
            case "power":
                give(a[0], g.mul(b, g.mul(g.const(node.data), g.power(a[0], g.const(node.data - 1)))))
            case "pow":
                x, e = a
                slope = g.mul(b, g.mul(e, g.power(x, g.sub(e, g.const(1)) if e.op != "const" else g.const(e.data - 1))))
                give(x, slope if e.op == "const" else g.where(g.make("eq", e, zero), zero, slope))
                if e.op != "const":
                    flat = g.make("and", g.make("eq", x, zero), g.make("ge", e, zero))
                    give(e, g.mul(b, g.where(flat, zero, g.mul(node, g.make("log", x)))))
            case "sloped":
                give(a[1], g.mul(b, a[2]))
            case "where":
                give(a[1], g.where(a[0], b, zero))
                give(a[2], g.where(a[0], zero, b))
            case "max":  # equal arguments share; NaN is below nothing
                shared = g.where(g.make("eq", a[0], a[1]), g.mul(g.const(0.5), b), b)
                give(a[0], g.where(g.make("lt", a[0], a[1]), zero, shared))
                give(a[1], g.where(g.make("gt", a[0], a[1]), zero, shared))
            case "amax":
                largest = [g.make("eq", x, a[0]) for x in a[1:]]
                count = g.total(largest)
                for x, mask in zip(a[1:], largest, strict=True):
                    give(x, g.div(g.mul(b, mask), count))
            case "out":
                macro_bars.setdefault(a[0], {})[node.data] = b
            case _:
                raise AssertionError(f"no derivative of '{node.op}'")
    return out


def through_macro(g: Graph, macro: Node, bars: dict[int, Node], give, out: Adjoints) -> None:  # type: ignore[no-untyped-def]
    """The adjoint of a macro's arguments, and its effects."""
    match macro.op:
        case "matvec":
            _, R, _C = macro.data
            gs = tuple(bars.get(r, g.const(0)) for r in range(R))
            transposed = g.make("matvec_t", *gs, data=macro.data)
            for c, v in enumerate(macro.args):
                give(v, g.make("out", transposed, data=c))
            out.effects.append(("outer", macro.data, gs, macro.args))
        case "filter":
            _, n, _ = macro.data
            gs = tuple(bars.get(u, g.const(0)) for u in range(n))
            for u, bar in bars.items():
                give(macro.args[u], g.mul(bar, g.make("out", macro, data=n + u)))
            out.effects.append(("scatter", macro.data, gs, macro.args))
        case "free":
            out.effects.append(("free", macro.data, tuple(bars.get(i, g.const(0)) for i in range(macro.data[3])), ()))
        case _:
            raise AssertionError(f"no derivative of '{macro.op}'")
