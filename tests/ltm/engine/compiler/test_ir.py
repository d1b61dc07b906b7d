"""Nodes, slices, tiles, and reverse accumulation, each evaluated by NumPy. The adjoint of every operation: tests/ltm/engine/test_operations.py."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ltm.engine.compiler.blocks import Outer, Product
from ltm.engine.compiler.ir import OPERATIONS, Adjoints, Graph, Node, adjoints, below, tiled

NUMPY: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative, "tanh": np.tanh, "exp": np.exp,
    "eq": lambda a, b: (a == b) * 1.0, "lt": lambda a, b: (a < b) * 1.0, "where": lambda m, a, b: np.where(m != 0, a, b),
    "power": lambda a, n: a**n, "detach": lambda a: a, "floor": np.floor, "sign": np.sign, "amax": lambda value, *_: value,
}  # fmt: skip


def value(node: Node, leaf: Callable[[Node], np.ndarray]) -> np.ndarray:
    """The units of a node."""
    known: dict[Node, Any] = {}
    for n in below([node]):
        args = [known[a] for a in n.args]
        if n.op == "const":
            known[n] = np.array([n.data])
        elif n.leaf:
            known[n] = leaf(n)
        elif n.op == "block":
            known[n] = n.data.naive(*args)
        elif n.op == "out":
            known[n] = args[0][n.data[1] : n.data[1] + n.n]
        elif n.op == "spread":
            known[n] = np.broadcast_to(args[0], n.n)
        else:
            known[n] = NUMPY[n.op](*args)
        if n.op != "block":
            assert known[n].shape == (n.n,)
    return known[node]


NUMBERS = np.random.default_rng(0).uniform(0.5, 2.0, 1000)


def numbered(shift: np.ndarray | float = 0.0) -> Callable[[Node], np.ndarray]:
    """Leaves hold numbers: parameters by index and stride, the others by a place of their own."""

    def leaf(node: Node) -> np.ndarray:
        if node.op == "param":
            return (NUMBERS + shift)[node.data[0] + np.arange(node.n) * node.data[1]]
        first = {"read": 200 + 50 * node.data[-1], "feature": 500, "seed": 700}[node.op]
        return NUMBERS[first + node.data[1] + np.arange(node.n)]

    return leaf


def param(g: Graph, first: int, n: int = 1, stride: int = 1) -> Node:
    return g.make("param", data=(first, stride), n=n)


def test_equal_nodes_are_one_node() -> None:
    g = Graph()
    a, b = param(g, 0, 4), param(g, 4, 4)
    assert param(g, 0, 4) is a
    assert a + b is a + b
    assert g("tanh", a * b + 1.0) is g("tanh", a * b + 1.0)
    assert a + b is not b + a  # the order is the program's
    assert param(g, 0, 4, 2) is not a
    assert param(g, 0, 3) is not a
    assert g.sum(a) is g.sum(a)
    assert a + b is not Graph().make("param", data=(0, 1), n=4) + 1.0
    assert len({node.index for node in g.nodes.values()}) == len(g.nodes)


def test_constants_are_told_apart_by_sign_and_nan_equals_itself() -> None:
    g = Graph()
    assert g.const(0.0) is not g.const(-0.0)
    assert g.const(math.nan) is g.const(math.nan)
    assert g.const(1) is g.const(1.0)


def test_arguments_come_before_their_node() -> None:
    g = Graph()
    (g.sum(param(g, 0, 4) * 2.0) + 1.0) * param(g, 4)
    assert all(a.index < node.index for node in g.nodes.values() for a in node.args)


def test_only_what_changes_no_value_is_simplified() -> None:
    g = Graph()
    a = param(g, 0, 3)
    for same in (a * 1.0, 1.0 * a, a / 1.0, a - 0.0, g("neg", -a), g("where", g("lt", a, 1.0), a, a)):
        assert same is a
    for other in (0.0 * a, a * 0.0, a + 0.0, 0.0 / a, a - a):
        assert other is not a
        assert other.op in OPERATIONS  # an infinite argument makes it NaN, and -0 + 0 is 0
    assert (-g.const(2.0)).is_const(-2.0)


def test_a_product_less_something_plus_something_keeps_its_value() -> None:
    g = Graph()
    a, b, c, d = (param(g, i, 3) for i in (0, 3, 6, 9))
    y = (a * b - c) + d
    leaf = numbered()
    np.testing.assert_allclose(value(y, leaf), leaf(a) * leaf(b) - leaf(c) + leaf(d), rtol=1e-15)


def build(g: Graph, n: int) -> dict[str, Node]:
    """Nodes of n units of every kind that may be sliced."""
    a, b = param(g, 0, n), param(g, 100, n, 2)
    read, feature = g.make("read", data=("h", 3, 2), n=n), g.make("feature", data=("now", 1), n=n)
    seed, one = g.make("seed", data=("h", 2), n=n), param(g, 90)
    block = g.make("block", param(g, 0, 100), a, data=Product(0, n, n, n, 1), n=0)
    out = g.out(block, 0, n)
    return {
        "param": a, "strided": b, "read": read, "feature": feature, "seed": seed, "out": out, "spread": g.whole(one, n),
        "pointwise": g("tanh", a * b - read) / (feature + one), "with a block": g("where", g("lt", out, seed), out * one, -a),
        "with a sum": a / g.sum(b * read), "power": g.power(a, g.const(3)) + 2.0,
    }  # fmt: skip


@given(st.data())
def test_a_slice_has_the_units_of_the_whole(data: st.DataObject) -> None:
    g, n = Graph(), data.draw(st.integers(2, 8))
    node = data.draw(st.sampled_from(list(build(g, n).values())))
    first = data.draw(st.integers(0, n - 1))
    size = data.draw(st.integers(1, n - first))
    part = g.slice(node, first, size)
    assert part.n == size
    np.testing.assert_array_equal(value(part, numbered()), value(node, numbered())[first : first + size])
    inner = data.draw(st.integers(0, size - 1))
    if size > 1:
        assert g.slice(part, inner, 1) is g.slice(node, first + inner, 1)


def test_slices_are_pushed_down_to_leaves() -> None:
    g = Graph()
    for node in build(g, 6).values():
        part = g.slice(node, 2, 3)
        todo = [part]
        while todo:
            n = todo.pop()
            assert n.n in (1, 3) or n.op == "block"
            todo += n.args if n.op in OPERATIONS else ()
        assert g.slice(node, 0, 6) is node


def test_a_slice_of_parameters_may_have_a_stride() -> None:
    g = Graph()
    assert g.slice(param(g, 10, 12), 1, 3, 4) is param(g, 11, 3, 4)
    assert g.slice(param(g, 10, 12, 2), 3, 3) is param(g, 16, 3, 2)
    assert g.slice(param(g, 10, 12, 5), 3, 1) is param(g, 25)


Part = tuple[int, int]


@given(
    st.integers(1, 9).flatmap(
        lambda size: st.tuples(st.just(size), st.lists(st.tuples(st.integers(0, size - 1), st.integers(1, size)), max_size=5))
    )
)
def test_tiles_cover_the_whole_add_overlaps_and_leave_gaps_zero(case: tuple[int, list[Part]]) -> None:
    size, parts = case
    g, expected, given_parts = Graph(), np.zeros(size), []
    for i, (first, n) in enumerate((first, min(n, size - first)) for first, n in parts):
        node = param(g, 10 * i, n if i % 2 else 1)  # one unit is spread over its part
        given_parts.append((first, node, n))
        expected[first : first + n] += value(node, numbered())
    tiles = tiled(given_parts, size, g)
    assert sum(tile.n for tile in tiles) == size
    np.testing.assert_allclose(np.concatenate([value(tile, numbered()) for tile in tiles]), expected, rtol=1e-15)
    assert all(tile.op != "const" for tile in tiles)  # each is an array in memory


def test_tiles_end_only_where_a_part_does() -> None:
    g = Graph()
    assert [tile.n for tile in tiled([(2, param(g, 0, 3), 3)], 8, g)] == [2, 3, 3]
    assert [tile.n for tile in tiled([(0, param(g, 0, 8), 8)], 8, g)] == [8]
    assert [tile.n for tile in tiled([(0, param(g, 0, 5), 5), (3, param(g, 9, 5), 5)], 8, g)] == [3, 2, 3]
    assert [tile.n for tile in tiled([], 8, g)] == [8]


def gradient(found: Adjoints, size: int, leaf: Callable[[Node], np.ndarray]) -> np.ndarray:
    """The adjoints of parameters, by index."""
    out = np.zeros(size)
    for node, bar in found.of.items():
        if node.op == "param":
            np.add.at(out, node.data[0] + np.arange(node.n) * node.data[1], np.broadcast_to(value(bar, leaf), node.n))
    for effect in found.effects:
        assert isinstance(effect.data, Outer)
        matrix, *arrays = (value(a, leaf) for a in effect.args)
        d, z = arrays[: effect.data.rows], arrays[effect.data.rows :]
        out[: len(matrix)] += effect.data.naive(matrix, np.concatenate(d), np.concatenate(z))
    return out


def check(y: Node, size: int = 100) -> Adjoints:
    """The gradient of sum(seed * y) against central differences."""
    seed = y.graph.make("seed", data=("y", 0), n=y.n)
    found = adjoints([(y, seed)])
    for node, bar in found.of.items():
        assert bar.n in (1, node.n)
    numeric = np.zeros(size)
    for i in range(size):
        step = np.zeros(len(NUMBERS))
        step[i] = 1e-5
        high, low = ((value(y, numbered(sign * step)) * numbered()(seed)).sum() for sign in (1, -1))
        numeric[i] = (high - low) / 2e-5
    np.testing.assert_allclose(gradient(found, size, numbered()), numeric, rtol=1e-7, atol=1e-8)
    return found


def cases(g: Graph) -> Iterable[tuple[str, Node]]:
    a, b, one = param(g, 0, 5), param(g, 5, 5), param(g, 12)
    matrix = param(g, 0, 100)
    yield "one unit with many", a * one + one
    yield "a sum", g.sum(a * b)
    yield "a sum with many", a / g.sum(b) + b
    yield "a sum of a sum", g.sum(a * g.sum(a * b)) * one
    yield "a spread unit", g.whole(one * one, 5) * a
    yield "a spread unit that is summed", g.sum(g.whole(one * one, 5)) * one
    yield "a sum of one unit with many", g.sum(a + one) * one - g.sum(one - b)
    yield "a sum of one unit where it is chosen", g.sum(g("where", g("lt", a, b), one, a))
    yield "a node used twice", g("tanh", a) * g("tanh", a) + g("tanh", a)
    yield "slices that overlap", g.slice(g("tanh", a * b), 0, 3) * g.slice(g("tanh", a * b), 2, 3)
    yield "a strided parameter", param(g, 20, 4, 3) * one
    yield "a product", g.out(g.make("block", matrix, a, data=Product(30, 3, 5, 5, 1), n=0), 0, 3)
    yield "a transposed product", g.out(g.make("block", matrix, a, data=Product(30, 3, 5, 1, 3), n=0), 0, 3)
    product = g.out(g.make("block", matrix, a * b, g.whole(one, 2), g("exp", one), data=Product(30, 4, 8, 9, 1), n=0), 0, 4)
    yield "a product of several arrays", product * g.slice(a, 0, 4)
    yield "parts of a product", g.slice(product, 0, 3) * g.slice(product, 1, 3) + g.slice(product, 3, 1)
    feature = g.make("feature", data=("now", 0), n=2)
    yield "a product of an input and an array", g.out(g.make("block", matrix, feature, a, data=Product(30, 3, 7, 7, 1), n=0), 0, 3)
    yield "a product in a product", g.out(g.make("block", matrix, product, data=Product(40, 2, 4, 4, 1), n=0), 0, 2)
    yield "a sum of a product", g.sum(product) * one


@pytest.mark.parametrize("name", [name for name, _ in cases(Graph())])
def test_adjoints_are_the_gradient(name: str) -> None:
    check(dict(cases(Graph()))[name])


def test_the_adjoint_of_one_unit_is_summed_over_the_many_it_met() -> None:
    g = Graph()
    a, one = param(g, 0, 5), param(g, 9)
    found = check(a * one)
    assert found.of[one].n == 1
    assert found.of[a].n == 5


def test_equal_largest_units_share_the_adjoint() -> None:
    g = Graph()
    a = param(g, 0, 4)
    largest = g("amax", g.largest(a), a)
    seed = g.make("seed", data=("y", 0))
    bar = adjoints([(largest, seed)]).of[a]
    found = value(bar, lambda node: {"param": np.array([1.0, 3.0, 3.0, 2.0]), "seed": np.array([5.0])}[node.op])
    np.testing.assert_array_equal(found, [0, 2.5, 2.5, 0])


def test_nothing_passes_constants_inputs_masks_and_what_is_detached() -> None:
    g = Graph()
    a, b, feature = param(g, 0, 3), param(g, 3, 3), g.make("feature", data=("now", 0), n=3)
    seed = g.make("seed", data=("y", 0), n=3)
    y = g("lt", a, b) * feature + g("detach", a) + g("floor", a) + g("sign", b) + 2.0
    assert adjoints([(y, seed)]).of == {}
    assert set(adjoints([(y * a, seed)]).of) == {a}


def test_accumulation_ends_where_it_is_told() -> None:
    g = Graph()
    a = param(g, 0, 3)
    t = g("tanh", a)
    y = t * t
    found = adjoints([(y, g.make("seed", data=("y", 0), n=3))], [t])
    assert set(found.of) == {t}
    np.testing.assert_allclose(value(found.of[t], numbered()), 2 * np.tanh(NUMBERS[:3]) * NUMBERS[700:703], rtol=1e-15)


def test_seeds_of_several_nodes_are_added() -> None:
    g = Graph()
    a, s = param(g, 0, 3), g.make("seed", data=("y", 0), n=3)
    found = adjoints([(a * 2.0, s), (a * 3.0, s), (a, s)])
    np.testing.assert_allclose(value(found.of[a], numbered()), 6 * NUMBERS[700:703], rtol=1e-15)
