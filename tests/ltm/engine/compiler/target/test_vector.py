"""Every function of vectors against NumPy: values, NaN, infinities, and how many elements are written."""

from functools import cache
from types import SimpleNamespace
from typing import Any

import numba
import numpy as np
import pytest

from ltm.engine.compiler.target import vector

KINDS = [("float32", 16), ("float32", 32), ("float64", 8)]

UNARY = (
    "neg",
    "absolute",
    "floor",
    "sqrt",
    "sign",
    "total",
    "peak",
    "log",
    "log1p",
    "expm1",
    "sin",
    "cos",
    "erf",
    "tanh",
    "exp",
    "sigmoid",
)
BINARY = ("add", "sub", "mul", "div", "maximum", "less", "less_equal", "equal", "unequal", "power")
TERNARY = ("fma", "fms", "fnma", "where")
NAMES = UNARY + BINARY + TERNARY

SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.5, 2.5, -2.5, 1e-30, -1e-30, 30.0, -30.0, np.inf, -np.inf, np.nan])


@cache
def applied(dtype: str, width: int) -> Any:
    """One compiled function that writes the result of every function of NAMES, a row each."""
    calls = [f"store(out, {i * width}, {name}(a{', b' * (name not in UNARY)}{', c' * (name in TERNARY)}))" for i, name in enumerate(NAMES)]
    source = "\n    ".join(["def apply(x, y, z, out):", "a, b, c = load(x, 0), load(y, 0), load(z, 0)", *calls])
    scope: dict[str, Any] = dict(vector.functions(dtype, width))
    exec(source, scope)
    return numba.njit(scope["apply"], error_model="numpy")


