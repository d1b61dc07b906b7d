"""What has a loop inside: kernels of small cells against each block's NumPy twin and against autograd, at sizes that fill no vector."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from ltm import filters
from ltm.cells import Cell, Network, Parameter, Readout, State
from ltm.data.base import Task
from ltm.engine import Protocol
from ltm.engine.compiler.blocks import EXPONENTIAL_FROM, Filter, Outer, Product, Scatter, exponentials, filter_table, tiles
from ltm.engine.compiler.ir import Reduction
from ltm.engine.compiler.layout import Layout, Slot
from ltm.engine.compiler.target.vector import Processor
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch
from tests.ltm.engine.series import outputs, series

LAYOUTS, SIZES, DTYPES = ("seeds", "units"), (17, 33), ("float32", "float64")


class Unchanged(Readout):
    """The state itself."""

    def parameters(self):
        return {}

    def __call__(self, p, s):
        return s.h


@dataclass(frozen=True)
class Linear(Cell):
    """h_t = W [x_t, h_{t-1}]: nothing but one product."""

    def parameters(self):
        return {"W": Parameter((self.hidden_size, self.hidden_size + self.input_size), self.hidden_size**-0.5)}

    def step(self, p, s, x):
        return {"h": p.W @ torch.cat([x.now, s.h])}


@dataclass(frozen=True)
class Products(Cell):
    """Matrices as they are, transposed, in parts, and of one row; of inputs, states, computed arrays, and several arrays side by side."""

    def parameters(self):
        H = self.hidden_size
        return {"W": Parameter((H, H + self.input_size), H**-0.5), "U": Parameter((H, H), H**-0.5), "q": Parameter((H,), H**-0.5)}

    def step(self, p, s, x):
        H = self.hidden_size
        a = torch.tanh(p.W @ torch.cat([x.now, s.h]) + p.U.T @ s.h)
        b = p.U @ a + p.W[:, 1 : H + 1] @ torch.cat([a[: H // 2], s.h[H // 2 :]])
        inner = torch.cat([p.W[3 : H - 1, 2 : H - 1] @ s.h[2 : H - 1], b[:4]])
        return {"h": torch.tanh(a - 0.3 * b + 0.2 * inner) + (p.q @ b) * 0.1 + p.W[2:4, :H] @ a @ s.h[:2] * 0.1}


@dataclass(frozen=True)
class Parts(Products):
    """Few rows and columns, transposed or not, whose results are cut up; and a matrix that is computed."""

    def step(self, p, s, x):
        H = self.hidden_size
        a = torch.tanh(p.W[:, :1] @ x.now[:1] + p.U @ s.h)
        few = p.U[: H - 2, 1:4].T @ a[2:]
        part = torch.cat([a[4:], few[:2], (p.U @ a)[:2]])
        return {"h": a + 0.2 * part + 0.3 * torch.tanh(p.U) @ s.h}


@dataclass(frozen=True)
class Filtered(Cell):
    """h_t = W x_t - (the filter of the past of h): short ones run directly, those of at least EXPONENTIAL_FROM as exponentials in float32."""

    K: int = 40

    def state(self):
        return {"h": State(self.hidden_size, lags=max(self.K, 2))}

    def parameters(self):
        return {"W": Parameter((self.hidden_size, self.input_size), 0.7), "b": Parameter((self.hidden_size,), 1.0)}

    def step(self, p, s, x):
        return {"h": p.W @ x.now - filters.direct(s.h[: self.K], 0.5 * torch.sigmoid(p.b))}


@dataclass(frozen=True)
class Moving(Filtered):
    """A memory parameter that moves with the input and the state, and is made of two arrays."""

    def step(self, p, s, x):
        H = self.hidden_size
        d = 0.5 * torch.sigmoid(torch.cat([p.b[: H // 2] + s.h[0][1 : H // 2 + 1], (p.W @ x.now)[H // 2 :] * p.b[0]]))
        return {"h": torch.tanh(p.W @ x.now - filters.direct(s.h[: self.K], d) * s.h[0])}


@dataclass(frozen=True)
class Reduced(Cell):
    """Sums, largest units and softmax over all units; one unit among many below a sum."""

    def parameters(self):
        return {"W": Parameter((self.hidden_size, 1), 1.0), "b": Parameter((self.hidden_size,), 1.0), "e": Parameter((1,), 0.5)}

    def step(self, p, s, x):
        u = torch.tanh(p.W @ x.now[:1] + p.b - s.h)
        return {"h": torch.softmax(2.0 * u, 0) + torch.amax(u * p.b, 0) + (s.h + p.e).sum() * 0.02}


@dataclass(frozen=True)
class Nested(Reduced):
    """Sums in one another, of parts, and of parameters alone."""

    def step(self, p, s, x):
        u = torch.tanh(p.W @ x.now[:1] + p.b - s.h)
        v = u - torch.amin(s.h[1:] + x.now[:1], 0) * 0.2 + torch.amax(p.b[: self.hidden_size - 1], 0) * p.e
        w = (u * s.h).mean() - torch.logsumexp(u[2:], 0) * 0.1 + p.b.sum() * 0.05
        return {"h": torch.tanh(v + w * u + ((u - u.mean()) ** 2).mean())}


def parameters(network: Network, lanes: int) -> np.ndarray:
    return np.stack([network.initial(seed) for seed in range(lanes)])


def agree(cell: Cell, layout: str, dtype: str, T: int = 20, lanes: int = 3) -> None:
    """Losses and gradients as the torch engine has them in float64."""
    network, task = Network.of(cell), series(T, cell.input_size)
    params = parameters(network, lanes).astype(dtype)
    mine = Fused(network, task, Protocol(), dtype=dtype, layout=layout).gradient(params)
    true = Torch(network, task, Protocol(), dtype=torch.float64).gradient(params)
    close, relative = (1e-5, 1e-4) if dtype == "float32" else (1e-10, 1e-10)
    for a, b in zip(mine[:2], true[:2], strict=True):
        np.testing.assert_allclose(a, b, rtol=close, atol=close)
    assert (np.abs(mine[2] - true[2]) / np.abs(true[2]).max(1, keepdims=True)).max() < relative


QUICK = {("Parts", 17, "units", "float32"), ("Filtered", 17, "seeds", "float32"), ("Moving", 17, "units", "float32"),
         ("Reduced", 17, "units", "float32")}  # fmt: skip


def every() -> list[object]:
    cases = []
    for cell in (Products, Parts, Filtered, Moving, Reduced, Nested):
        for size in SIZES:
            for layout in LAYOUTS:
                for dtype in DTYPES:
                    marks = () if (cell.__name__, size, layout, dtype) in QUICK else pytest.mark.long
                    cases.append(pytest.param(cell, size, layout, dtype, marks=marks, id=f"{cell.__name__}-{size}-{layout}-{dtype}"))
    return cases


@pytest.mark.parametrize(("cell", "size", "layout", "dtype"), every())
def test_kernels_equal_autograd(cell: type[Cell], size: int, layout: str, dtype: str) -> None:
    agree(cell(hidden_size=size), layout, dtype, T=60 if cell in (Filtered, Moving) else 20)


@pytest.mark.parametrize("size", SIZES)
def test_units_that_do_not_lie_side_by_side_are_never_read_as_a_vector(size: int) -> None:
    engine = Fused(Network.of(Parts(hidden_size=size)), series(5), Protocol(), layout="units")
    source = engine.compiled(engine.layout.width).kernel.source
    assert "load(p, u" in source
    assert "load(p, u * " not in source


@pytest.mark.long
@pytest.mark.parametrize("K", [1, 2, 7, EXPONENTIAL_FROM - 1, EXPONENTIAL_FROM])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_filters_of_every_length_equal_autograd(layout: str, K: int) -> None:
    for T in (1, K, K + 1, 3 * K):
        agree(Moving(hidden_size=18, K=K), layout, "float32", T=T)


@pytest.mark.long
@pytest.mark.parametrize("inputs", [1, 3, 16, 17])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_products_of_wide_inputs_equal_autograd(layout: str, inputs: int) -> None:
    for cell in (Products, Parts):
        agree(cell(hidden_size=18, input_size=inputs), layout, "float32")


# -- the twins ----------------------------------------------------------------------------------------------------------


def kernel(cell: Cell, task: Task, layout: str, dtype: str, lanes: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Parameters, outputs of all steps and the gradient of the training loss, from a kernel whose outputs are the states."""
    network = Network(((cell,),), Unchanged((("h", cell.hidden_size),), cell.hidden_size))
    params = parameters(network, lanes).astype(dtype)
    engine = Fused(network, task, Protocol(), dtype=dtype, layout=layout)
    return params, outputs(engine, params), engine.gradient(params)[2]


