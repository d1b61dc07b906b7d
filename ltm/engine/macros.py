"""The loops inside a step: large linear maps, filters over past inputs, and filters over past states in two forms.

Each function prints the statements of one macro or of its effect on gradients; ``printer`` is :class:`ltm.engine.emit.Printer`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ltm import filters
from ltm.engine.trace import Node

if TYPE_CHECKING:
    from ltm.engine.emit import Printer

UNROLL = 25
"""Steps of a filter's loop taken at once, so that its sums stay in registers between loads and stores; 25 divides the K of the study."""

RATES, TERMS = 16, 8
"""Rates J of the sum of exponentials, and Chebyshev terms P of their amplitudes."""

EXPONENTIAL_FROM = 32
"""Filters over states of at least this length run as a sum of exponentials in float32; shorter ones, and float64, directly."""

Body = Callable[[int], list[str]]


@lru_cache(maxsize=64)
def exponentials(K: int) -> tuple[np.ndarray, np.ndarray]:
    """Rates lambda ``(J,)`` and coefficients A ``(P, J)`` with w_k(d) = sum_j (sum_p A[p, j] T_p(4d - 1)) lambda_j^{k-1} for k = 1..K.

    Amplitudes are fitted by least squares at the P Chebyshev nodes of d, for time constants spaced geometrically; of a few such
    ranges the one with the smallest error is taken. For K from 32 to 4000 the largest error of a weight is below 1e-6.
    """
    theta = (np.arange(TERMS) + 0.5) * np.pi / TERMS
    at_nodes = filters.weights((np.cos(theta) + 1.0) / 4.0, K)
    transform = np.cos(np.outer(np.arange(TERMS), theta)) * (2.0 / TERMS)
    transform[0] /= 2.0
    fits = []
    for shortest, longest in itertools.product((0.15, 0.2, 0.25, 0.3), (0.3 * K, 0.5 * K, K)):
        rates = np.exp(-1.0 / np.geomspace(shortest, longest, RATES))
        powers = rates ** np.arange(K)[:, None]
        amplitudes = np.linalg.lstsq(powers, at_nodes, rcond=1e-7)[0]
        if np.abs(amplitudes).sum(0).max() < 3:  # larger ones would cancel, which float32 cannot
            fits.append((np.abs(powers @ amplitudes - at_nodes).max(), rates, transform @ amplitudes.T))
    _, rates, coefficients = min(fits, key=lambda fit: fit[0])
    return rates, coefficients


def filter_table(K: int, exponential: bool) -> np.ndarray:
    """What a kernel reads of a filter over states: K, then lambda, lambda^K and A; or ((k-1)/k, 1/k) for k = 1..K."""
    if exponential:
        rates, coefficients = exponentials(K)
        return np.concatenate([[K], rates, rates**K, coefficients.ravel()])
    k = np.arange(1, K + 1)
    return np.concatenate([[K], np.stack([(k - 1) / k, 1 / k], 1).ravel()])


def results(node: Node) -> int:
    """How many slots a macro's results and its own work take."""
    match node.op:
        case "matvec":
            return int(node.data[1])
        case "matvec_t":
            return int(node.data[2])
        case "free":
            return int(node.data[3])
        case _:
            return 2 * int(node.data[1])


def operations(printer: Printer, op: str, data: Any) -> int:
    """Floating-point operations of a macro or of its effect, for one lane, counted from the loops printed below."""
    match op:
        case "matvec" | "matvec_t" | "outer":
            return 2 * int(data[1]) * int(data[2])
        case "free":
            return 2 * int(data[2]) * int(data[3])
        case "filter":
            return int(data[1]) * (RATES * (4 + 2 * TERMS) + 8 * TERMS if printer.exponential else 10 * int(data[2]))
        case "scatter":
            return int(data[1]) * (RATES * (5 + 2 * TERMS) + 2 * TERMS if printer.exponential else 4 * int(data[2]))
        case _:
            raise AssertionError(op)


