"""Every operation that a step may use has torch's value and torch's gradient: at ordinary points, ties, kinks, NaN and infinities."""

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from ltm.cells import Cell, Network, Parameter, Readout
from ltm.data.base import Sequences, Task
from ltm.engine import Protocol
from ltm.engine.fused import Fused
from ltm.engine.torch import Torch

inf, nan = math.inf, math.nan

SMOOTH = {
    "tanh": lambda a, b: torch.tanh(a), "sigmoid": lambda a, b: torch.sigmoid(a), "exp": lambda a, b: torch.exp(a),
    "log": lambda a, b: torch.log(a), "sqrt": lambda a, b: torch.sqrt(a), "log1p": lambda a, b: torch.log1p(a),
    "expm1": lambda a, b: torch.expm1(a), "sin": lambda a, b: torch.sin(a), "cos": lambda a, b: torch.cos(a),
    "reciprocal": lambda a, b: torch.reciprocal(a), "rsqrt": lambda a, b: torch.rsqrt(a), "square": lambda a, b: torch.square(a),
    "add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b, "div": lambda a, b: a / b, "neg": lambda a, b: -a,
    "add alpha": lambda a, b: torch.add(a, b, alpha=3), "rsub": lambda a, b: 2 - a, "rdiv": lambda a, b: 3 / a,
    "times 0": lambda a, b: 0.0 * a, "0 over": lambda a, b: 0.0 / a, "over 0": lambda a, b: a / 0.0, "plus 0": lambda a, b: a + 0.0,
    "times inf": lambda a, b: a * inf, "plus nan": lambda a, b: a + nan, "twice": lambda a, b: a * a + a,
    "detach": lambda a, b: a.detach() * a, "lerp": lambda a, b: torch.lerp(a, torch.ones(1, dtype=a.dtype), 0.25),
    "softplus": lambda a, b: F.softplus(a), "softplus of beta": lambda a, b: F.softplus(a, beta=2.0, threshold=5.0),
    "silu": lambda a, b: F.silu(a), "logsigmoid": lambda a, b: F.logsigmoid(a), "softsign": lambda a, b: F.softsign(a),
    "erf": lambda a, b: torch.erf(a), "cumsum": lambda a, b: torch.cumsum(torch.stack([a, b]), 0)[1], "dot": lambda a, b: torch.dot(a, b)[None],
    "outer": lambda a, b: torch.outer(a, b)[0], "length": lambda a, b: a * len(b), "gelu": lambda a, b: F.gelu(a),
    "gelu by tanh": lambda a, b: F.gelu(a, approximate="tanh"),
}  # fmt: skip

POWERS = {
    **{f"power {n}": lambda a, b, n=n: a**n for n in (0, 1, 2, 3, 4, 9, -1, -2, -3, -8, 0.0, 2.0, 0.5, -0.5, 1.5, 2.7, -1.3)},
    "pow": lambda a, b: torch.pow(a, 3.0), "of a tensor": lambda a, b: a ** torch.tensor(2.5, dtype=torch.float64),
    "rpow": lambda a, b: 2.0**a, "pow of both": lambda a, b: torch.pow(a, b),
}  # fmt: skip