def results(dtype: str, width: int, x: np.ndarray, y: np.ndarray | None = None, z: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """Every function of every element, in vectors; what is left over of a vector is filled up with the last element."""
    columns = [np.resize(v, len(x)) for v in (x, x if y is None else y, x if z is None else z)]
    padded = [np.concatenate([v, np.repeat(v[-1:], -len(v) % width)]).astype(dtype) for v in columns]
    found = np.empty((len(padded[0]) // width, len(NAMES), width), dtype)
    for i in range(len(found)):
        applied(dtype, width)(*(np.ascontiguousarray(v[i * width : (i + 1) * width]) for v in padded), found[i].reshape(-1))
    return {name: found[:, i].reshape(-1)[: len(x)] for i, name in enumerate(NAMES)}


@pytest.mark.parametrize(("dtype", "width"), KINDS)
def test_exact_functions_have_the_value_of_numpy_at_every_pair(dtype: str, width: int) -> None:
    x, y = (v.reshape(-1).astype(dtype) for v in np.meshgrid(SPECIAL, SPECIAL))
    z = np.roll(y, 5)
    found = results(dtype, width, x, y, z)
    with np.errstate(all="ignore"):
        expected = {
            "neg": -x, "absolute": np.abs(x), "floor": np.floor(x), "sqrt": np.sqrt(x), "add": x + y, "sub": x - y, "mul": x * y, "div": x / y,
            "maximum": np.maximum(x, y), "less": x < y, "less_equal": x <= y, "equal": x == y, "unequal": x != y,
            "where": np.where(x != 0, y, z), "sign": np.where(np.isnan(x), 0, np.sign(x)),
        }  # fmt: skip
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value.astype(dtype), name)
    for name in ("neg", "absolute", "floor", "mul", "div"):
        number = ~np.isnan(found[name])
        np.testing.assert_array_equal(np.signbit(found[name])[number], np.signbit(expected[name])[number], f"sign of 0 of {name}")


@pytest.mark.parametrize(("dtype", "width"), KINDS)
def test_fused_products_are_rounded_once(dtype: str, width: int) -> None:
    e = float(np.finfo(dtype).eps)
    x, y = np.array([1.0 + e, 3.0, np.nan, np.inf, 1e30]), np.array([1.0 - e, 0.1, 1.0, 0.0, 1e30])
    z = np.array([-1.0, 2.0, 1.0, 1.0, -np.inf])
    found = results(dtype, width, x, y, z)
    assert found["fma"][0] == -e * e  # the product alone rounds to 1
    with np.errstate(all="ignore"):
        for name, value in {"fma": x * y + z, "fms": x * y - z, "fnma": z - x * y}.items():
            np.testing.assert_allclose(found[name][1:], value[1:], rtol=2 * e if dtype == "float64" else 2e-7)


@pytest.mark.parametrize(("dtype", "width"), KINDS)
def test_mathematical_functions_are_within_their_errors(dtype: str, width: int) -> None:
    dense = np.concatenate([np.linspace(-12, 12, 4001), np.geomspace(1e-30, 80, 500), -np.geomspace(1e-30, 80, 500)]).astype(dtype)
    x = dense.astype(np.float64)
    found = results(dtype, width, dense)
    single = dtype == "float32"
    assert np.abs(found["tanh"] - np.tanh(x)).max() < (4e-7 if single else 1e-15)
    assert np.abs(found["sigmoid"] - 1 / (1 + np.exp(-x))).max() < (4e-7 if single else 1e-15)
    np.testing.assert_allclose(found["exp"], np.exp(x), rtol=1e-6 if single else 1e-15)
    with np.errstate(all="ignore"):
        for name in ("log", "log1p", "expm1", "sin", "cos"):
            np.testing.assert_allclose(found[name], getattr(np, name)(x), rtol=1e-6 if single else 1e-14, atol=1e-7 if single else 1e-15)
    import scipy.special

    np.testing.assert_allclose(found["erf"], scipy.special.erf(x), rtol=1e-6 if single else 1e-14)


@pytest.mark.parametrize(("dtype", "width"), KINDS)
def test_mathematical_functions_keep_nan_and_have_their_limits(dtype: str, width: int) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 0.0, 88.5, 89.0, 1000.0, -86.0, -88.0, -1000.0])
    found = results(dtype, width, x)
    with np.errstate(all="ignore"):
        exact = {"tanh": np.tanh(x), "sigmoid": 1 / (1 + np.exp(-x)), "exp": np.exp(x)}
    np.testing.assert_allclose(found["tanh"], exact["tanh"], atol=4e-7)
    np.testing.assert_allclose(found["sigmoid"], exact["sigmoid"], atol=4e-7)
    assert found["tanh"][3] == 0
    if dtype == "float64":
        np.testing.assert_allclose(found["exp"], exact["exp"], rtol=1e-14)
    else:
        assert np.isnan(found["exp"][0])
        assert (found["exp"][[1, 5, 6]] == np.inf).all()
        np.testing.assert_allclose(found["exp"][[3, 4, 7]], exact["exp"][[3, 4, 7]], rtol=2e-6)
        assert found["exp"][3] == 1
        assert (found["exp"][[2, 8, 9]] <= 1.2e-38).all()
        assert (found["exp"][[2, 8, 9]] >= 0).all()


@pytest.mark.parametrize("width", [16, 32])
def test_tanh_is_odd_monotonic_within_its_error_and_at_most_one(width: int) -> None:
    x = np.linspace(0, 20, 6400)
    there, back = (results("float32", width, sign * x)["tanh"] for sign in (1.0, -1.0))
    np.testing.assert_array_equal(there, -back)
    assert there.max() <= 1 + 4e-7
    assert np.diff(there).min() > -4e-7


def test_an_element_has_the_same_bits_at_every_width_and_in_every_lane() -> None:
    x = np.concatenate([np.random.default_rng(0).normal(0, 3, 96), np.tile(0.37, 32)]).astype(np.float32)
    y, z = np.roll(x, 7), np.roll(x, 29)
    narrow, wide = (results("float32", width, x, y, z) for width in (16, 32))
    for name in set(NAMES) - {"total", "peak"}:
        assert narrow[name].tobytes() == wide[name].tobytes(), name
        if name in UNARY:
            assert len(set(narrow[name][-32:].tolist())) == 1, name