def compute(printer: Printer, node: Node, at: dict[Node, str]) -> list[str]:
    """The statements that compute a macro's results."""
    W, start = printer.W, int(at[node].removeprefix("w["))
    match node.op:
        case "matvec":
            base, R, C = node.data
            terms = " + ".join(f"w[r * {C * W} + {(base + c) * W} + l] * {printer.load(v, at)}" for c, v in enumerate(node.args))
            return [f"for r in range({R}):", "    for l in LANES:", f"        w[r * {W} + {start} + l] = {terms}"]
        case "matvec_t":
            base, R, C = node.data
            terms = " + ".join(f"w[c * {W} + {(base + r * C) * W} + l] * {printer.load(g, at)}" for r, g in enumerate(node.args))
            return [f"for c in range({C}):", "    for l in LANES:", f"        w[c * {W} + {start} + l] = {terms}"]
        case "free":
            base, name, K, I = node.data
            lines = []
            for i in range(I):
                lines += ["for l in LANES:", f"    w[{start + i * W} + l] = {printer.constant(0.0)}"]

                def body(count: int, i: int = i) -> list[str]:
                    terms = " + ".join(f"w[(k + {m}) * {I * W} + {(base + i) * W} + l] * x{m}" for m in range(count))
                    return [f"w[{start + i * W} + l] += {terms}"]

                lines += past_inputs(printer, name, K, I, i, body)
            return lines
        case _:
            return (exponential if printer.exponential else direct)(printer, node, at, start)


def effect(
    printer: Printer, kind: str, data: Any, gs: tuple[Node, ...], vs: tuple[Node, ...], at: dict[Node, str], first: int
) -> list[str]:
    """The statements of a macro's effect on gradients; ``first`` is the first of the slots that hold ``gs`` side by side."""
    W, N = printer.W, printer.N
    match kind:
        case "outer":
            base, R, C = data
            adds = [f"        w[r * {C * W} + {(N + base + c) * W} + l] += g * {printer.load(v, at)}" for c, v in enumerate(vs)]
            return [f"for r in range({R}):", "    for l in LANES:", f"        g = w[r * {W} + {first * W} + l]", *adds]
        case "scatter":
            return (exponential_backward if printer.exponential else scatter)(printer, data, vs, at, first)
        case _:
            base, name, K, I = data
            lines = []
            for i in range(I):

                def body(count: int, i: int = i) -> list[str]:
                    adds = [f"w[(k + {m}) * {I * W} + {(N + base + i) * W} + l] += g * x{m}" for m in range(count)]
                    return [f"g = w[{(first + i) * W} + l]", *adds]

                lines += past_inputs(printer, name, K, I, i, body)
            return lines


def past_inputs(printer: Printer, name: str, K: int, I: int, i: int, body: Body) -> list[str]:
    """A loop over x_t .. x_{t-K+1}, ``UNROLL`` at once."""
    offset, lines = printer.features.windows[name][0], []
    for count, span in ((UNROLL, f"range(0, {K - K % UNROLL}, {UNROLL})"), (1, f"range({K - K % UNROLL}, {K})")):
        if (count == 1 and K % UNROLL == 0) or (count > 1 and K < UNROLL):
            continue
        lines += [f"for k in {span}:", *(f"    x{m} = px[{offset} + (t + {K - 1} - k - {m}) * {I} + {i}]" for m in range(count))]
        lines += ["    for l in LANES:", *(f"        {line}" for line in body(count))]
    return lines


def past_states(printer: Printer, K: int, body: Body) -> list[str]:
    """A loop over lags 1..K (k from 0), as far as the sequence reaches back, ``UNROLL`` at once; ``past`` is a view of these rows."""

    def block(count: int) -> list[str]:
        tables = [line for m in range(count) for line in (f"a{m} = kt[1 + 2 * (k + {m})]", f"i{m} = kt[2 + 2 * (k + {m})]")]
        view = f"past = tr[b - (k + {count}) * RW : b - k * RW]"
        return [*(f"    {line}" for line in (*tables, view)), "    for l in LANES:", *(f"        {line}" for line in body(count))]

    longest = "int(kt[0])" if printer.longest == K else K  # one kernel for every K
    return [
        f"reach = min({longest}, t)", f"whole = reach - reach % {UNROLL}",
        f"for k in range(0, whole, {UNROLL}):", *block(UNROLL), "for k in range(whole, reach):", *block(1),
    ]  # fmt: skip