KINKS = {
    "relu": lambda a, b: torch.relu(a), "relu6": lambda a, b: F.relu6(a), "abs": lambda a, b: torch.abs(a),
    "leaky_relu": lambda a, b: F.leaky_relu(a, 0.1), "elu": lambda a, b: F.elu(a), "elu of alpha": lambda a, b: F.elu(a, alpha=2.0),
    "hardtanh": lambda a, b: F.hardtanh(a), "hardtanh of bounds": lambda a, b: F.hardtanh(a, -0.5, 2.0),
    "maximum": lambda a, b: torch.maximum(a, b), "minimum": lambda a, b: torch.minimum(a, b), "max": lambda a, b: torch.max(a, b),
    "maximum of 0": lambda a, b: torch.maximum(a, torch.zeros(1, dtype=a.dtype)), "maximum of itself": lambda a, b: torch.maximum(a, a),
    "clamp": lambda a, b: torch.clamp(a, -1.0, 1.0), "clamp low": lambda a, b: a.clamp(min=0), "clamp high": lambda a, b: a.clip(max=0.5),
    "clamp crossed": lambda a, b: torch.clamp(a, 1.0, -1.0), "clamp_min": lambda a, b: torch.clamp_min(a, 1.0),
    "sign": lambda a, b: torch.sign(a) * a, "floor": lambda a, b: torch.floor(a) * a,
    "where": lambda a, b: torch.where(a > b, a, 2 * b), "where with root": lambda a, b: torch.where(a > 0, torch.sqrt(a), b),
    "where number": lambda a, b: torch.where(a <= 1.0, a, 0.0), "method where": lambda a, b: a.where(b != 0, b),
    "masked_fill": lambda a, b: a.masked_fill(a == b, 3.0), "comparison": lambda a, b: (a >= b) * a + (a < 0.0).float() * b,
    "logic": lambda a, b: torch.where((a > 0) & ~(b > 0) | (a == b), a, b), "xor": lambda a, b: torch.where((a > 0) ^ (b > 0), a, b),
    "logical": lambda a, b: torch.where(torch.logical_and(a, torch.logical_not(b)), a, b), "isnan": lambda a, b: torch.where(torch.isnan(a), b, a),
    "amax": lambda a, b: torch.amax(torch.cat([a, b, torch.ones(1, dtype=a.dtype)]), 0, keepdim=True),
    "amin": lambda a, b: torch.stack([a, b]).amin(0),
    "prod": lambda a, b: torch.cat([a, b, a]).prod()[None], "mean": lambda a, b: torch.stack([a, b]).mean(0),
    "softmax": lambda a, b: torch.softmax(torch.cat([a, b]), 0)[:1], "logsumexp": lambda a, b: torch.logsumexp(torch.cat([a, b]), 0, keepdim=True),
}  # fmt: skip

ROUNDED = {"softmax", "logsumexp", "prod"}
"""Torch has formulas of its own for their gradients, which are NaN or wrong for other large arguments than the plain ones."""

GROUPS = {"smooth": SMOOTH, "powers": POWERS, "kinks": KINKS}
POINTS = [0.0, -0.0, 0.5, -0.5, 1.0, -1.0, 2.0, 3.0, -3.0, 6.0, 20.0, -40.0, 800.0, -800.0, 1e-100, -1e100, 1e100, nan, inf, -inf]


@dataclass(frozen=True)
class Applies(Cell):
    """Every operation of a group on elements of its own: to values of the time loop, and to parameters, whose functions are taken out of it."""

    group: str = "smooth"

    def parameters(self):
        return {name: Parameter((len(GROUPS[self.group]),), 1.0) for name in ("a", "b", "c", "d")}


class Unchanged(Readout):
    """The state itself."""

    def parameters(self):
        return {}

    def __call__(self, p, s):
        return s.h


class Looped(Applies):
    """The results, as outputs: an infinite result meets an infinite adjoint."""

    def step(self, p, s, x):
        a, b = p.a * x.now, p.b * x.now  # the input is 1
        return {"h": torch.cat([f(a[i : i + 1], b[i : i + 1]) for i, f in enumerate(GROUPS[self.group].values())])}


class Invariant(Applies):
    """The results where they are finite: an infinite one meets an adjoint of 0."""

    def step(self, p, s, x):
        h = torch.cat([f(p.a[i : i + 1], p.b[i : i + 1]) for i, f in enumerate(GROUPS[self.group].values())])
        return {"h": torch.where(torch.abs(h) < inf, h, 0.5) * x.now}


@cache
def pair(kind: type[Applies], group: str, dtype: str) -> tuple[Fused, Torch]:
    n = len(GROUPS[group])
    cell = Network(((kind(hidden_size=n, group=group),),), Unchanged((("h", n),), n))
    once = Sequences(np.ones((1, 1, 1)), np.full((1, 1, n), 0.3), np.ones((1, 1)))
    task = Task("one step", once, once, once, split=(1, 0))  # no other step, whose weight of 0 would meet an infinite loss
    return Fused(cell, task, Protocol(), dtype=dtype), Torch(cell, task, Protocol(), dtype=torch.float64)