@pytest.mark.parametrize("layout", ["units", pytest.param("seeds", marks=pytest.mark.long)])
def test_product_and_outer_do_what_their_twins_say(layout: str) -> None:
    H, I, T = 17, 3, 9
    task = series(T, I, H)
    params, found, gradient = kernel(Linear(H, I), task, layout, "float64")
    forward, back = Product(0, H, H + I, H + I, 1), Product(I, H, H, 1, H + I)
    outer = Outer(0, H + I, 1, 1)
    for m, y, g in zip(params, found, gradient, strict=True):
        h = np.zeros((T + 2, H))
        for t in range(T + 1):
            h[t + 1] = forward.naive(m, task.train.inputs[0, t], h[t])
        np.testing.assert_allclose(y[: T + 1], h[1:], rtol=1e-12, atol=1e-14)
        expected, bar = np.zeros_like(m), np.zeros(H)
        for t in range(T - 1, -1, -1):
            bar = bar + 2 / (T * H) * (h[t + 1] - task.train.targets[0, t])
            expected += outer.naive(m, bar, np.concatenate([task.train.inputs[0, t], h[t]]))
            bar = back.naive(m, bar)
        np.testing.assert_allclose(g, expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize(
    ("layout", "dtype"),
    [("units", "float64"), *(pytest.param(*case, marks=pytest.mark.long) for case in [("seeds", "float64"), ("units", "float32"), ("seeds", "float32")])],
)  # fmt: skip
def test_filter_and_scatter_do_what_their_twins_say(layout: str, dtype: str) -> None:
    H, K, T = 18, 40, 60  # longer than the filter: its end is seen
    task = series(T, 1, H)
    params, found, gradient = kernel(Filtered(H, K=K), task, layout, dtype)
    close = {"rtol": 1e-10, "atol": 1e-13} if dtype == "float64" else {"rtol": 1e-4, "atol": 3e-5}
    filtering, scatter = Filter("h", H, K), Scatter("h", H, K, 1)
    for lane, y, g in zip(params.astype(np.float64), found, gradient, strict=True):
        W, b = lane[:H], lane[H:]
        d = 0.5 / (1 + np.exp(-b))
        h = np.zeros((K + T + 1, H))  # K rows before the sequence
        for t in range(T + 1):
            h[K + t] = W * task.train.inputs[0, t] - filtering.naive(h[t : K + t][::-1], d)
        np.testing.assert_allclose(y[: T + 1], h[K:], **close)
        slope = (filters.weights(d + 1e-6, K) - filters.weights(d - 1e-6, K)) / 2e-6
        bars, of_W, of_d = np.zeros((K + T, H)), np.zeros(H), np.zeros(H)
        bars[K:] = 2 / (T * H) * (h[K : K + T] - task.train.targets[0, :T])
        for t in range(T - 1, -1, -1):
            bar = bars[K + t]
            of_W += bar * task.train.inputs[0, t]
            of_d -= bar * (slope * h[t : K + t][::-1]).sum(0)
            bars[t : K + t] -= scatter.naive(bar, d)[::-1]
        expected = np.concatenate([of_W, of_d * d * (1 - 2 * d)])
        np.testing.assert_allclose(g, expected, rtol=max(close["rtol"], 1e-7), atol=max(close["atol"], 1e-9))


def test_naive_twins_are_what_they_are_called() -> None:
    rng = np.random.default_rng(0)
    m, z, d = rng.normal(size=60), rng.normal(size=5), rng.normal(size=7)
    W = m[4 : 4 + 35].reshape(7, 5)
    np.testing.assert_allclose(Product(4, 7, 5, 5, 1).naive(m, z[:2], z[2:]), W @ z)
    np.testing.assert_allclose(Product(4, 5, 7, 1, 5).naive(m, d), W.T @ d)
    np.testing.assert_allclose(Product(9, 3, 4, 5, 1).naive(m, z[:4]), W[1:4, :4] @ z[:4])
    np.testing.assert_allclose(Outer(4, 5, 1, 1).naive(m, d, z)[4:39].reshape(7, 5), np.outer(d, z))
    assert Reduction("add").naive(z) == [z.sum()]
    assert Reduction("maximum").naive(z) == [z.max()]
    window, memory = rng.normal(size=(12, 5)), rng.uniform(0.01, 0.49, 5)
    np.testing.assert_allclose(Filter("h", 5, 12).naive(window, memory), filters.direct(torch.tensor(window), torch.tensor(memory)).numpy())
    transposed = Scatter("h", 5, 12, 1).naive(z, memory)
    np.testing.assert_allclose((transposed * window).sum(0), z * Filter("h", 5, 12).naive(window, memory))


def test_tiles_cover_everything_once() -> None:
    for total in range(1, 20):
        for tile in range(1, 7):
            for step in (1, 16):
                seen = []
                for head, count in tiles(total, tile, step, "i"):
                    start, end, by = map(int, head.removeprefix("for i in range(").removesuffix("):").split(","))
                    seen += [i + k * step for i in range(start, end, by) for k in range(count)]
                assert seen == [i * step for i in range(total)]


def test_the_table_of_a_filter_has_its_weights() -> None:
    K, d = 40, 0.3
    table = filter_table(K, exponential=False)
    weight, found = 1.0, []
    for k in range(K):
        weight *= table[1 + 2 * k] - d * table[2 + 2 * k]
        found.append(weight)
    assert table[0] == K
    np.testing.assert_allclose(found, filters.weights(d, K)[:, 0] if filters.weights(d, K).ndim > 1 else filters.weights(d, K), rtol=1e-12)
    rates, coefficients = exponentials(K)
    np.testing.assert_array_equal(filter_table(K, exponential=True), [K, *rates, *rates**K, *coefficients.ravel()])


# -- a vector is entries of a batch -----------------------------------------------------------------------------------------

ENTRIES = Layout("entries", 16, Processor("any", 16, 32), 16, gathered=True)


def test_entries_share_parameters_and_have_all_else_of_their_own() -> None:
    assert ENTRIES.step == 1
    assert ENTRIES.lanes == 1
    assert {buffer: ENTRIES.size(buffer) for buffer in ("p", "g", "w", "tr", "f", "px", "kt")} == {
        "p": 1, "g": 1, "w": 16, "tr": 16, "f": 16, "px": 16, "kt": 1
    }  # fmt: skip


def test_entries_address_units_a_vector_apart_and_weights_one_apart() -> None:
    assert ENTRIES.address(Slot("p", 5)) == "s + 5"
    assert ENTRIES.address(Slot("p", 0)) == "s"
    assert ENTRIES.address(Slot("p", 5, stride=3), 2, a=1, c=7) == "s + a * 3 + c * 21 + 11"
    assert ENTRIES.address(Slot("w", 5), 1, u=1) == "v + u * 16 + 96"
    assert ENTRIES.address(Slot("tr", 2, "q - 1 * RW"), u=1) == "q - 1 * RW + v + u * 16 + 32"
    assert ENTRIES.address(Slot("tr", 0, "q")) == "q + v"


def test_entries_load_weights_spread_and_write_the_sum_of_their_gradients() -> None:
    assert ENTRIES.load(Slot("p", 5), a=1) == "spread(p, s + a + 5)"
    assert ENTRIES.load(Slot("kt", 1)) == "spread(kt, 1)"
    assert ENTRIES.load(Slot("f", 1, "x")) == "load(f, x + v + 16)"
    assert ENTRIES.load(Slot("w", 2), one=True) == "load(w, v + 32)"
    assert ENTRIES.store(Slot("g", 5), "s", 7, add=True, a=1) == "add_sum(g, s + a + 5, s)"
    assert ENTRIES.store(Slot("w", 5), "s", 7, add=True) == "store(w, v + 80, add(load(w, v + 80), s))"
    assert ENTRIES.store(Slot("tr", 1, "q"), "s", 7) == "store(tr, q + v + 16, s)"


def test_seeds_and_units_print_what_their_vectors_are() -> None:
    seeds, units = (Layout(kind, 16, Processor("any", 16, 32), 16) for kind in LAYOUTS)
    assert (seeds.step, seeds.lanes, units.step, units.lanes) == (1, 16, 16, 1)
    assert seeds.load(Slot("p", 5)) == "load(p, 80)"
    assert seeds.load(Slot("f", 5, "x")) == "spread(f, x + 5)"
    assert seeds.store(Slot("g", 5), "s", 7, add=True) == "store(g, 80, add(load(g, 80), s))"
    assert units.load(Slot("p", 5), a=1) == "load(p, a + 5)"
    assert units.load(Slot("p", 5), one=True) == "spread(p, 5)"
    assert units.store(Slot("g", 5), "s", 7) == "store_head(g, 5, s, 7)"
    assert units.store(Slot("g", 5), "s", 33, left="33 - u", u=1) == "store_head(g, u + 5, s, 33 - u)"
    assert units.store(Slot("g", 5), "s", 32, u=1) == "store(g, u + 5, s)"