def by_unit(n: int, W: int, lines: Callable[[str], list[str]]) -> list[str]:
    """Statements for every unit of a state: a loop, unless there is one unit. ``lines`` is given the offset of the unit."""
    return lines("") if n == 1 else [f"for u in range({n}):", *(f"    {line}" for line in lines(f"u * {W} + "))]


def copied(printer: Printer, nodes: tuple[Node, ...], at: dict[Node, str]) -> tuple[int, list[str]]:
    """Values side by side in ``w``: the address of the first, and the statements that put them there."""
    first = printer.slot(len(nodes))
    return first * printer.W, [
        "for l in LANES:",
        *(f"    w[{(first + i) * printer.W} + l] = {printer.load(v, at)}" for i, v in enumerate(nodes)),
    ]


def direct(printer: Printer, node: Node, at: dict[Node, str], start: int) -> list[str]:
    """sum_k w_k(d) c_{t-k} and its derivative by d, the weights by w_k = w_{k-1} (k-1-d)/k."""
    name, n, K = node.data
    W, zero, one = printer.W, printer.constant(0.0), printer.constant(1.0)
    d, lines = copied(printer, node.args, at)
    q, dq = printer.slot() * W, printer.slot() * W
    slot = printer.state_slot[name, 0] * W

    def unit(u: str) -> list[str]:
        s, ds = f"w[{u}{start} + l]", f"w[{u}{start + n * W} + l]"

        def body(count: int) -> list[str]:
            out = [f"d = w[{u}{d} + l]", f"q = w[{q} + l]", f"dq = w[{dq} + l]", f"s = {s}", f"ds = {ds}"]
            for m in range(count):
                out += [f"c = past[{u}{(count - 1 - m) * printer.row * W + slot} + l]", f"r = a{m} - d * i{m}"]
                out += [f"dq = dq * r - q * i{m}", "q = q * r", "s = s + q * c", "ds = ds + dq * c"]
            return [*out, f"w[{q} + l] = q", f"w[{dq} + l] = dq", f"{s} = s", f"{ds} = ds"]

        clear = ["for l in LANES:", f"    {s} = {zero}", f"    {ds} = {zero}", f"    w[{q} + l] = {one}", f"    w[{dq} + l] = {zero}"]
        return [*clear, *past_states(printer, K, body)]

    return lines + by_unit(n, W, unit)


def scatter(printer: Printer, data: Any, vs: tuple[Node, ...], at: dict[Node, str], first: int) -> list[str]:
    """The adjoint of :func:`direct` by the states: g w_k(d) to each of the K rows before."""
    name, n, K = data
    W, q = printer.W, printer.slot() * printer.W
    d, lines = copied(printer, vs, at)
    bar = printer.history_bar[name, 0] * W

    def unit(u: str) -> list[str]:
        def body(count: int) -> list[str]:
            out = [f"d = w[{u}{d} + l]", f"q = w[{q} + l]"]
            for m in range(count):
                out += [f"q = q * (a{m} - d * i{m})", f"past[{u}{(count - 1 - m) * printer.row * W + bar} + l] += q"]
            return [*out, f"w[{q} + l] = q"]

        return ["for l in LANES:", f"    w[{q} + l] = w[{u}{first * W} + l]", *past_states(printer, K, body)]

    return lines + by_unit(n, W, unit)


def summed(terms: list[str], chain: int = 4) -> str:
    """A sum in several short chains, which the processor adds side by side."""
    return " + ".join(f"({' + '.join(terms[i : i + chain])})" for i in range(0, len(terms), chain))