def compare(kind: type[Applies], group: str, pairs: list[tuple[float, float]], dtype: str = "float64") -> None:
    """Outputs and gradients of both engines, a pair of arguments a lane."""
    fast, slow = pair(kind, group, dtype)
    n = len(GROUPS[group])
    params = np.array([np.repeat([a, b, 0.0, 0.0], n) for a, b in pairs]).astype(dtype)
    names, wrong = list(GROUPS[group]), []
    with np.errstate(all="ignore"):
        mine = fast.predict(params).outputs[:, 0], *np.split(fast.gradient(params)[2], 4, 1)[:2]
        true = slow.predict(params).outputs[:, 0], *np.split(slow.gradient(params)[2], 4, 1)[:2]
        for what, x, y in zip(("value", "gradient of a", "gradient of b"), mine, true, strict=True):
            y = y.astype(dtype)
            close = np.isclose(x, y, rtol=1e-8 if dtype == "float64" else 2e-4, atol=1e-12 if dtype == "float64" else 1e-4, equal_nan=True)
            wrong += [
                f"{names[i]}{pairs[lane]}: {what} is {x[lane, i]}, torch has {y[lane, i]}"
                for lane, i in np.argwhere(~close)
                if names[i] not in ROUNDED or np.abs(pairs[lane]).max() < 1e3
            ]
    assert not wrong, "\n".join({line.split("(")[0]: line for line in reversed(wrong)}.values())  # one of each operation


@pytest.mark.parametrize("kind", [Looped, pytest.param(Invariant, marks=pytest.mark.long)])
@pytest.mark.parametrize("group", GROUPS)
def test_an_operation_is_torchs_at_special_points(group: str, kind: type[Applies]) -> None:
    compare(kind, group, list(itertools.product(POINTS, POINTS)))


VALUES = st.one_of(st.sampled_from(POINTS), *(st.floats(-n, n).filter(lambda v: v == 0 or abs(v) > 1e-50) for n in (30, 1e3)))
PAIRS = st.one_of(st.tuples(VALUES, VALUES), VALUES.map(lambda value: (value, value)))


@settings(max_examples=25, deadline=None)
@given(pairs=st.lists(PAIRS, min_size=16, max_size=16))
@pytest.mark.parametrize("group", GROUPS)
def test_an_operation_is_torchs_anywhere(group: str, pairs: list[tuple[float, float]]) -> None:
    compare(Looped, group, pairs)


@pytest.mark.long
@pytest.mark.parametrize("group", GROUPS)
def test_an_operation_is_torchs_in_float32(group: str) -> None:
    """Kernels in float32 need not keep the sign of 0."""
    ordinary = [0.5, -0.5, 0.9, -1.0, 1.0, 2.0, 3.1, -3.0, 6.0, -7.5]
    compare(Looped, group, list(itertools.product(ordinary, ordinary)), "float32")


def test_nan_infinity_and_overflow_are_kept_in_float32() -> None:
    points = [nan, inf, -inf, 86.0, 88.0, 88.5, 88.7, 88.8, 100.0, 1e30, -86.0, -88.0, -110.0, -1e30, 9.0, -9.0, 0.0]
    pairs = list(itertools.product(points, points))
    kept = {
        "smooth": {"tanh", "sigmoid", "exp", "log", "sqrt", "add", "mul", "times inf", "silu", "softplus"},
        "kinks": {"relu", "relu6", "abs", "hardtanh", "maximum", "minimum", "clamp", "clamp low", "clamp high", "where", "amax", "elu"},
    }
    for group, names in kept.items():
        fast, slow = pair(Looped, group, "float32")
        n = len(GROUPS[group])
        params = np.array([np.repeat([a, b, 0.0, 0.0], n) for a, b in pairs], np.float32)
        with np.errstate(all="ignore"):
            mine = fast.predict(params).outputs[:, 0]
            true = slow.predict(params).outputs[:, 0].astype(np.float32)
        for i, name in enumerate(GROUPS[group]):
            if name in names:
                np.testing.assert_allclose(mine[:, i], true[:, i], rtol=1e-5, atol=1e-6, err_msg=name)