@pytest.mark.parametrize(("dtype", "width"), KINDS)
def test_total_and_peak_combine_all_lanes_into_every_lane(dtype: str, width: int) -> None:
    x = np.arange(1.0, width + 1)
    found = results(dtype, width, x)
    assert (found["total"] == x.sum()).all()
    assert (found["peak"] == width).all()
    for i in (0, 1, width // 2, width - 1):
        y = -x
        y[i] = np.nan
        found = results(dtype, width, y)
        assert np.isnan(found["total"]).all()
        assert np.isnan(found["peak"]).all()
        y[i] = np.inf
        found = results(dtype, width, y)
        assert (found["total"] == np.inf).all()
        assert (found["peak"] == np.inf).all()


@cache
def memory(dtype: str, width: int) -> Any:
    """One compiled function of everything that reads and writes memory."""
    v = SimpleNamespace(**vector.functions(dtype, width))
    load, store, store_head, spread, add_sum, full, head = v.load, v.store, v.store_head, v.spread, v.add_sum, v.full, v.head

    @numba.njit
    def function(x: Any, out: Any, at: int, n: int, number: Any) -> None:
        store(out[0], at, load(x, at))
        store_head(out[1], at, load(x, at), n)
        store(out[2], 0, spread(x, at))
        add_sum(out[3], at, load(x, at))
        store(out[4], 1, full(number))
        store(out[5], 0, head(load(x, at), n, full(number)))

    return function


@pytest.mark.parametrize(("dtype", "width"), KINDS)
@pytest.mark.parametrize("at", [0, 1, 5])  # no address has to be a multiple of a vector
def test_memory_is_read_and_written_where_it_is_said(dtype: str, width: int, at: int) -> None:
    x = np.arange(100.0, 100 + 2 * width).astype(dtype)
    for n in (0, 1, width // 2 + 1, width, width + 3):
        out = np.full((6, 2 * width), 7.0, dtype)
        memory(dtype, width)(x, out, at, n, np.dtype(dtype).type(3))
        expected = np.full((6, 2 * width), 7.0, dtype)
        some = min(n, width)
        expected[0, at : at + width] = x[at : at + width]
        expected[1, at : at + some] = x[at : at + some]
        expected[2, :width] = x[at]
        expected[3, at] += x[at : at + width].sum()
        expected[4, 1 : 1 + width] = 3
        expected[5, :width] = np.where(np.arange(width) < n, x[at : at + width], 3)
        np.testing.assert_array_equal(out, expected, f"n={n}")


@cache
def moved(dtype: str, width: int) -> Any:
    """One compiled function of what moves rows of a pool to lanes."""
    functions = vector.functions(dtype, width)
    transpose, prefetch = functions["transpose"], functions["prefetch"]

    @numba.njit
    def function(pool: Any, at: Any, out: Any, first: int, stride: int, j: int) -> None:
        prefetch(pool, at[3] + j)
        prefetch(pool, len(pool) + 10**6)  # it may lie anywhere: nothing is read
        transpose(out, first, stride, pool, at, j)

    return function


@pytest.mark.parametrize(("dtype", "width"), KINDS)
@pytest.mark.parametrize(("first", "stride", "j"), [(0, 16, 0), (3, 16, 5), (1, 35, 2)])
def test_sixteen_elements_of_sixteen_rows_are_written_side_by_side(dtype: str, width: int, first: int, stride: int, j: int) -> None:
    """As a vector of kernels has at least 8 lanes, the 16 of a row may be two vectors."""
    pool, at = np.arange(1000.0).astype(dtype), np.random.default_rng(0).integers(0, 900, 16)
    out, expected = (np.full(700, -1.0, dtype) for _ in range(2))
    moved(dtype, width)(pool, at, out, first, stride, j)
    for k in range(16):
        expected[first + k * stride : first + k * stride + 16] = pool[at + j + k]
    np.testing.assert_array_equal(out, expected)


def test_every_function_is_tested() -> None:
    memory = {"load", "store", "store_head", "spread", "add_sum", "full", "head", "transpose", "prefetch"}
    assert set(vector.functions("float32", 16)) == {*NAMES, *memory}


def test_this_processor_has_vectors() -> None:
    one = vector.processor()
    assert one is not None
    assert one.lanes in (4, 8, 16)
    assert one.registers in (16, 32)