def exponential(printer: Printer, node: Node, at: dict[Node, str], start: int) -> list[str]:
    """The filter as a sum of exponentials: S_j <- lambda_j S_j + c_{t-1} - lambda_j^K c_{t-1-K}, G_p = sum_j A[p, j] S_j, and
    sum_p T_p(4d - 1) G_p with its derivative by d, by Clenshaw. The delayed read makes the truncation at K exact.

    ``kt`` is read ahead of the lane loops: within them, it would keep them from being vectorised."""
    name, n, _ = node.data
    W, J, P = printer.W, RATES, TERMS
    d, lines = copied(printer, node.args, at)
    sums, basis = printer.slot(n * J) * W, printer.slot(P) * W
    recent, gone = printer.slot() * W, printer.slot() * W
    slot = printer.state_slot[name, 0] * W
    one, two, four, zero = (printer.constant(value) for value in (1.0, 2.0, 4.0, 0.0))

    def unit(u: str) -> list[str]:
        at_sum = f"u * {J * W} + {sums}" if u else str(sums)
        out = ["for l in LANES:", f"    w[{recent} + l] = z[{u}{slot} + l]", "for l in LANES:", f"    w[{gone} + l] = far[{u}{slot} + l]"]
        out += [f"r{j}, e{j} = kt[{1 + j}], kt[{1 + J + j}]" for j in range(J)]
        out += ["for l in LANES:", f"    c, g = w[{recent} + l], w[{gone} + l]"]
        out += [f"    w[{at_sum} + {j * W} + l] = r{j} * w[{at_sum} + {j * W} + l] + (c - e{j} * g)" for j in range(J)]
        out += [f"for p in range({P}):", *(f"    q{j} = kt[{1 + 2 * J + j} + p * {J}]" for j in range(J)), "    for l in LANES:"]
        out += [f"        w[p * {W} + {basis} + l] = " + summed([f"q{j} * w[{at_sum} + {j * W} + l]" for j in range(J)])]
        out += ["for l in LANES:", f"    y = {four} * w[{u}{d} + l] - {one}", f"    y2 = {two} * y"]
        out += [f"    b1, b2, h1, h2 = w[{basis + (P - 1) * W} + l], {zero}, {zero}, {zero}"]
        for p in range(P - 2, 0, -1):
            out += [f"    h1, h2 = {two} * b1 + y2 * h1 - h2, h1", f"    b1, b2 = w[{basis + p * W} + l] + y2 * b1 - b2, b1"]
        out += [f"    w[{u}{start} + l] = w[{basis} + l] + y * b1 - b2", f"    w[{u}{start + n * W} + l] = {four} * (b1 + y * h1 - h2)"]
        return out

    return lines + by_unit(n, W, unit)


def exponential_backward(printer: Printer, data: Any, vs: tuple[Node, ...], at: dict[Node, str], first: int) -> list[str]:
    """The adjoint of :func:`exponential` by the states: B_j <- lambda_j B_j + g a_j(d), a_j(d) = sum_p A[p, j] T_p(4d - 1);
    c_{t-1} receives sum_j B_j, c_{t-1-K} receives -sum_j lambda_j^K B_j."""
    name, n, _ = data
    W, J, P = printer.W, RATES, TERMS
    d, lines = copied(printer, vs, at)
    bars, basis = printer.slot(n * J) * W, printer.slot(P) * W
    recent, gone = printer.slot() * W, printer.slot() * W
    bar = printer.history_bar[name, 0] * W
    one, two, four = (printer.constant(value) for value in (1.0, 2.0, 4.0))

    def unit(u: str) -> list[str]:
        at_bar = f"u * {J * W} + {bars}" if u else str(bars)
        out = ["for l in LANES:", f"    y, p0 = {four} * w[{u}{d} + l] - {one}, w[{u}{first * W} + l]", f"    p1, y2 = y * p0, {two} * y"]
        out += [f"    p{p} = y2 * p{p - 1} - p{p - 2}" for p in range(2, P)]
        out += [f"    w[{basis + p * W} + l] = p{p}" for p in range(P)]
        out += [
            f"for j in range({J}):",
            f"    r = kt[{1} + j]",
            *(f"    q{p} = kt[{1 + 2 * J + p * J} + j]" for p in range(P)),
            "    for l in LANES:",
        ]
        amplitude = summed([f"q{p} * w[{basis + p * W} + l]" for p in range(P)])
        out += [f"        w[{at_bar} + j * {W} + l] = r * w[{at_bar} + j * {W} + l] + ({amplitude})"]
        out += [f"e{j} = kt[{1 + J + j}]" for j in range(J)]
        out += ["for l in LANES:", f"    w[{recent} + l] = " + summed([f"w[{at_bar} + {j * W} + l]" for j in range(J)])]
        out += [f"    w[{gone} + l] = " + summed([f"e{j} * w[{at_bar} + {j * W} + l]" for j in range(J)])]
        out += ["for l in LANES:", f"    z[{u}{bar} + l] += w[{recent} + l]", "for l in LANES:", f"    far[{u}{bar} + l] -= w[{gone} + l]"]
        return out

    return lines + by_unit(n, W, unit)
